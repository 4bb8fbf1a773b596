"""The two families of errors that come out of adapters, always raised `from` the client's own error."""

from __future__ import annotations

from daemon.redaction import redact
from schemas.reasons import Reason


class PortError(Exception):
    """Base of both. `detail` is for people, and secrets in it are masked: clients quote addresses in what they say.

    `hint` is the next step to take.
    """

    def __init__(self, reason: Reason, detail: str, *, hint: str | None = None) -> None:
        self.reason = reason
        self.detail = redact(detail)
        super().__init__(f"{reason.value}: {self.detail}")
        self.hint = hint


class TemporaryError(PortError):
    """May pass by itself. `delay` is in seconds, where the outside said how long."""

    def __init__(
        self, reason: Reason, detail: str, *, hint: str | None = None, delay: float | None = None
    ) -> None:
        super().__init__(reason, detail, hint=hint)
        self.delay = delay


class PermanentError(PortError):
    """Stays as it is until somebody changes something."""


class LeaseLostError(Exception):
    """A compare-and-set changed no row: another holder owns the reset. Stop; write nothing more."""
