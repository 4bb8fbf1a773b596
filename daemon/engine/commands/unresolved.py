"""Attempts whose outcome is unknown: each is shown to be gone before anything of its reset starts or is believed.

A person says what became of a step. Whether its command still runs is looked at all the same. Only where Kubernetes
has no trace of the command's container any more does the person's word stand for the processes; the databases are
looked at even then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from daemon.engine.commands.recorded_output import RecordedOutput
from daemon.engine.commands.termination import Termination
from daemon.engine.leased_reset import LeasedReset
from daemon.ports.errors import PortError
from daemon.ports.pods.commands import Fate
from schemas.resets import Attempt, Outcome, OutcomeKind, StepState
from schemas.wire import StepName
from statemachines.steps.outcomes import interrupted
from statemachines.steps.progress import reassessed

log = structlog.get_logger()


class UnresolvedAttempts:
    """The unresolved attempts of one leased reset, in one drive.

    Each method that proves answers None once nothing of the attempts can run, else the outcome of the first attempt
    that stays unknown.
    """

    def __init__(self, leased: LeasedReset, termination: Termination, output: RecordedOutput) -> None:
        self._leased = leased
        self._output = output
        self._termination = termination
        self._one_at_a_time = asyncio.Lock()
        self._all_proven = False

    async def attempts(self) -> tuple[Attempt, ...]:
        """Attempts that may still run as far as anybody has shown, in the order of their start."""
        return tuple(attempt for attempt in await self._leased.attempts() if _may_still_run(attempt))

    async def prove_all_gone(self) -> Outcome | None:
        """Call before a new attempt at any step."""
        async with self._one_at_a_time:
            if self._all_proven:
                return None
            for attempt in await self.attempts():
                step = self._leased.steps.get(attempt.step)
                by_word = step is None or step.state is not StepState.UNKNOWN
                stop = step is None or step.state is not StepState.SUCCEEDED
                outcome = await self._prove_gone(attempt, by_word=by_word, stop=stop)
                if outcome is not None:
                    return outcome
            self._all_proven = True
            return None

    async def prove_former_plan_gone(self) -> Outcome | None:
        """The same for attempts at steps that the present plan lacks: nobody resolves those."""
        return await self._prove_gone_where(lambda name: name not in self._leased.steps, stop=True)

    async def prove_step_gone(self, step: StepName, *, stop: bool) -> Outcome | None:
        """The same for one step, before a person's word on it is taken. Without `stop` a command that runs stays."""
        return await self._prove_gone_where(lambda name: name == step, stop=stop)

    async def _prove_gone_where(self, chosen: Callable[[StepName], bool], *, stop: bool) -> Outcome | None:
        for attempt in await self.attempts():
            if chosen(attempt.step):
                outcome = await self._prove_gone(attempt, by_word=True, stop=stop)
                if outcome is not None:
                    return outcome
        return None

    async def _prove_gone(self, attempt: Attempt, *, by_word: bool, stop: bool) -> Outcome | None:
        outcome = await self._termination.end(attempt, stop=stop)
        if outcome.kind is OutcomeKind.UNKNOWN and by_word and await self._left_no_trace(attempt):
            outcome = interrupted("somebody said so; the cluster has no trace of its container any more")
            outcome = await self._termination.after_database_work(attempt, outcome, by_word=True)
        if outcome.kind is OutcomeKind.UNKNOWN:
            log.warning("doubt.stays", attempt=attempt.id, detail=outcome.detail)
            return outcome
        if outcome.exit_code is not None:
            # Who resolved the step has said what its output means.
            outcome = interrupted(f"it had ended by itself, with exit code {outcome.exit_code}")
        proven = reassessed(attempt, outcome)
        await self._leased.commit(attempts=[proven])
        self._output.remove(proven)
        return None

    async def _left_no_trace(self, attempt: Attempt) -> bool:
        """Whether the cluster answers and knows nothing of the attempt's container."""
        if attempt.control is None:
            return True
        try:
            return await self._termination.ask_fate(attempt.control) is Fate.UNKNOWN
        except PortError:
            return False


def _may_still_run(attempt: Attempt) -> bool:
    """Whether the attempt launched something in a pod and nobody knows what became of it."""
    return (
        attempt.control is not None
        and attempt.outcome is not None
        and attempt.outcome.kind is OutcomeKind.UNKNOWN
    )
