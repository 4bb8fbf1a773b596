"""A guard of launches that allows them all, for tests of what follows a command without an engine around it."""

from __future__ import annotations

from daemon.ports.clock import Clock
from schemas.resets import Attempt, Control
from schemas.wire import AttemptId, ResetId, StepName


class OpenGuard:
    """Implements `daemon.engine.commands.launch_guard.LaunchGuard`; attempts are recorded nowhere."""

    def __init__(self, attempt: AttemptId, reset_id: ResetId, step: StepName, clock: Clock) -> None:
        self._attempt = attempt
        self._reset_id = reset_id
        self._step = step
        self._clock = clock

    async def record(self, control: Control) -> Attempt:
        """See the protocol."""
        number = int(self._attempt.rpartition("/")[2])
        return Attempt(
            id=self._attempt,
            reset_id=self._reset_id,
            step=self._step,
            number=number,
            started_at=self._clock.now(),
            control=control,
        )

    async def may_launch(self) -> None:
        """See the protocol."""

    def check_lease(self) -> None:
        """See the protocol."""

    async def seen_alive(self) -> None:
        """See the protocol."""


async def no_database_work(attempt: Attempt, *, must_know: bool) -> str | None:  # noqa: ARG001 - the engine's
    """Databases that do no work for a dead attempt; implements `daemon.engine.commands.termination.DatabaseWork`."""
    return None
