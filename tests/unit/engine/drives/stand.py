"""The engine over ports in memory: one environment with one service, whose programs the test gives.

Over 300 lines: one engine with all parts of its world in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import yaml
from uuid_utils import uuid7

from daemon.config.catalog_file import LoadedCatalog, parse_catalog
from daemon.engine.drive import DriveFactory
from daemon.engine.driver import Driver
from daemon.engine.facts.backups import BackupReader
from daemon.engine.facts.reader import FactsReader
from daemon.engine.high_water import HighWater
from daemon.engine.leased_reset import LeaseDeadline
from daemon.engine.planning import Planning
from daemon.engine.states.waiting import WaitingLimits
from daemon.metrics import Metrics
from daemon.ports import Ports
from daemon.ports.approvers import Approvers
from daemon.ports.backups import Backups
from daemon.ports.contents import Contents
from daemon.ports.databases import Databases
from daemon.ports.errors import PortError
from daemon.ports.store.leases import Change
from schemas.facts import Facts
from schemas.intake import NewRequest
from schemas.plan import Plan, PlannedStep
from schemas.protection import ProtectedUse
from schemas.requests import Mode, ResetRequested
from schemas.resets import (
    Act,
    ActKind,
    Attempt,
    Channel,
    Outcome,
    OutcomeKind,
    Reset,
    ResetState,
    Step,
    StepState,
)
from schemas.wire import ResetId, StepName
from statemachines.intake.content_hash import content_hash
from statemachines.lifecycle import AT_REST
from statemachines.refusals import Refusal
from tests.memory.backups import MemoryBackups
from tests.memory.contents import MemoryContents
from tests.memory.databases import MemoryDatabase, MemoryDatabases
from tests.memory.deployments import MemoryDeployments
from tests.memory.logs import MemoryLogs
from tests.memory.marks import MemoryMarks
from tests.memory.pods import MemoryPods
from tests.memory.processes import Process, sent_nonce
from tests.memory.quiescing import MemoryQuiescing
from tests.memory.repositories import MemoryRepositories
from tests.memory.restore_proofs import MemoryProofs
from tests.memory.store import MemoryStore
from tests.unit.engine.drives.loop import LoopClock

ENVIRONMENT = "qa-sandbox"
SERVICE = "app"
STEP = StepName("seed.app.work")
_URL = "postgresql://app:secret@db/app"
_UNREACHABLE = {"pattern": "P1001", "reason": "database-unreachable", "temporary": True, "hint": "Wait"}
_METRICS = Metrics()
_LEASE = 86_400.0

Program = Callable[[Process], Awaitable[int]]


def catalog(
    *,
    before: dict[str, Any] | None = None,
    verify: dict[str, Any] | None = None,
    database: dict[str, Any] | None = None,
    kind: dict[str, Any] | None = None,
    quiesce: Sequence[Mode] = (),
    windows: Sequence[dict[str, Any]] = (),
    **step: Any,  # noqa: ANN401 - YAML
) -> LoadedCatalog:
    """A catalog whose only step, in each mode, is `work`, or comes after `before`; `verify` is the only check.

    `database` says more of the service's database, and `kind` of the environment's kind. `quiesce` are the modes in
    which services are scaled to 0.
    """
    work = {"name": "work", "phase": "seed", "argv": ["work"], "idempotent": "safe", "timeout": 900, **step}
    service = {
        "name": SERVICE,
        "failures": ["known"],
        "databases": [{"name": "app", "handshake": {"argv": ["handshake"]}, **(database or {})}],
        "steps": {mode.value: [*([before] if before else []), work] for mode in Mode},
        "verify": [verify] if verify else [],
    }
    document = {
        "name": "engine",
        "kinds": {"sandbox": kind or {}},
        "order": [SERVICE],
        "services": [service],
        "failures": {"known": [_UNREACHABLE]},
        "windows": list(windows),
        "quiesce": [mode.value for mode in quiesce],
        "retry": {"attempts": 3, "initialDelay": 1, "maximumDelay": 1},
    }
    return parse_catalog(yaml.safe_dump(document), "engine.yaml")


class GuardedPods(MemoryPods):
    """Pods of a cluster that may come to refuse the daemon whatever it asks of a command that runs."""

    refusal: PortError | None = None
    _meanwhile: tuple[str, Callable[[], None]] | None = None

    def meanwhile(self, method: str, happens: Callable[[], None]) -> None:
        """Let something happen in the world when the daemon next calls the method."""
        self._meanwhile = (method, happens)

    def admit(self) -> None:
        """Refuse nothing any more."""
        self.refusal = None

    def _maybe_fail(self, method: str, *, after: bool = False) -> None:
        if self._meanwhile is not None and self._meanwhile[0] == method:
            happens, self._meanwhile = self._meanwhile[1], None
            happens()
        if self.refusal is not None and method in {"follow", "give_up", "stop", "gone", "fate"}:
            raise self.refusal
        super()._maybe_fail(method, after=after)


class _ForgetfulPlanning(Planning):
    """Plans that may lack steps: what the engine has to notice by itself."""

    _forgotten: Callable[[PlannedStep], bool] | None = None

    def forget(self, which: Callable[[PlannedStep], bool]) -> None:
        """Leave these steps out."""
        self._forgotten = which

    def ask_for(self, setting: str) -> None:
        """Start again with a setting that nothing acts on."""
        self._without_effect = (*self._without_effect, setting)

    async def with_protected(
        self,
        request: ResetRequested,
        channel: Channel,
        requesters: Sequence[str] = (),
        seen_as: Callable[[Facts], Facts] = lambda facts: facts,
        holding: ResetId | None = None,
    ) -> tuple[Plan | Refusal, Sequence[ProtectedUse]]:
        answer, protected = await super().with_protected(request, channel, requesters, seen_as, holding)
        if isinstance(answer, Plan) and self._forgotten is not None:
            steps = tuple(step for step in answer.steps if not self._forgotten(step))
            answer = answer.model_copy(update={"steps": steps})
        return answer, protected


class Engine:
    """A daemon's engine without intake. `programs` maps the first word of a command to what it does.

    A program that is not there succeeds at once and prints nothing. Databases are in memory unless all three are given.
    """

    def __init__(
        self,
        loaded: LoadedCatalog,
        logs: MemoryLogs | None = None,
        *,
        without_effect: Sequence[str] = (),
        databases: Databases | None = None,
        backups: Backups | None = None,
        contents: Contents | None = None,
        approvers: Approvers | None = None,
        **programs: Program,
    ) -> None:
        self.clock = LoopClock()
        self.store = MemoryStore(self.clock)
        self.pods = GuardedPods()
        self.programs = programs
        self.service = self.pods.add(ENVIRONMENT, SERVICE, self._run, {"DATABASE_URL": _URL})
        self.databases = MemoryDatabases(self.clock.now)
        self.database = self.databases.add(_URL, MemoryDatabase("7001", "app"))
        self.contents = MemoryContents(self.databases)
        self.logs = logs or MemoryLogs()
        self.backups = MemoryBackups(self.databases)
        self.proofs = MemoryProofs(self.backups)
        repositories = self.repositories = MemoryRepositories()
        self.deployments = MemoryDeployments()
        self.marks = MemoryMarks()
        self.quiescing = MemoryQuiescing(self.pods, self.clock.now)
        ports = Ports(
            pods=self.pods,
            databases=databases or self.databases,
            backups=backups or self.backups,
            repositories=repositories,
            logs=self.logs,
            clock=self.clock,
            marks=self.marks,
            contents=contents or self.contents,
            quiescing=self.quiescing,
            proofs=self.proofs,
        )
        facts = FactsReader(
            self.pods,
            ports.databases,
            repositories,
            self.store,
            self.clock,
            loaded.catalog,
            self.quiescing,
            BackupReader(ports.backups, ports.proofs, loaded.catalog),
        )
        planning = _ForgetfulPlanning(facts, loaded.catalog, loaded.id, without_effect)
        self.forget = planning.forget
        self.asks_for = planning.ask_for
        drives = DriveFactory(
            store=self.store,
            ports=ports,
            deployments=self.deployments,
            catalog=loaded.catalog,
            facts=facts,
            planning=planning,
            high_water=HighWater(self.store, ports.marks, self.clock),
            metrics=_METRICS,
            limits=WaitingLimits(approval_ttl=timedelta(hours=1)),
            approvers=approvers,
        )
        self.driver = Driver(drives, self.clock)
        self.restraints = drives.restraints
        self.running: dict[str, int] = {}
        """Program -> how many of it run now."""
        self.overlapped: set[str] = set()
        """Programs of which two ran at one time."""
        self.silent: set[str] = set()
        """Programs that leave no sign in the database. Every other command writes a row there."""
        self.id = ResetId(str(uuid7()))

    async def _run(self, process: Process) -> int:
        name = process.argv[0]
        program = self.programs.get(name)
        if program is None and (nonce := sent_nonce(process)):
            self.databases.at(process.variables["DATABASE_URL"]).notify(nonce)
        if process.attempt is not None and name not in self.silent:
            with suppress(PortError):
                self.databases.at(process.variables["DATABASE_URL"]).written += 1
        if program is None:
            return 0
        self.running[name] = self.running.get(name, 0) + 1
        if self.running[name] > 1:
            self.overlapped.add(name)
        try:
            return await program(process)
        finally:
            self.running[name] -= 1

    def move_database(self) -> None:
        """Another server answers under the service's address; sessions with the former one are over."""
        self.database.restart()
        self.database = self.databases.add(_URL, MemoryDatabase("7002", "app"))

    def lead_to(self, database: MemoryDatabase) -> None:
        """Another server answers under the service's address; sessions with the former one live on."""
        self.databases.add(_URL, database)

    async def ask(
        self,
        mode: Mode = Mode.SEED,
        channel: Channel = Channel.HTTP,
        **wanted: Any,  # noqa: ANN401 - of the request
    ) -> None:
        """Ask for the reset."""
        request = ResetRequested(environment=ENVIRONMENT, requested_by="ann", mode=mode, **wanted)
        new = NewRequest(
            id=self.id,
            request=request,
            channel=channel,
            source="/tests",
            event_id=self.id,
            content_hash=content_hash(request),
            trace_parent=None,
        )
        await self.store.admit(new, now=self.clock.now(), limit_waiting=3)

    async def act(self, kind: ActKind, actor: str = "olga", **fields: Any) -> None:  # noqa: ANN401 - of the act
        """Append an act."""
        act = Act(
            reset_id=self.id,
            kind=kind,
            actor=actor,
            channel=Channel.HTTP,
            reason="I looked",
            at=self.clock.now(),
            **fields,
        )
        await self.store.append_act(act)

    async def drive(self) -> Reset:
        """As the supervisor does: claim and drive it until it is at rest."""
        while True:
            for claimed in await self.store.claim("one", ttl=_LEASE, limit=1, excluding=frozenset()):
                await self.driver.drive(
                    claimed, LeaseDeadline(_LEASE, asked_at=asyncio.get_running_loop().time())
                )
            reset = await self.reset()
            if reset.state in AT_REST:
                return reset
            await self.clock.sleep(1.0)

    async def drive_until(self, seen: Callable[[], bool]) -> None:
        """Drive it until something is seen, then stop the daemon; commands go on."""
        driving = asyncio.create_task(self.drive())
        while not seen():
            await asyncio.sleep(0.1)
            assert not driving.done(), f"it came to rest: {driving.result()}"
        driving.cancel()
        with suppress(asyncio.CancelledError):
            await driving

    async def believe(self, name: StepName) -> None:
        """Store a step of unknown outcome as pending, and the reset as failed."""
        (claimed,) = await self.store.claim("one", ttl=_LEASE, limit=1, excluding=frozenset())
        step = (await self.step(name)).model_copy(update={"state": StepState.FAILED})
        reset = claimed.reset.model_copy(update={"state": ResetState.FAILED})
        await self.store.save(Change(reset=reset, lease=claimed.lease, steps=(step,), release_lease=True))

    async def forget_step(self, name: StepName, *, as_step: StepName) -> None:
        """Store a step's attempt as one at a step of a former plan, the step as failed, and the reset as failed."""
        (attempt,) = await self.attempts(name)
        (claimed,) = await self.store.seize("one", [self.id], ttl=_LEASE)
        known = attempt.model_copy(update={"outcome": Outcome(kind=OutcomeKind.INTERRUPTED)})
        former = attempt.model_copy(update={"id": f"{self.id}/{as_step}/1", "step": as_step})
        step = (await self.step(name)).model_copy(update={"state": StepState.FAILED})
        reset = claimed.reset.model_copy(update={"state": ResetState.FAILED})
        change = Change(
            reset=reset, lease=claimed.lease, steps=(step,), attempts=(known, former), release_lease=True
        )
        await self.store.save(change)

    async def reset(self) -> Reset:
        """As it is stored."""
        found = await self.store.find(self.id)
        assert found is not None
        return found

    async def step(self, name: StepName = STEP) -> Step:
        """As it is stored."""
        return next(one for one in await self.store.steps(self.id) if one.name == name)

    async def attempts(self, name: StepName = STEP) -> list[Attempt]:
        """Attempts at one step, in order."""
        return [one for one in await self.store.attempts(self.id) if one.step == name]

    def launched(self, word: str = "work") -> int:
        """How many commands with that first word really started."""
        return sum(argv[0] == word for _, argv in self.pods.launched)
