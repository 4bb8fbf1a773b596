"""Performs one attempt at one step of a plan: which port does it, and what has to hold right before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from daemon.engine.commands.database_sessions import Sessions
from daemon.engine.commands.follow import SHOWN_LINES, Commands
from daemon.engine.commands.termination import Endings
from daemon.engine.commands.unresolved import Doubts
from daemon.engine.facts import FactsReader
from daemon.engine.high_water import HighWater
from daemon.engine.leased_reset import LeasedReset
from daemon.engine.pod_choice import Places, container
from daemon.engine.steps.backup_check import check_saved
from daemon.engine.steps.handshake import Proofs
from daemon.engine.steps.questions import has_to_run, left_to_undo
from daemon.ports import Ports
from daemon.ports.databases import Backup
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from daemon.ports.pods.cluster import Pod
from daemon.redaction import redact
from schemas.catalog.catalog import Service
from schemas.marks import Launch
from schemas.plan import PlannedStep, StepKind
from schemas.reasons import Reason
from schemas.resets import Attempt, Control, Outcome, OutcomeKind
from schemas.wire import ResourceKey
from statemachines.steps.container_scope import with_container
from statemachines.steps.exit_codes import outcome_of_command
from statemachines.steps.retry import needs_check, remembering


@dataclass
class Try:
    """One attempt under way. `attempt` is None until it is recorded: until then nothing was done."""

    step: PlannedStep
    attempt: Attempt | None
    outcome: Outcome | None = None
    backups: tuple[Backup, ...] = ()
    bound: int | None = None
    """Of a step that repeats: how many attempts it can need, those before this one included."""


class Performer:
    """One for each drive of a reset: its proofs die with it."""

    def __init__(
        self,
        ports: Ports,
        facts: FactsReader,
        places: Places,
        leased: LeasedReset,
        proofs: Proofs,
        high_water: HighWater,
    ) -> None:
        self._ports = ports
        self._high_water = high_water
        self._facts = facts
        self._places = places
        self._leased = leased
        self._proofs = proofs
        sessions = Sessions(facts, ports, places, leased)
        self._endings = Endings(ports.pods, ports.logs, ports.clock, sessions.at_work)
        self.doubts = Doubts(leased, self._endings)
        self._commands = Commands(ports.pods, ports.logs, ports.clock, self._endings, leased.deadline.check)

    async def perform(self, step: PlannedStep) -> tuple[Try, Outcome]:
        """A new attempt, or the open one taken up; its outcome is not stored yet.

        Before a new one, `doubts` have to be settled.

        Raises:
            LeaseLostError: the state is older than the mark beside the backups.
            TemporaryError: an open attempt could not be marked; what became of it is as open as before.
        """
        this = Try(step, self._leased.open_attempts.get(step.name))
        if this.attempt is not None:
            # Whoever recorded it may have died before it was marked, and taking it up may launch it.
            await self._cover(this.attempt)
        try:
            outcome = await self._how(step)(this)
        except PortError as error:
            outcome = failure(error)
        before = self._leased.steps[step.name].outcome
        return this, remembering(before, self._without_secrets(outcome))

    async def abandon(self, attempt: Attempt) -> Outcome:
        """Make sure that nothing of an attempt is left; what it came to, judged as if it had been followed."""
        outcome = await self._endings.abandon(attempt)
        if attempt.step not in self._leased.steps:  # of a former plan: there is nothing to judge it by
            return self._without_secrets(outcome)
        step = self._leased.planned(attempt.step)
        outcome = await self._judged(step, attempt, outcome)
        return remembering(self._leased.steps[step.name].outcome, self._without_secrets(outcome))

    def _how(self, step: PlannedStep) -> Callable[[Try], Awaitable[Outcome]]:
        return {
            StepKind.BACKUP_DATABASE: self._back_up,
            StepKind.HANDSHAKE: self._shake_hands,
            StepKind.COMMAND: self._command,
            StepKind.RESET_REPOSITORY: self._rewind,
        }[step.kind]

    async def _back_up(self, this: Try) -> Outcome:
        step = this.step
        service, database = self._place(step)
        pod = await self._places.choose(step)
        url, identity = await self._facts.identify(pod, service, database)
        self._same(identity.key, step)
        # A dump that was cut short by a crash is made again, in the same attempt.
        attempt = this.attempt or await self._start(this, None)
        backup = await self._ports.backups.dump(
            url, environment=pod.environment, resource=identity.key, attempt=attempt.id
        )
        if not backup.proven:
            raise PermanentError(Reason.BACKUP_UNPROVEN, f"{backup.path} was not read through")
        this.backups = (backup,)
        return Outcome(
            kind=OutcomeKind.SUCCEEDED,
            facts={"path": backup.path, "sizeBytes": backup.size_bytes, "sha256": backup.sha256},
        )

    async def _shake_hands(self, this: Try) -> Outcome:
        step = this.step
        service = self._places.service(step)
        pod = await self._places.choose(step)
        if this.attempt is None:
            await self._start(this, None)
        await self._proofs.show(pod, service, step)
        return Outcome(kind=OutcomeKind.SUCCEEDED, facts={"containerId": pod.container_id})

    async def _command(self, this: Try) -> Outcome:
        step = this.step
        if this.attempt is not None:
            outcome = await self._commands.take_up(
                this.attempt,
                step,
                argv=step.argv,
                before_launch=lambda: self._may_still_touch(this),
                found_alive=self._leased.commit,
            )
        else:
            service = self._places.service(step)
            pod = await self._places.choose(step)
            await self._may_touch(step, pod, service)
            self._places.check_effects(step, pod)
            if not await self._needed(this, pod):
                return Outcome(kind=OutcomeKind.SUCCEEDED, detail="its check says that nothing is left to do")
            outcome = await self._commands.start(
                pod,
                self._leased.attempt_id(step.name),
                step,
                lambda control: self._start(this, control),
                argv=step.argv,
                before_relaunch=lambda: self._may_still_touch(this),
            )
        return await self._judged(step, this.attempt, outcome)

    async def _rewind(self, this: Try) -> Outcome:
        step = this.step
        _, owner, name, branch = step.touches[0].split("/", 3)
        found = await self._ports.repositories.read(name, branch)
        if found.owner != owner:
            raise PermanentError(Reason.REPOSITORY_UNIDENTIFIED, f"{name} is {found.owner}'s, not {owner}'s")
        if this.attempt is None:
            await self._start(this, None)
        backup_branch = f"backup/{self._leased.reset.id}"
        rewound = await self._ports.repositories.rewind(
            found, to=found.root, backup_branch=backup_branch, still_ours=self._leased.deadline.check
        )
        return Outcome(
            kind=OutcomeKind.SUCCEEDED,
            facts={
                "before": rewound.before,
                "after": rewound.after,
                "backupBranch": rewound.backup_branch,
                "already": rewound.already,
            },
        )

    async def _start(self, this: Try, control: Control | None) -> Attempt:
        step = this.step
        number = self._leased.steps[step.name].attempts + 1
        attempt = Attempt(
            id=self._leased.attempt_id(step.name),
            reset_id=self._leased.reset.id,
            step=step.name,
            number=number,
            started_at=self._ports.clock.now(),
            control=control,
        )
        await self._leased.started(attempt)
        this.attempt = attempt
        await self._cover(attempt)
        return attempt

    async def _cover(self, attempt: Attempt) -> None:
        reset = self._leased.reset
        await self._high_water.cover(
            Launch(
                attempt=attempt.id,
                environment=reset.environment,
                event_source=reset.event_source,
                event_id=reset.event_id,
                control=attempt.control,
            )
        )

    async def _may_touch(self, step: PlannedStep, pod: Pod, service: Service) -> None:
        """What has to hold right before a command is launched, whatever the plan's order promises.

        Raises:
            PortError: it does not hold; nothing was launched.
        """
        await check_saved(self._ports.backups, self._leased, step)
        await self._proofs.show(pod, service, step)

    async def _may_still_touch(self, this: Try) -> None:
        """The same for an attempt that an earlier process recorded: what it had shown was shown long ago.

        Raises:
            PortError: it does not hold (any more); it must not be launched.
        """
        service = self._places.service(this.step)
        pod = await self._places.choose(this.step)
        recorded = this.attempt.control if this.attempt else None
        if recorded is not None and recorded.container_id != pod.container_id:
            raise PermanentError(
                Reason.COMMAND_INTERRUPTED,
                f"{service.name} runs in another container than it was recorded for",
            )
        await self._may_touch(this.step, pod, service)

    async def _needed(self, this: Try, pod: Pod) -> bool:
        """Whether the command has to run (again). For one that repeats, how often it may is read here, too.

        Raises:
            PortError: that can't be told.
        """
        step, last = this.step, self._leased.steps[this.step.name]
        left = await left_to_undo(self._ports.pods, pod, step)
        if left is not None:
            this.bound = last.attempts + left
        if needs_check(step, last.outcome):
            return await has_to_run(self._ports.pods, pod, step)
        return True

    async def _judged(self, step: PlannedStep, attempt: Attempt | None, outcome: Outcome) -> Outcome:
        """What an exit code means by the catalog: known failures, lines that mean failure."""
        if attempt is None or outcome.exit_code is None:
            return outcome
        output, whole = None, True
        try:
            tail = await self._ports.logs.tail(attempt.id, SHOWN_LINES)
            if step.fail_on is not None:
                output, whole = await self._ports.logs.whole(attempt.id)
        except PortError as error:
            # It did run: that its output is lost must not make it one that never started.
            tail, output, whole = f"its output can't be read: {error.detail}", "", False
        if step.fail_on is None:
            judged = outcome_of_command(step, outcome.exit_code, tail)
        else:
            judged = outcome_of_command(step, outcome.exit_code, tail, output, whole=whole)
        return with_container(step, judged, container(attempt.control)) if attempt.control else judged

    def _same(self, key: ResourceKey, step: PlannedStep) -> None:
        if key not in step.touches:
            raise PermanentError(
                Reason.DATABASE_MISMATCH,
                f"{step.name} would reach {key}, the plan says {', '.join(step.touches)}",
            )

    def _place(self, step: PlannedStep) -> tuple[Service, str]:
        if step.database is None:
            raise PermanentError(Reason.DATABASE_UNIDENTIFIED, f"{step.name} names no database")
        return self._places.service(step), step.database

    def _without_secrets(self, outcome: Outcome) -> Outcome:
        if outcome.detail is None:
            return outcome
        return outcome.model_copy(update={"detail": redact(outcome.detail)})


def failure(error: PortError) -> Outcome:
    """An adapter's error as the outcome of the attempt that met it."""
    return Outcome(
        kind=OutcomeKind.FAILED,
        cause=error.reason,
        detail=error.detail,
        hint=error.hint,
        temporary=isinstance(error, TemporaryError),
        delay=getattr(error, "delay", None),
        facts={"launched": False},
    )
