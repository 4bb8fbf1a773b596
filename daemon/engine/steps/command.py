"""Steps that run a command of the catalog in a pod, and what has to hold right before each launch."""

from __future__ import annotations

from typing import Any

from daemon.engine.commands.follow import CommandFollower
from daemon.engine.leased_reset import LeasedReset
from daemon.engine.pod_choice import PodChoice
from daemon.engine.steps.attempt_recorder import AttemptRecorder
from daemon.engine.steps.catalog_checks import has_to_run, left_to_undo
from daemon.engine.steps.database_activity import ActivityWatch, DatabaseActivity
from daemon.engine.steps.database_checks import DatabaseChecks
from daemon.engine.steps.database_proofs import DatabaseProofs
from daemon.engine.steps.exit_interpreter import ExitInterpreter
from daemon.engine.steps.launch_rights import check_rights
from daemon.engine.steps.not_frozen import NotFrozen
from daemon.engine.steps.required_backups import check_backups
from daemon.engine.steps.step_runner import AttemptResult
from daemon.engine.steps.still_quiesced import StillQuiesced
from daemon.engine.steps.wipe_checks import WipeChecks
from daemon.ports.backups import Backups
from daemon.ports.clock import Clock
from daemon.ports.errors import PermanentError
from daemon.ports.pods.cluster import Cluster, Pod
from schemas.plan import PlannedStep
from schemas.reasons import Reason
from schemas.resets import Attempt, Control, Outcome, OutcomeKind
from statemachines.steps.retry import Repetitions, needs_check, repetitions, with_repetitions


class CommandStep:
    """Launches a command once it may touch its databases, and follows it to its end."""

    def __init__(
        self,
        follower: CommandFollower,
        interpreter: ExitInterpreter,
        preconditions: LaunchPreconditions,
        pod_choice: PodChoice,
        cluster: Cluster,
        leased: LeasedReset,
        recorder: AttemptRecorder,
        checks: DatabaseChecks,
        activity: DatabaseActivity,
    ) -> None:
        self._checks = checks
        self._activity = activity
        self._follower = follower
        self._interpreter = interpreter
        self._preconditions = preconditions
        self._pod_choice = pod_choice
        self._cluster = cluster
        self._leased = leased
        self._recorder = recorder

    async def run(self, step: PlannedStep, taken_up: Attempt | None) -> AttemptResult:
        """Launch the command, or find it again where an earlier process may have launched it."""
        watch = self._activity.watch(step)
        guard = _Guard(step, self._preconditions, self._leased, self._recorder, taken_up, watch)
        if taken_up is not None:
            async with watch:
                outcome = await self._follower.take_up(taken_up, step, guard)
            return AttemptResult(
                guard.attempt, await self._interpreter.interpret(step, guard.attempt, outcome)
            )
        pod = await self._pod_choice.choose(step)
        await self._preconditions.check(step, pod)
        self._pod_choice.check_effects(step, pod)
        series = await self._repetitions(step, pod)
        bound = None if series is None else self._leased.steps[step.name].attempts + series.left
        if not await self._has_to_run(step, pod):
            nothing_to_do = Outcome(
                kind=OutcomeKind.SUCCEEDED, detail="its check says that nothing is left to do"
            )
            # What has to survive is compared with what earlier attempts recorded.
            survives = await self._checks.baseline(step, pod)
            unstarted = self._recorder.next_attempt(step, baseline=survives)
            return AttemptResult(
                None, await self._checks.confirm(step, unstarted, nothing_to_do), bound=bound
            )
        guard.baseline = await self._activity.baseline(step, pod)
        async with watch:
            outcome = await self._follower.start(pod, self._leased.attempt_id(step.name), step, guard)
        meaning = await self._interpreter.interpret(step, guard.attempt, outcome)
        return AttemptResult(guard.attempt, with_repetitions(meaning, series), bound=bound)

    async def _repetitions(self, step: PlannedStep, pod: Pod) -> Repetitions | None:
        """How the repetitions of the step go; None: the step does not repeat.

        Raises:
            PermanentError: `repetition-stuck`: repetition after repetition succeeds and leaves no less to undo.
            PortError: that can't be told.
        """
        left = await left_to_undo(self._cluster, pod, step)
        if left is None:
            return None
        series = repetitions(self._leased.steps[step.name].outcome, left)
        if series.stuck:
            raise PermanentError(
                Reason.REPETITION_STUCK,
                f"{step.name}: {series.without_fall} repetitions succeeded and left no less to undo; {left} are left",
                hint="Look for a pod of the service that restarts and migrates by itself; then `resetd resume ID`.",
            )
        return series

    async def _has_to_run(self, step: PlannedStep, pod: Pod) -> bool:
        """Whether the command has to run, again where it may be half done.

        Raises:
            PortError: that can't be told.
        """
        last = self._leased.steps[step.name].outcome
        if needs_check(step, last):
            return await has_to_run(self._cluster, pod, step)
        return True


class LaunchPreconditions:
    """What has to hold right before a command is launched, whatever the order of the plan promises."""

    def __init__(
        self,
        backups: Backups,
        proofs: DatabaseProofs,
        checks: DatabaseChecks,
        wipe_checks: WipeChecks,
        pod_choice: PodChoice,
        still_quiesced: StillQuiesced,
        not_frozen: NotFrozen,
        leased: LeasedReset,
        clock: Clock,
    ) -> None:
        self._not_frozen = not_frozen
        self._still_quiesced = still_quiesced
        self._checks = checks
        self._wipe_checks = wipe_checks
        self._clock = clock
        self._backups = backups
        self._proofs = proofs
        self._pod_choice = pod_choice
        self._leased = leased

    async def check(self, step: PlannedStep, pod: Pod) -> None:
        """The step may destroy what it destroys, the dumps are there, nobody else writes meanwhile, and the service's
        tool reaches those databases.

        Before a step of a wipe the image also shows the migrations that make the tables anew, and that it seeds nothing
        unasked; and nothing goes with the tables but what the plan names.

        Raises:
            PortError: that does not hold, or can't be shown; nothing was launched.
        """
        check_rights(self._leased, step, now=self._clock.now())
        await check_backups(self._backups, self._leased, step)
        await self._still_quiesced.check(step)
        await self._checks.check_image(step, pod)
        await self._wipe_checks.check(step, pod)
        await self._proofs.show(pod, self._pod_choice.service(step), step)

    async def check_again(self, step: PlannedStep, attempt: Attempt | None) -> None:
        """The same right before the launch of a recorded attempt: its container may be another one by now.

        Nobody has frozen meanwhile what the attempt would be the first to destroy.

        Raises:
            PermanentError: the command must never be launched any more.
            TemporaryError: that can't be told now.
        """
        pod = await self._pod_choice.choose(step)
        recorded = attempt.control if attempt else None
        if recorded is not None and recorded.container_id != pod.container_id:
            raise PermanentError(
                Reason.COMMAND_INTERRUPTED,
                f"{step.service} runs in another container than it was recorded for",
            )
        await self.check(step, pod)
        # Last, since what comes before may take long.
        await self._not_frozen.check(step)


class _Guard:
    """Guards the launches of one attempt; see `daemon.engine.commands.launch_guard.LaunchGuard`."""

    def __init__(
        self,
        step: PlannedStep,
        preconditions: LaunchPreconditions,
        leased: LeasedReset,
        recorder: AttemptRecorder,
        taken_up: Attempt | None,
        watch: ActivityWatch,
    ) -> None:
        self._step = step
        self._preconditions = preconditions
        self._leased = leased
        self._recorder = recorder
        self._taken_up = taken_up
        self._watch = watch
        watch.attempt = taken_up
        self.baseline: dict[str, Any] | None = None
        """What is there before the launch; recorded with the attempt."""

    @property
    def attempt(self) -> Attempt | None:
        """The attempt as it was recorded last; None before that."""
        return self._watch.attempt

    async def record(self, control: Control) -> Attempt:
        """See the protocol."""
        attempt = await self._recorder.start(self._step, control, self.baseline)
        self._watch.attempt = attempt
        return attempt

    async def may_launch(self) -> None:
        """See the protocol."""
        await self._preconditions.check_again(self._step, self.attempt)
        await self._watch.note_standing()

    def check_lease(self) -> None:
        """See the protocol."""
        self._leased.deadline.check()
        self._watch.begin()

    async def seen_alive(self) -> None:
        """See the protocol. An attempt of this very drive has recorded its progress when it started."""
        self._watch.begin()
        if self._taken_up is not None:
            await self._leased.commit()
