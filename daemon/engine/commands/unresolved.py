"""Attempts whose outcome is unknown: shown to be gone before anything else of their reset is started or believed.

A person says what became of a step, not whether its command still runs: that is looked at. Only where Kubernetes has
no trace of the command's container any more is a person's word all that there can be of its processes; what they had
asked the databases for may still be at work there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from daemon.engine.commands.termination import Endings
from daemon.engine.leased_reset import LeasedReset
from daemon.ports.errors import PortError
from daemon.ports.pods.commands import Fate
from schemas.resets import Attempt, Outcome, OutcomeKind, StepState
from schemas.wire import StepName
from statemachines.steps.outcomes import interrupted

log = structlog.get_logger()


class Doubts:
    """Those of one leased reset, in one drive."""

    def __init__(self, leased: LeasedReset, endings: Endings) -> None:
        self._leased = leased
        self._endings = endings
        self._turn = asyncio.Lock()
        self._settled = False

    async def attempts(self) -> tuple[Attempt, ...]:
        """Attempts of which nobody has shown yet that nothing is left, in the order of their start."""
        return tuple(one for one in await self._leased.attempts() if _in_doubt(one))

    async def settle(self) -> Outcome | None:
        """Before a new attempt at any step. None: nothing of an earlier one can run; else what is not known of one."""
        async with self._turn:
            if self._settled:
                return None
            for attempt in await self.attempts():
                step = self._leased.steps.get(attempt.step)
                said = step is None or step.state is not StepState.UNKNOWN
                stop = step is None or step.state is not StepState.SUCCEEDED
                doubt = await self._settle(attempt, said=said, stop=stop)
                if doubt is not None:
                    return doubt
            self._settled = True
            return None

    async def settle_former(self) -> Outcome | None:
        """The same for attempts at steps that the present plan has no more: nobody resolves those."""
        return await self._settle_said(lambda name: name not in self._leased.steps, stop=True)

    async def settle_step(self, step: StepName, *, stop: bool) -> Outcome | None:
        """The same for one step, before a person's word on it is taken; without `stop` what runs is left alone."""
        return await self._settle_said(lambda name: name == step, stop=stop)

    async def _settle_said(self, which: Callable[[StepName], bool], *, stop: bool) -> Outcome | None:
        for attempt in await self.attempts():
            if which(attempt.step):
                doubt = await self._settle(attempt, said=True, stop=stop)
                if doubt is not None:
                    return doubt
        return None

    async def _settle(self, attempt: Attempt, *, said: bool, stop: bool) -> Outcome | None:
        outcome = await self._endings.abandon(attempt, stop=stop)
        if outcome.kind is OutcomeKind.UNKNOWN and said and await self._without_trace(attempt):
            outcome = interrupted("somebody said so; the cluster has no trace of its container any more")
            outcome = await self._endings.once_idle(attempt, outcome, said=True)
        if outcome.kind is OutcomeKind.UNKNOWN:
            log.warning("doubt.stays", attempt=attempt.id, detail=outcome.detail)
            return outcome
        if outcome.exit_code is not None:
            # What the output means was for the one to say who resolved the step.
            outcome = interrupted(f"it had ended by itself, with exit code {outcome.exit_code}")
        await self._leased.commit(attempts=[attempt.model_copy(update={"outcome": outcome})])
        return None

    async def _without_trace(self, attempt: Attempt) -> bool:
        """Whether the cluster answers, and knows nothing of the attempt's container."""
        if attempt.control is None:
            return True
        try:
            return await self._endings.ask_fate(attempt.control) is Fate.UNKNOWN
        except PortError:
            return False


def _in_doubt(attempt: Attempt) -> bool:
    """Whether it launched something in a pod that may still run."""
    return (
        attempt.control is not None
        and attempt.outcome is not None
        and attempt.outcome.kind is OutcomeKind.UNKNOWN
    )
