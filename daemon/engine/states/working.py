"""The working states: each runs the steps of its phase, batch by batch, until they succeeded or the reset stops."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby
from typing import NoReturn

import structlog

from daemon.engine.acts import Acts
from daemon.engine.commands.recorded_output import RecordedOutput
from daemon.engine.commands.unresolved import UnresolvedAttempts
from daemon.engine.consents import Consents
from daemon.engine.leased_reset import LeasedReset
from daemon.engine.pod_choice import PodChoice
from daemon.engine.restraints import Restraints
from daemon.engine.states.asking import ask_again
from daemon.engine.states.holding_back import HoldingBack
from daemon.engine.states.stopping import stop_at_step
from daemon.engine.states.waiting import WaitingLimits
from daemon.engine.steps.attempt_recorder import AttemptRecorder
from daemon.engine.steps.performer import Performer
from daemon.engine.steps.step_runner import AttemptResult
from daemon.ports.clock import Clock
from schemas.catalog.operations import Retry
from schemas.plan import Phase, PlannedStep
from schemas.reasons import Reason
from schemas.resets import Outcome, OutcomeKind, Step, StepState
from schemas.wire import StepName
from statemachines.consent import expired, lacks_consent
from statemachines.freezes import never_crossed
from statemachines.lifecycle import PHASE_OF, WORKING, Trigger
from statemachines.reset_update import UNCHANGED, ResetUpdate
from statemachines.steps.container_scope import needed_before
from statemachines.steps.learned import NOTHING_TAKEN, Taken, taken_at_done
from statemachines.steps.progress import after_attempt, ended, resolved, to_run_again

log = structlog.get_logger()

_ORDER = tuple(Phase)


class Stopped(Exception):  # noqa: N818 - no error of the program: a step did not succeed
    """A step ended for good without success."""

    def __init__(self, step: Step) -> None:
        super().__init__(step.name)
        self.step = step


class GivenUp(Exception):  # noqa: N818 - no error of the program: a step was not begun
    """A freeze stopped a step before it was launched, and no other one is to blame."""


class WorkingState:
    """Leads to the next working state, or to `failed` or `needs-operator`.

    An act, an old consent or a freeze leads elsewhere.
    """

    def __init__(
        self,
        leased: LeasedReset,
        performer: Performer,
        recorder: AttemptRecorder,
        unresolved: UnresolvedAttempts,
        pod_choice: PodChoice,
        acts: Acts,
        consents: Consents,
        restraints: Restraints,
        retry: Retry,
        clock: Clock,
        output: RecordedOutput,
        limits: WaitingLimits,
    ) -> None:
        self._limits = limits
        self._leased = leased
        self._performer = performer
        self._recorder = recorder
        self._unresolved = unresolved
        self._pod_choice = pod_choice
        self._acts = acts
        self._consents = consents
        self._restraining = HoldingBack(leased, restraints, limits, clock)
        self._retry = retry
        self._clock = clock
        self._output = output
        # Steps that run side by side may need the same former step again: it runs once.
        self._one_at_a_time: dict[StepName, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def run(self) -> None:
        """Run all steps of the present state's phase. Work never pauses: it goes on or stops.

        Raises:
            LeaseLostError: another process may hold the reset.
        """
        leased = self._leased
        await self._output.remove_former()
        state = leased.reset.state
        for batch in filter(None, self._batches()):
            finished = False
            while not finished:
                destroys = any(step.destructive and not self._is_finished(step) for step in batch)
                if destroys and await self._asked_again():
                    return
                if await self._restraining.stops(destroys=destroys):
                    return
                try:
                    finished = await self._run_batch(batch)
                except GivenUp:
                    finished = False  # a freeze came in this very moment: the next look finds it
                except Stopped as stopped:
                    step = stopped.step
                    outcome = step.outcome or Outcome(kind=OutcomeKind.UNKNOWN)
                    await stop_at_step(leased, step.name, outcome, unknown=step.state is StepState.UNKNOWN)
                    return
                await self._acts.apply(leased, self._unresolved)
                if leased.reset.state is not state:
                    return
        taken = await self._taught() if state is WORKING[-1] else NOTHING_TAKEN
        await leased.commit(ResetUpdate(waiting_for=None), trigger=Trigger.NEXT, taken=taken)

    async def _taught(self) -> Taken:
        """What the reset, which is done, teaches of its steps."""
        leased = self._leased
        assert leased.plan is not None
        known = await leased.learned()
        return taken_at_done(leased.plan, leased.steps, known, leased.reset, at=self._clock.now())

    async def _asked_again(self) -> bool:
        """Ask for consent again, where it got too old or void before something is destroyed."""
        leased, now = self._leased, self._clock.now()
        if await self._consents.drop_void(leased) and lacks_consent(leased.reset):
            await ask_again(leased, now, self._limits, reason=Reason.CONSENT_VOID)
            return True
        if not expired(leased.reset, now):
            return False
        await ask_again(leased, now, self._limits, reason=Reason.APPROVAL_EXPIRED)
        return True

    def _batches(self) -> Iterator[list[PlannedStep]]:
        """The phase's batches, each behind the steps of earlier phases that are open again.

        Such a step was asked for again by a later one, which may be skipped by now.
        """
        plan = self._leased.plan
        phase = PHASE_OF[self._leased.reset.state]
        before = _ORDER[: _ORDER.index(phase)]
        steps = plan.steps if plan else ()
        here = groupby((step for step in steps if step.phase is phase), key=lambda step: step.batch)
        for batch in (*(list(batch) for _, batch in here), []):
            yield [step for step in steps if step.phase in before and not self._is_finished(step)]
            yield batch

    async def _run_batch(self, batch: list[PlannedStep]) -> bool:
        """Run the steps of a batch side by side. False: somebody asks to cancel, and nothing of ours follows it now.

        Raises:
            Stopped: a step did not succeed. The others of the batch have come to their end.
            GivenUp: a freeze stopped one, and the others have come to their end.
        """
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
                    # Reading acts failed, or somebody asks to cancel: that act deals with what runs.
                    watching.result()
                    return False
                pending -= done
                for task in done:
                    # A step that stopped waits for its batch; a lost lease waits for nothing.
                    if not isinstance(task.exception(), Stopped | GivenUp):
                        task.result()
        finally:
            await _cancel_and_await({watching, *running})
        # Failures are read in the plan's order, so that the same one is always shown; a freeze is none.
        ends = {task.get_name(): task for task in running}
        given_up = [name for name, task in ends.items() if isinstance(task.exception(), GivenUp)]
        for step in todo:
            if step.name not in given_up:
                ends[step.name].result()
        if given_up:
            raise GivenUp
        return True

    async def _run_step(self, planned: PlannedStep) -> None:
        """Make attempts at one step until one succeeded.

        Raises:
            Stopped: none did, and none will by itself.
            GivenUp: a freeze stopped it.
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
                unknown = await self._unresolved.prove_all_gone()
                if unknown is not None:
                    raise Stopped(resolved(step, StepState.UNKNOWN, unknown))
            await self._renew_effects(planned)
            if (await self._attempt(planned)).state is StepState.SUCCEEDED:
                return

    async def _attempt(self, planned: PlannedStep) -> Step:
        """Make one attempt and record its end.

        Raises:
            GivenUp: a freeze stopped it before it was launched.
        """
        leased = self._leased
        result = await self._performer.perform(planned)
        now = self._clock.now()
        if result.outcome.cause in {Reason.FROZEN, Reason.OUTSIDE_WINDOW}:
            await self._give_up(planned, result)
        # An attempt that ended before it was recorded counts all the same, so that tries are bounded.
        attempt = ended(result.attempt or self._recorder.next_attempt(planned), result.outcome, at=now)
        step = after_attempt(
            planned,
            leased.steps[planned.name],
            attempt.number,
            result.outcome,
            self._retry,
            now=now,
            jitter=random.random(),  # noqa: S311 - spreads retries, guards nothing
            bound=result.bound,
        )
        await leased.finished(step, attempt, result.backups)
        self._output.remove(attempt)
        # Told once it is recorded: a worker that lost its lease has nothing to say of the attempt.
        log.info(
            "step.attempt-ended",
            step=planned.name,
            attempt=attempt.number,
            outcome=result.outcome.kind.value,
            exit_code=result.outcome.exit_code,
            cause=result.outcome.cause.value if result.outcome.cause else None,
            then=step.state.value,
        )
        return step

    async def _give_up(self, planned: PlannedStep, result: AttemptResult) -> NoReturn:
        """Record that an attempt was never launched. Where it was recorded as the first to destroy, nothing is.

        Raises:
            GivenUp: always.
        """
        leased = self._leased
        if result.attempt is not None:
            attempt = ended(result.attempt, result.outcome, at=self._clock.now())
            untouched = never_crossed(leased.plan, await leased.attempts(), attempt.id)
            update = ResetUpdate(destroyed=False, consent_spent=False) if untouched else UNCHANGED
            await leased.finished(to_run_again(leased.steps[planned.name]), attempt, update=update)
            self._output.remove(attempt)
        raise GivenUp

    async def _renew_effects(self, planned: PlannedStep) -> None:
        """Run former steps again whose effect is in another container than the one that this step is to run in.

        Raises:
            Stopped: a former step did not succeed.
        """
        leased = self._leased
        if planned.name in leased.open_attempts:
            return
        for former in needed_before(leased.plan, planned):
            async with self._one_at_a_time[former.name]:
                step = leased.steps[former.name]
                if step.state is StepState.SUCCEEDED and await self._pod_choice.lacks_effect(former, planned):
                    await leased.commit(steps=[to_run_again(step)])
                if not self._is_finished(former):
                    await self._run_step(former)

    def _is_finished(self, step: PlannedStep) -> bool:
        return self._leased.steps[step.name].state in (StepState.SUCCEEDED, StepState.SKIPPED)


async def _cancel_and_await(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel the tasks and wait until each has ended, whatever with."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
