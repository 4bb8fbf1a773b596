"""Runs the steps of one phase: batch by batch, attempt by attempt, until they succeeded or the reset stops."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby

import structlog

from daemon.engine.acts import Acts, again
from daemon.engine.leased_reset import LeasedReset
from daemon.engine.pod_choice import Places
from daemon.engine.steps.performer import Performer
from daemon.ports.clock import Clock
from schemas.catalog.catalog import Catalog
from schemas.plan import Phase, PlannedStep
from schemas.resets import Attempt, Outcome, OutcomeKind, Step, StepState
from schemas.wire import StepName
from statemachines.lifecycle import PHASE_OF, Trigger
from statemachines.steps.container_scope import needed_before
from statemachines.steps.retry import decide_retry
from statemachines.troubleshooting import hint_for

log = structlog.get_logger()

_ORDER = tuple(Phase)


class Stopped(Exception):  # noqa: N818 - no error of the program: a step did not succeed
    """A step ended for good without success."""

    def __init__(self, step: Step) -> None:
        super().__init__(step.name)
        self.step = step


class Work:
    """The working states of one leased reset."""

    def __init__(
        self,
        leased: LeasedReset,
        performer: Performer,
        places: Places,
        acts: Acts,
        catalog: Catalog,
        clock: Clock,
    ) -> None:
        self._leased = leased
        self._performer = performer
        self._places = places
        self._acts = acts
        self._catalog = catalog
        self._clock = clock
        # Steps that run side by side may need the same former step again: it runs once.
        self._turns: dict[StepName, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def abandon(self, attempt: Attempt) -> Outcome:
        """Make sure that nothing of an open attempt is left."""
        return await self._performer.abandon(attempt)

    async def run_phase(self) -> None:
        """All steps of the present state's phase, then on to the next state; or stop where one did not succeed.

        Raises:
            LeaseLostError: another holder has it.
        """
        leased = self._leased
        state = leased.reset.state
        for batch in filter(None, self._batches()):
            finished = False
            while not finished:
                try:
                    finished = await self._run_batch(batch)
                except Stopped as stopped:
                    await self._stop(stopped.step)
                    return
                await self._acts.apply(leased, self._performer.doubts)
                if leased.reset.state is not state:
                    return
        await leased.commit(trigger=Trigger.NEXT, waiting_for=None)

    def _batches(self) -> Iterator[list[PlannedStep]]:
        """The phase's, each behind what is open of earlier phases: who asked for that again may be skipped by now."""
        plan = self._leased.plan
        phase = PHASE_OF[self._leased.reset.state]
        before = _ORDER[: _ORDER.index(phase)]
        steps = plan.steps if plan else ()
        here = groupby((step for step in steps if step.phase is phase), key=lambda step: step.batch)
        for batch in (*(list(batch) for _, batch in here), []):
            yield [step for step in steps if step.phase in before and not self._is_finished(step)]
            yield batch

    async def _run_batch(self, batch: list[PlannedStep]) -> bool:
        """Whether all of it succeeded; False when somebody asks to cancel, and nothing of ours follows it now."""
        todo = [step for step in batch if not self._is_finished(step)]
        if not todo:
            return True
        running = {asyncio.create_task(self._run_step(step), name=step.name) for step in todo}
        watching = asyncio.create_task(self._acts.cancel_asked(self._leased))
        try:
            pending: set[asyncio.Task[None]] = set(running)
            while pending:
                done, _ = await asyncio.wait({*pending, watching}, return_when=asyncio.FIRST_COMPLETED)
                if watching.done():
                    # Reading acts failed, or somebody asks to cancel: what runs is dealt with by that act.
                    watching.result()
                    return False
                pending -= done
                for task in done:
                    # A step that stopped waits for its batch; a lost lease waits for nothing.
                    if not isinstance(task.exception(), Stopped):
                        task.result()
        finally:
            await settle({watching, *running})
        # Those that failed are read in the plan's order, so that the same failure is always the one shown.
        for step in todo:
            for task in running:
                if task.get_name() == step.name:
                    task.result()
        return True

    async def _run_step(self, planned: PlannedStep) -> None:
        """Attempts at one step until it succeeded.

        Raises:
            Stopped: it did not, and will not by itself.
        """
        leased = self._leased
        while True:
            step = leased.steps[planned.name]
            if step.state in (StepState.FAILED, StepState.UNKNOWN):
                raise Stopped(step)
            if step.not_before is not None and planned.name not in leased.open_attempts:
                wait = (step.not_before - self._clock.now()).total_seconds()
                if wait > 0:
                    await self._clock.sleep(wait)
            if planned.name not in leased.open_attempts:
                doubt = await self._performer.doubts.settle()
                if doubt is not None:
                    raise Stopped(step.model_copy(update={"state": StepState.UNKNOWN, "outcome": doubt}))
            await self._renew(planned)
            this, outcome = await self._performer.perform(planned)
            now = self._clock.now()
            attempt = this.attempt or self._before_launch(planned)
            attempt = attempt.model_copy(update={"finished_at": now, "outcome": outcome})
            step = leased.steps[planned.name].model_copy(update={"attempts": attempt.number})
            decision = decide_retry(
                planned,
                step,
                outcome,
                self._catalog.retry,
                now=now,
                jitter=random.random(),  # noqa: S311 - spreads retries, guards nothing
                bound=this.bound,
            )
            step = step.model_copy(
                update={"state": decision.state, "outcome": outcome, "not_before": decision.not_before}
            )
            if step.state is StepState.PENDING and outcome.kind is OutcomeKind.SUCCEEDED:
                # A repetition that succeeded is progress: what failed before it is forgiven.
                step = step.model_copy(update={"attempts_before": attempt.number})
            await leased.finished(step, attempt, this.backups)
            # Told once it is recorded: a worker that lost its lease has nothing to say of the attempt.
            log.info(
                "step.attempt-ended",
                step=planned.name,
                attempt=attempt.number,
                outcome=outcome.kind.value,
                exit_code=outcome.exit_code,
                cause=outcome.cause.value if outcome.cause else None,
                then=decision.state.value,
            )
            if step.state is StepState.SUCCEEDED:
                return

    async def _renew(self, planned: PlannedStep) -> None:
        """Run again what a former step did in another container than the one that this step is to run in.

        Raises:
            Stopped: the former step did not succeed.
        """
        leased = self._leased
        if planned.name in leased.open_attempts:
            return
        for former in needed_before(leased.plan, planned):
            async with self._turns[former.name]:
                step = leased.steps[former.name]
                if step.state is StepState.SUCCEEDED and await self._places.is_void(former, planned):
                    await leased.commit(steps=[again(step)])
                if not self._is_finished(former):
                    await self._run_step(former)

    def _is_finished(self, step: PlannedStep) -> bool:
        return self._leased.steps[step.name].state in (StepState.SUCCEEDED, StepState.SKIPPED)

    def _before_launch(self, planned: PlannedStep) -> Attempt:
        """An attempt that ended before it could be recorded as started: it counts, so that tries are bounded."""
        return Attempt(
            id=self._leased.attempt_id(planned.name),
            reset_id=self._leased.reset.id,
            step=planned.name,
            number=self._leased.steps[planned.name].attempts + 1,
            started_at=self._clock.now(),
        )

    async def _stop(self, step: Step) -> None:
        outcome = step.outcome or Outcome(kind=OutcomeKind.UNKNOWN)
        unknown = step.state is StepState.UNKNOWN
        await self._leased.commit(
            trigger=Trigger.LOSE if unknown else Trigger.FAIL,
            cause=outcome.cause,
            detail=outcome.detail,
            hint=outcome.hint
            or (hint_for(outcome.cause, self._leased.reset.environment) if outcome.cause else None),
            stopped_in=self._leased.reset.state,
            stopped_at=step.name,
            waiting_for=None,
        )


async def settle(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until each has ended, whatever with."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
