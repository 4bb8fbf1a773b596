"""The two families of errors that adapters raise, always `from` the client's own error."""

from __future__ import annotations

from daemon.redaction import redact
from schemas.reasons import Reason


class PortError(Exception):
    """The base of both families.

    Args:
        reason: The reason's code.
        detail: What happened, for people. Secrets in it are masked: clients quote addresses in their messages.
        hint: The next step to take, for people.
    """

    def __init__(self, reason: Reason, detail: str, *, hint: str | None = None) -> None:
        self.reason = reason
        self.detail = redact(detail)
        super().__init__(f"{reason.value}: {self.detail}")
        self.hint = hint


class TemporaryError(PortError):
    """An error that may pass by itself. `delay` is in seconds, where the outside system said how long."""

    def __init__(
        self, reason: Reason, detail: str, *, hint: str | None = None, delay: float | None = None
    ) -> None:
        super().__init__(reason, detail, hint=hint)
        self.delay = delay


class PermanentError(PortError):
    """An error that stays until somebody changes something."""


class LeaseLostError(Exception):
    """A compare-and-set changed no row: the reset has another holder. The former one stops, and writes nothing more."""
