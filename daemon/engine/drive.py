"""One drive of a reset: its lease holder with all that it works with, made anew for each claim.

The factory is the only place that knows how the parts of a drive fit together. A new kind of step or a new state is
added here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta

from daemon.engine.acts import Acts
from daemon.engine.commands.database_sessions import DatabaseSessions
from daemon.engine.commands.follow import CommandFollower
from daemon.engine.commands.recorded_output import RecordedOutput
from daemon.engine.commands.termination import Termination
from daemon.engine.commands.unresolved import UnresolvedAttempts
from daemon.engine.consents import Consents
from daemon.engine.facts.reader import FactsReader
from daemon.engine.high_water import HighWater
from daemon.engine.leased_reset import LeaseDeadline, LeasedReset
from daemon.engine.planning import Planning
from daemon.engine.pod_choice import PodChoice
from daemon.engine.restraints import Restraints
from daemon.engine.states.approval import ApprovalState
from daemon.engine.states.cancelling import CancellingState
from daemon.engine.states.paused import PausedState
from daemon.engine.states.planning import PlanningState
from daemon.engine.states.queue import QueueState
from daemon.engine.states.waiting import Pause, WaitingLimits
from daemon.engine.states.working import WorkingState
from daemon.engine.steps.attempt_recorder import AttemptRecorder
from daemon.engine.steps.await_health import AwaitHealthStep
from daemon.engine.steps.backup import BackupStep
from daemon.engine.steps.clear_sessions import ClearSessionsStep
from daemon.engine.steps.command import CommandStep, LaunchPreconditions
from daemon.engine.steps.database_activity import DatabaseActivity
from daemon.engine.steps.database_checks import DatabaseChecks
from daemon.engine.steps.database_proofs import HANDSHAKE_MAX_AGE, DatabaseProofs
from daemon.engine.steps.database_verification import DatabaseVerificationStep
from daemon.engine.steps.exit_interpreter import ExitInterpreter
from daemon.engine.steps.foreign_sessions import ForeignSessions
from daemon.engine.steps.handshake import HandshakeStep
from daemon.engine.steps.not_frozen import NotFrozen
from daemon.engine.steps.performer import Performer
from daemon.engine.steps.prove_backup import ProveBackupStep
from daemon.engine.steps.quiesce import QuiesceStep, ReleaseStep
from daemon.engine.steps.repository import RepositoryStep
from daemon.engine.steps.step_runner import StepRunner
from daemon.engine.steps.still_quiesced import StillQuiesced
from daemon.engine.steps.wipe_checks import WipeChecks
from daemon.engine.steps.witnesses import Witnesses
from daemon.metrics import Metrics
from daemon.ports import Ports
from daemon.ports.approvers import Approvers
from daemon.ports.deployments import Deployments
from daemon.ports.store.leases import Claimed
from daemon.ports.store.store import Store
from schemas.catalog.catalog import Catalog
from schemas.plan import StepKind
from schemas.resets import ResetState
from statemachines.lifecycle import WORKING

RunState = Callable[[], Awaitable[Pause | None]]
"""Does what a state is for: leads the reset on, or answers what the reset has to wait for."""


@dataclass(frozen=True)
class Drive:
    """The parts that the driver itself uses."""

    leased: LeasedReset
    states: Mapping[ResetState, RunState]
    acts: Acts
    unresolved: UnresolvedAttempts

    async def apply_acts(self) -> None:
        """Answer the acts that await an answer. Raises LeaseLostError."""
        await self.acts.apply(self.leased, self.unresolved)


class DriveFactory:
    """One for each daemon."""

    def __init__(
        self,
        *,
        store: Store,
        ports: Ports,
        deployments: Deployments,
        catalog: Catalog,
        facts: FactsReader,
        planning: Planning,
        high_water: HighWater,
        metrics: Metrics,
        limits: WaitingLimits,
        handshake_max_age: timedelta = HANDSHAKE_MAX_AGE,
        approvers: Approvers | None = None,
    ) -> None:
        """Without `approvers` a consent counts whoever gave it."""
        self._store = store
        self._ports = ports
        self._deployments = deployments
        self._catalog = catalog
        self._facts = facts
        self._planning = planning
        self._high_water = high_water
        self._metrics = metrics
        self._limits = replace(limits, windows=catalog.windows)
        self._handshake_max_age = handshake_max_age
        self._consents = Consents(approvers)
        self.restraints = Restraints(store, ports.clock)
        self._acts = Acts(store, ports.clock, catalog, self._consents)

    def lease(self, claimed: Claimed, deadline: LeaseDeadline) -> LeasedReset:
        """The claimed reset, ready to be changed."""
        return LeasedReset(claimed, deadline, self._store, self._ports.clock, self._metrics)

    def open(self, leased: LeasedReset, proofs: AsyncExitStack) -> Drive:
        """A drive of the leased reset. `proofs` keeps the sessions of its witnesses: closing it ends them."""
        ports, clock = self._ports, self._ports.clock
        pod_choice = PodChoice(ports.pods, self._catalog, leased)
        sessions = DatabaseSessions(self._facts, ports, pod_choice, leased)
        termination = Termination(ports.pods, ports.logs, clock, sessions.work_of)
        output = RecordedOutput(leased, ports.pods)
        proofs.push_async_exit(output.close)
        unresolved = UnresolvedAttempts(leased, termination, output)
        recorder = AttemptRecorder(leased, clock, self._high_water)
        checks = DatabaseChecks(self._facts, ports.contents, ports.pods, pod_choice, leased, clock)
        witnesses = Witnesses(proofs, self._facts, ports.databases, pod_choice, leased)
        activity = DatabaseActivity(witnesses, checks, leased, clock)
        interpreter = ExitInterpreter(ports.logs, activity.confirm)
        runners = self._step_runners(
            leased, pod_choice, termination, recorder, interpreter, checks, witnesses, activity
        )
        performer = Performer(runners, leased, recorder, termination, interpreter)
        working = WorkingState(
            leased,
            performer,
            recorder,
            unresolved,
            pod_choice,
            self._acts,
            self._consents,
            self.restraints,
            self._catalog.retry,
            clock,
            output,
            self._limits,
        )
        states: dict[ResetState, RunState] = {
            ResetState.PLANNING: PlanningState(leased, self._planning, self._store, clock, self._limits).run,
            ResetState.AWAITING_APPROVAL: ApprovalState(leased, self._consents, clock, self._limits).run,
            ResetState.QUEUED: QueueState(
                leased,
                self._planning,
                self._consents,
                self.restraints,
                self._deployments,
                self._store,
                clock,
                self._limits,
            ).run,
            **dict.fromkeys(WORKING, working.run),
            ResetState.PAUSED: PausedState(leased, self.restraints).run,
            ResetState.CANCELLING: CancellingState(leased, performer, unresolved, clock, output).run,
        }
        return Drive(leased, states, self._acts, unresolved)

    def _step_runners(
        self,
        leased: LeasedReset,
        pod_choice: PodChoice,
        termination: Termination,
        recorder: AttemptRecorder,
        interpreter: ExitInterpreter,
        checks: DatabaseChecks,
        witnesses: Witnesses,
        activity: DatabaseActivity,
    ) -> Mapping[StepKind, StepRunner]:
        ports = self._ports
        proofs = DatabaseProofs(witnesses, self._facts, ports, leased, self._handshake_max_age)
        wipe_checks = WipeChecks(self._facts, ports.pods, pod_choice)
        sessions = ForeignSessions(ports.databases, self._facts, pod_choice, self._catalog)
        still_quiesced = StillQuiesced(ports.quiescing, sessions, leased, ports.clock)
        preconditions = LaunchPreconditions(
            ports.backups,
            proofs,
            checks,
            wipe_checks,
            pod_choice,
            still_quiesced,
            NotFrozen(self.restraints, self._limits.bound, leased, ports.clock),
            leased,
            ports.clock,
        )
        follower = CommandFollower(ports.pods, ports.logs, ports.clock, termination)
        return {
            StepKind.BACKUP_DATABASE: BackupStep(ports, self._facts, witnesses, pod_choice, leased, recorder),
            StepKind.PROVE_BACKUP: ProveBackupStep(ports.backups, ports.proofs, leased, recorder),
            StepKind.HANDSHAKE: HandshakeStep(proofs, pod_choice, recorder),
            StepKind.COMMAND: CommandStep(
                follower,
                interpreter,
                preconditions,
                pod_choice,
                ports.pods,
                leased,
                recorder,
                checks,
                activity,
            ),
            StepKind.RESET_REPOSITORY: RepositoryStep(ports.repositories, leased, recorder),
            StepKind.CHECK_DATABASE: DatabaseVerificationStep(checks, pod_choice, recorder, leased),
            StepKind.QUIESCE: QuiesceStep(ports.quiescing, leased, recorder, ports.clock),
            StepKind.CLEAR_SESSIONS: ClearSessionsStep(sessions, leased, recorder, ports.clock),
            StepKind.RELEASE: ReleaseStep(ports.quiescing, leased, recorder),
            StepKind.AWAIT_HEALTH: AwaitHealthStep(ports.quiescing, leased, recorder, ports.clock),
        }
