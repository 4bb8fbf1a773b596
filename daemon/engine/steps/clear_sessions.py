"""Steps that wait until nobody else is connected to a database, end what is idle there, and name who is left."""

from __future__ import annotations

from daemon.engine.leased_reset import LeasedReset
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
    """Looks until nobody is left. It is simply made again after a crash: what it ended stays ended."""

    def __init__(
        self, sessions: ForeignSessions, leased: LeasedReset, recorder: AttemptRecorder, clock: Clock
    ) -> None:
        self._sessions = sessions
        self._leased = leased
        self._recorder = recorder
        self._clock = clock

    async def run(self, step: PlannedStep, taken_up: Attempt | None) -> AttemptResult:
        """Look, for as long as the step may take."""
        attempt = taken_up or await self._recorder.start(step)
        ended: list[str] = []

        async def left() -> str:
            if not (named := await self._sessions.left(step)):
                return ""
            self._leased.deadline.check()
            ended.extend(await self._sessions.end_idle(step))
            return named

        named = await wait_while(left, self._clock, step.timeout)
        came_back = f"; idle ones were ended of {', '.join(dict.fromkeys(ended))}" if ended else ""
        if named:
            raise TemporaryError(
                Reason.SESSIONS_LEFT,
                f"{named}, after {step.timeout:g} s{came_back}",
                hint="End them, or let the catalog tolerate one that never writes (`toleratedSessions`).",
            )
        facts = {"ended": ended} if ended else {}
        return AttemptResult(attempt, Outcome(kind=OutcomeKind.SUCCEEDED, facts=facts))
