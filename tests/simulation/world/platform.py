"""The simulated platform: environments that share databases and a repository, and programs that do what they are told.

Each command's first word says what it does, the others name the variables whose databases it writes to. Chance
decides how long it takes, whether it fails, and whether it listens to TERM.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random

from daemon.config.catalog_file import load_catalog
from daemon.ports.backups import Backup
from daemon.ports.databases import Witness as WitnessSession
from daemon.ports.repositories import Branch, Rewound
from schemas.plan import Idempotency
from schemas.quiescing import ObjectRef
from schemas.wire import ResetId, ResourceKey
from tests.memory.backups import MemoryBackups
from tests.memory.contents import MemoryContents
from tests.memory.databases import MemoryDatabase, MemoryDatabases
from tests.memory.deployments import MemoryDeployments
from tests.memory.marks import MemoryMarks
from tests.memory.pods import MemoryPods
from tests.memory.processes import Process, sent_nonce
from tests.memory.quiescing import MemoryQuiescing
from tests.memory.repositories import MemoryRepositories
from tests.memory.restore_proofs import MemoryProofs
from tests.memory.services import MemoryService
from tests.simulation.world.looks import Looks
from tests.simulation.world.witness import Witness

CATALOG = load_catalog(Path(__file__).with_name("catalog.yaml"))
NEVER = frozenset(
    f"{step.phase.value}.{step.target or service.name}.{step.name}"
    for service in CATALOG.catalog.services
    for steps in service.steps.values()
    for step in steps
    if step.idempotent is Idempotency.NEVER
)
"""Steps that are `never` in some mode. None of them is another class in another mode, see the test of this file."""
ENVIRONMENTS = ("qa-sandbox", "los-sandbox", "qa-production")
WRITES = frozenset({"destroy", "write", "revert"})
_MIGRATIONS = 2
_FILLS_LESS = 0.2
"""How often a seed leaves the table of another team empty."""
_NOTHING_LEFT = 99
"""Exit code of a check."""
_DURATIONS = (0.0, 0.3, 1.0, 3.0, 8.0, 30.0)


@dataclass
class Platform:
    """All that workers reach over the network, but for the store."""

    witness: Witness
    chance: Random
    now: Callable[[], datetime]
    moment: Callable[[], int]
    """A number that grows with all that happens."""
    calm: bool = False
    """Whether programs neither fail nor take longer than `slow`."""
    slow: float = 0.3
    """Seconds."""
    pods: MemoryPods = field(default_factory=lambda: MemoryPods(idle=2.0))
    databases: MemoryDatabases = field(default_factory=MemoryDatabases)
    deployments: MemoryDeployments = field(default_factory=MemoryDeployments)
    marks: MemoryMarks = field(default_factory=MemoryMarks)
    services: list[MemoryService] = field(default_factory=list)
    unready: set[int] = field(default_factory=set)
    """Services that were not ready at some time: what they use could not be read."""
    looks: Looks = field(default_factory=Looks)
    misled: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """(environment, service, variable) -> the URL that the service's tool uses instead of the variable's."""
    _deployed: dict[str, dict[str, str]] = field(default_factory=dict)
    """Container -> variable -> the URL that its tool uses: it keeps what it was deployed with, a holder, too."""

    def __post_init__(self) -> None:
        self.backups = _Backups(self)
        self.proofs = MemoryProofs(self.backups)
        self.contents = MemoryContents(self.databases)
        self.quiescing = MemoryQuiescing(self.pods, self.now)
        self.repositories = _Repositories(self)
        for environment in ENVIRONMENTS:
            self.quiescing.add_application(environment)
        core = {"qa-sandbox": "shared", "los-sandbox": "shared", "qa-production": "production"}
        for environment in ENVIRONMENTS:
            self.repositories.make(f"{environment.rpartition('-')[0]}-workflows").push("main")
            alpha, both = self._database(f"alpha-{environment}"), self._database(f"core-{core[environment]}")
            self._add(environment, "alpha-api", {"DATABASE_URL": alpha, "CORE_DATABASE_URL": both})
            self._add(environment, "beta-api", {"DATABASE_URL": both})
        self.witness.protected = frozenset(
            {
                *(
                    self.databases.at(url).key
                    for one in self.services
                    if one.environment == "qa-production"
                    for url in one.variables.values()
                ),
                ResourceKey("repository/fuse/qa-workflows/main"),
            }
        )

    def databases_of(self, environment: str) -> tuple[ResourceKey, ...]:
        """The databases that its services use."""
        mine = (one for one in self.services if one.environment == environment)
        urls = {url for one in mine for url in one.variables.values()}
        return tuple(sorted({self.databases.at(url).key for url in urls}))

    def push(self, environment: str) -> None:
        """Somebody commits to the environment's repository."""
        self.repositories.make(f"{environment.rpartition('-')[0]}-workflows").push("main")

    async def scale(self, service: MemoryService, replicas: int) -> None:
        """Somebody scales a service by hand: a daemon that looked before could not see it."""
        await self.pods.scale(service.environment, service.name, replicas)
        if replicas:
            self.looks.scaled_up[_deployment(service)] = self.moment()

    async def argocd_looks(self) -> None:
        """Let self-heal scale up whatever git says should run."""
        for one in self.services:
            if self.quiescing.applications_[one.environment].automated and not one.replicas:
                await self.pods.scale(one.environment, one.name, 1)

    async def mislead(self, service: MemoryService) -> None:
        """Deploy it anew with a tool that reads another URL than its first variable."""
        other = self._database("somewhere-else")
        await self.pods.restart(service, "Completed")
        self.misled[service.environment, service.name, "DATABASE_URL"] = other

    async def lead_right(self) -> None:
        """Deploy what is misled as it should be."""
        for service in self.services:
            if self.misled.pop((service.environment, service.name, "DATABASE_URL"), None):
                await self.pods.restart(service, "Completed")

    def _database(self, name: str) -> str:
        url = f"postgresql://app:secret@db/{name}"
        try:
            self.databases.at(url)
        except Exception:  # noqa: BLE001 - whatever it says, there is none yet
            self.databases.add(url, MemoryDatabase("7001", name, {"migrations": list(range(_MIGRATIONS))}))
        return url

    def _add(self, environment: str, name: str, variables: dict[str, str]) -> None:
        async def run(process: Process) -> int:
            return await self._run(service, process)

        service = self.pods.add(environment, name, run, variables)
        self.services.append(service)

    def _hit(self, service: MemoryService, variable: str, container: str) -> MemoryDatabase:
        """The database that the service's tool reaches in a container."""
        of_service = {
            name: self.misled.get((service.environment, service.name, name), url)
            for name, url in service.variables.items()
        }
        return self.databases.at(self._deployed.setdefault(container, of_service)[variable])

    async def _run(self, service: MemoryService, process: Process) -> int:
        what, *names = process.argv
        if process.attempt is None:
            return self._ask(service, process)
        databases = [self._hit(service, name, process.container_id) for name in names]
        keys = tuple(one.key for one in databases)
        run = self.witness.started(process.attempt, process.container_id, keys, writes=what in WRITES)
        if what == "destroy":
            self._nobody_else_starts(process.attempt, keys)
        process.ignores_term = self.chance.random() < 0.15
        code = None
        try:
            code = await self._do(what, process, databases)
        finally:
            self.witness.ended(run, code)
        return code

    def _nobody_else_starts(self, attempt: str, keys: tuple[ResourceKey, ...]) -> None:
        """Tell the witness of services with pods that use a database which is destroyed."""
        for one in self.services:
            container = one.pod().container_id
            used = {self._hit(one, variable, container).key for variable in one.variables}
            known = self.looks.could_see(attempt, _deployment(one)) and id(one) not in self.unready
            if one.replicas and used.intersection(keys) and known:
                self.witness.second_writer(attempt, f"{one.environment}/{one.name}")

    async def _do(self, what: str, process: Process, databases: list[MemoryDatabase]) -> int:
        for one in databases if what == "destroy" else ():
            one.tables.clear()
        process.write(b"began\n")
        luck = 1.0 if self.calm else self.chance.random()
        await asyncio.sleep(self.slow if self.calm else self.chance.choice(_DURATIONS))
        if luck < 0.15:
            process.write(b"P1001\n" if luck < 0.1 else b"boom\n")
            return 1
        if what == "revert":
            migrations = databases[0].tables.setdefault("migrations", [])
            process.write(b"reverted\n" if migrations else b"Nothing to revert\n")
            del migrations[-1:]
        elif what in WRITES:
            for one in databases:
                one.tables["migrations"] = list(range(_MIGRATIONS))
                one.written += 1
                # Another team's seed: what it fills may change, and nothing of it is said.
                spare = not self.calm and self.chance.random() < _FILLS_LESS
                one.tables["theirs"] = [] if spare else ["row"]
        return 0

    def _ask(self, service: MemoryService, process: Process) -> int:
        """Short commands, which change nothing."""
        what, *names = process.argv
        migrations = self._hit(service, "DATABASE_URL", process.container_id).tables.get("migrations", [])
        if what == "handshake":
            database = self._hit(service, names[0], process.container_id)
            nonce = sent_nonce(process)
            assert nonce is not None
            if database.witnesses:
                self.witness.shown(process.container_id, database.key)
            database.notify(nonce)
            return 0
        if what == "carried":
            process.write("".join(f"{number}\n" for number in range(_MIGRATIONS)).encode())
            return 0
        if what == "show":
            process.write(b"[X]\n" * len(migrations) + b"[ ]\n")
            return 0
        return 0 if migrations else _NOTHING_LEFT


class _Backups(MemoryBackups):
    def __init__(self, platform: Platform) -> None:
        super().__init__(platform.databases)
        self._platform = platform

    async def dump(
        self, url: str, *, environment: str, resource: ResourceKey, attempt: str, witness: WitnessSession
    ) -> Backup:
        stops = self._platform.witness.stops_of(attempt)
        await asyncio.sleep(0.3 if self._platform.calm else self._platform.chance.choice(_DURATIONS))
        backup = await super().dump(
            url, environment=environment, resource=resource, attempt=attempt, witness=witness
        )
        content = self.files[backup.path]
        key = self._platform.databases.at(url).key
        self._platform.witness.backed_up(backup.path, attempt, key, content, stops=stops)
        return backup


class _Repositories(MemoryRepositories):
    def __init__(self, platform: Platform) -> None:
        super().__init__()
        self._platform = platform

    async def rewind(
        self, branch: Branch, *, to: str, backup_branch: str, still_ours: Callable[[], None]
    ) -> Rewound:
        before = self.make(branch.repository).refs.get(branch.branch)
        rewound = await super().rewind(branch, to=to, backup_branch=backup_branch, still_ours=still_ours)
        if self.make(branch.repository).refs[branch.branch] != before:
            key = ResourceKey(f"repository/{branch.owner}/{branch.repository}/{branch.branch}")
            self._platform.witness.moved(ResetId(backup_branch.removeprefix("backup/")), key)
        return rewound


def _deployment(service: MemoryService) -> ObjectRef:
    return ObjectRef(environment=service.environment, kind="Deployment", name=service.name)
