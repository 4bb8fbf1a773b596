"""Whether what a plan quiesced still is at rest, right before something is destroyed."""

from __future__ import annotations

import asyncio

from daemon.engine.leased_reset import LeasedReset
from daemon.engine.steps.foreign_sessions import ForeignSessions
from daemon.engine.steps.polling import wait_while
from daemon.ports.clock import Clock
from daemon.ports.errors import PermanentError
from daemon.ports.quiescing import Quiescing
from schemas.plan import PlannedStep, StepKind
from schemas.quiescing import ObjectRef
from schemas.reasons import Reason
from statemachines.planning.quiescing import quiesced_objects

PATIENCE = 5.0
"""Seconds that sessions may last: those of the step before are over once their server notices."""


class StillQuiesced:
    """One for each drive of a reset."""

    def __init__(
        self, quiescing: Quiescing, sessions: ForeignSessions, leased: LeasedReset, clock: Clock
    ) -> None:
        self._quiescing = quiescing
        self._sessions = sessions
        self._leased = leased
        self._clock = clock

    async def check(self, step: PlannedStep) -> None:
        """Refuse to destroy beside a second writer: somebody may have scaled up what was at rest, or have come back.

        Raises:
            PermanentError: `quiesce-undone`.
            TemporaryError: that can't be told now.
        """
        if not step.destructive or self._leased.plan is None:
            return
        steps = self._leased.plan.steps
        found = await asyncio.gather(*(self._why_not(target) for target in quiesced_objects(steps)))
        cleared = [each for each in steps if each.kind is StepKind.CLEAR_SESSIONS]
        touched = [each for each in cleared if set(each.touches) & set(step.touches)]
        found += await asyncio.gather(*(self._left(each) for each in touched))
        if whys := list(filter(None, found)):
            raise PermanentError(
                Reason.QUIESCE_UNDONE,
                f"{step.name}: {'; '.join(whys)}",
                hint="Find out who did that (ArgoCD, an autoscaler, a person); `resetd resume ID` quiesces again.",
            )

    async def _why_not(self, target: ObjectRef) -> str:
        quiesced = await self._quiescing.find(target)
        if quiesced is None or self._leased.reset.id not in quiesced.resets:
            return f"{target} is not quiesced any more"
        if not quiesced.held:
            return f"{target} was set free by somebody"
        running = await self._quiescing.running(target)
        return f"{', '.join(running)} runs" if running else ""

    async def _left(self, cleared: PlannedStep) -> str:
        return await wait_while(lambda: self._sessions.left(cleared), self._clock, PATIENCE)
