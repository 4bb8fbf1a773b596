"""Steps that wait until nobody else is connected to a database, and name who is."""

from __future__ import annotations

from daemon.engine.steps.attempt_recorder import AttemptRecorder
from daemon.engine.steps.foreign_sessions import ForeignSessions
from daemon.engine.steps.polling import wait_while
from daemon.engine.steps.step_runner import AttemptResult
from daemon.ports.clock import Clock
from daemon.ports.errors import TemporaryError
from schemas.plan import PlannedStep
from schemas.reasons import Reason
from schemas.resets import Attempt, Outcome, OutcomeKind


class ClearSessionsStep:
    """Looks until nobody is left. It changes nothing, so it is simply made again after a crash."""

    def __init__(self, sessions: ForeignSessions, recorder: AttemptRecorder, clock: Clock) -> None:
        self._sessions = sessions
        self._recorder = recorder
        self._clock = clock

    async def run(self, step: PlannedStep, taken_up: Attempt | None) -> AttemptResult:
        """Look, for as long as the step may take."""
        attempt = taken_up or await self._recorder.start(step)
        left = await wait_while(lambda: self._sessions.left(step), self._clock, step.timeout)
        if left:
            raise TemporaryError(
                Reason.SESSIONS_LEFT,
                f"{left}, after {step.timeout:g} s",
                hint="End them, or let the catalog tolerate one that never writes (`toleratedSessions`).",
            )
        return AttemptResult(attempt, Outcome(kind=OutcomeKind.SUCCEEDED))
