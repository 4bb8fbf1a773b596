"""The whole daemon over ports in memory. A real engine drives resets while tests call the API.

Over 300 lines: it builds the whole daemon, port by port.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from daemon.adapters.dumps.directory import DirectoryDumps
from daemon.adapters.files.logs import FileLogs
from daemon.adapters.system.clock import SystemClock
from daemon.adapters.system.identifiers import new_reset_id
from daemon.api.app import create_app
from daemon.api.context import ApiContext
from daemon.api.server import listen, serve_api
from daemon.api.token_file import TokenApprovers, load_tokens
from daemon.config.catalog_file import load_catalog
from daemon.config.settings import Settings, load
from daemon.engine.doctor import Doctor
from daemon.engine.drive import DriveFactory
from daemon.engine.driver import Driver
from daemon.engine.facts.backups import BackupReader
from daemon.engine.facts.reader import FactsReader
from daemon.engine.high_water import HighWater
from daemon.engine.planning import Planning
from daemon.engine.resting import Resting
from daemon.engine.restraints import Restraints
from daemon.engine.states.waiting import WaitingLimits
from daemon.engine.supervisor import Limits, Supervisor
from daemon.engine.sweepers.backups import BackupKeeper, BackupLimits
from daemon.metrics import Metrics
from daemon.ports import Ports
from schemas.catalog.catalog import Catalog
from tests.integration.api.people import write_tokens
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
from tests.memory.store import MemoryStore

SECRET = "hunter2-of-the-database"
_CATALOG = load_catalog()
ENVIRONMENTS = ("qa-sandbox", "los-demo-production")


_SAID = {
    "/migration.sql": b"20240101000000_init\n",
    "find . -name node_modules": b"./src/migrations/1700000000000-Init.js\n",
    "node_modules/prisma/package.json": b"package 2 /app/package.json\n{}\nend - .\n",
}
"""Text of a command that looks into the image -> what it says: it has migrations, and configures no seed."""


def _contents() -> dict[str, list[Any]]:
    """What a database has that was migrated and used."""
    finished = {"migration_name": "20240101000000_init", "finished_at": "now", "rolled_back_at": None}
    return {"dirt": [1], "_prisma_migrations": [finished], "migrations": [{"name": "Init1700000000000"}]}


@dataclass
class Stand:
    """A daemon in memory, and the parts of its world that a test may look at or change."""

    app: FastAPI
    context: ApiContext
    pods: MemoryPods
    deployments: MemoryDeployments
    databases: list[MemoryDatabase]
    tokens: dict[str, str]
    store: MemoryStore
    marks: MemoryMarks
    saved: dict[str, bytes]
    """Path of a backup -> its content."""
    services: dict[tuple[str, str], MemoryService] = field(default_factory=dict)
    failing: dict[str, bytes] = field(default_factory=dict)
    """Text of a command -> what it prints before it ends with exit code 1."""
    halves: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    """Text of a command -> what it prints at once, and what it prints before it ends; `held` is between the two."""
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    """Text of a command -> it ends only once this is set."""
    codes: dict[str, int] = field(default_factory=dict)
    """Text of a command -> its exit code."""
    urls: MemoryDatabases = field(default_factory=MemoryDatabases)
    """Where each URL leads."""
    restraints: Restraints = field(init=False)
    """What its daemon knows of freezes and holds."""

    def lead(self, url: str, database: MemoryDatabase) -> None:
        """Let a further URL lead to a database."""
        self.urls.add(url, database)

    def client(self, person: str | None) -> httpx.AsyncClient:
        """Make a client of the API with that person's token. It calls the application in this process."""
        headers = {"Authorization": f"Bearer {self.tokens[person]}"} if person else {}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://resetd/api/v1", headers=headers)

    async def asked(self, person: str = "ana", **wanted: object) -> dict[str, Any]:
        """Ask for a reset as that person. The answer is the reset."""
        async with self.client(person) as client:
            answer = await client.post("/resets", json={"environment": "qa-sandbox", **wanted})
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def until(self, reset: dict[str, Any], *states: str) -> dict[str, Any]:
        """Wait until the reset is in one of the states. The answer is the reset then."""
        async with asyncio.timeout(30), self.client("oli") as client:
            while True:
                found: dict[str, Any] = (await client.get(f"/resets/{reset['id']}")).json()
                if found["state"] in states:
                    return found
                await asyncio.sleep(0.02)

    def runs(self, command: str) -> int:
        """How often a command with this text was launched."""
        return sum(command in " ".join(argv) for _, argv in self.pods.launched)

    async def until_launched(self, command: str) -> None:
        """Wait until a command with this text was launched."""
        async with asyncio.timeout(60):
            while not self.runs(command):  # noqa: ASYNC110 - the pods in memory send no event
                await asyncio.sleep(0.02)

    async def run(self, process: Process) -> int:
        """Do what every command in a pod of these tests does. The answer is its exit code."""
        text = " ".join(process.argv)
        listed = next((line for part, line in _SAID.items() if part in text), None)
        if listed is not None:
            process.write(listed)
            return 0
        if nonce := sent_nonce(process):
            for database in self.databases:
                database.notify(nonce)
            return 0
        process.write(f"$ {text}\n".encode())
        self._leave_a_sign(process)
        for part, output in self.failing.items():
            if part in text:
                process.write(output)
                return 1
        if "migration:show" in text:
            process.write(b"[X] 1 Initial1700000000000\n")
        first, second = next((both for part, both in self.halves.items() if part in text), (b"", b""))
        process.write(first)
        for part, event in self.held.items():
            if part in text:
                await event.wait()
        process.write(second)
        return next((code for part, code in self.codes.items() if part in text), 0)

    def _leave_a_sign(self, process: Process) -> None:
        """Make the table anew with a row, as wipes and seeds do, in each database of a recorded command."""
        for url in process.variables.values():
            if process.attempt is not None and url.startswith("postgresql://"):
                database = self.urls.at(url)
                database.tables["dirt"] = [1]  # another list is another table
                database.written += 1


@asynccontextmanager
async def served(stand: Stand, port: int | None = None) -> AsyncIterator[str]:
    """Serve the API on a real socket, and yield its address. The daemon drains when the block ends."""
    chosen = port or free_port()
    stand.context.closing.clear()
    with listen("127.0.0.1", chosen) as listening:
        server = asyncio.create_task(serve_api(stand.app, listening))
        try:
            yield f"http://127.0.0.1:{chosen}"
        finally:
            stand.context.closing.set()
            server.cancel()
            await asyncio.gather(server, return_exceptions=True)


def free_port() -> int:
    """Find a port that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@asynccontextmanager
async def running(
    directory: Path,
    *,
    at_work: bool = True,
    store: MemoryStore | None = None,
    marks: MemoryMarks | None = None,
    saved: dict[str, bytes] | None = None,
    catalog: Catalog | None = None,
) -> AsyncIterator[Stand]:
    """Run a daemon whose world is in memory, with two environments on databases of their own.

    Without `at_work` it answers calls and drives no reset, like a daemon that is full of others. `store`, `marks` and
    `saved` come from another daemon, as it left them or as copies. `catalog` replaces the shipped one.
    """
    file, tokens = write_tokens(directory)
    settings = load(data_dir=directory, api_tokens=file)
    stand, supervisor = _build(
        settings, tokens, store or MemoryStore(SystemClock()), marks or MemoryMarks(), saved or {}, catalog
    )
    work = (supervisor.claim_forever, supervisor.renew_forever) if at_work else ()
    loops = [asyncio.create_task(loop()) for loop in work]
    try:
        yield stand
    finally:
        stand.context.closing.set()
        for event in stand.held.values():
            event.set()
        for task in loops:
            task.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        await stand.pods.close()


def _build(
    settings: Settings,
    tokens: dict[str, str],
    store: MemoryStore,
    marks: MemoryMarks,
    saved: dict[str, bytes],
    catalog: Catalog | None,
) -> tuple[Stand, Supervisor]:
    loaded = replace(_CATALOG, catalog=catalog or _CATALOG.catalog)
    clock, metrics = SystemClock(), Metrics()
    pods, deployments = MemoryPods(), MemoryDeployments()
    databases, repositories = MemoryDatabases(), MemoryRepositories()
    logs, backups = FileLogs(settings.logs_dir), MemoryBackups(databases)
    backups.files = saved
    quiescing, proofs = MemoryQuiescing(pods, clock.now), MemoryProofs(backups)
    ports = Ports(
        pods,
        databases,
        backups,
        repositories,
        logs,
        clock,
        marks,
        MemoryContents(databases),
        quiescing,
        proofs,
    )
    facts = FactsReader(
        pods,
        databases,
        repositories,
        store,
        clock,
        loaded.catalog,
        quiescing,
        BackupReader(backups, proofs, loaded.catalog),
    )
    tokens_known = load_tokens(settings)
    approvers = TokenApprovers(tokens_known, clock)
    planning = Planning(facts, loaded.catalog, loaded.id, approvers=approvers)
    ready: dict[str, Callable[[], Awaitable[None]]] = {}
    context = ApiContext(
        store=store,
        catalog=loaded.catalog,
        tokens=tokens_known,
        logs=ports.logs,
        pods=pods,
        planning=planning,
        doctor=Doctor(pods, deployments, facts, loaded.catalog, Resting(quiescing, store)),
        keeper=BackupKeeper(
            store,
            backups,
            DirectoryDumps(settings.data_dir / "backups"),
            clock,
            HighWater(store, marks, clock),
            BackupLimits(keep=1, days=timedelta()),
        ),
        clock=clock,
        metrics=metrics,
        new_id=new_reset_id,
        ready=ready,
    )
    stand = Stand(
        create_app(context), context, pods, deployments, [], tokens, store, marks, saved, urls=databases
    )
    for environment in ENVIRONMENTS:
        repositories.make(f"{environment.rpartition('-')[0]}-workflows").push("main")
        for service in loaded.catalog.services:
            variables = {}
            for database in service.databases:
                url = f"postgresql://app:{SECRET}@db/{environment}-{database.name}"
                if not any(f"{environment}-{database.name}" == known.name for known in stand.databases):
                    made = MemoryDatabase("7001", f"{environment}-{database.name}", _contents())
                    stand.databases.append(databases.add(url, made))
                variables[database.variables[0]] = url
            added = pods.add(environment, service.name, stand.run, variables)
            stand.services[environment, service.name] = added
    high_water = HighWater(store, marks, clock)
    drives = DriveFactory(
        store=store,
        ports=ports,
        deployments=deployments,
        catalog=loaded.catalog,
        facts=facts,
        planning=planning,
        high_water=high_water,
        metrics=metrics,
        limits=WaitingLimits(facts=timedelta(seconds=3)),
        approvers=approvers,
    )
    stand.restraints = drives.restraints
    driver = Driver(drives, clock)
    ready["mark"] = high_water.check
    supervisor = Supervisor(
        store, driver, high_water, clock, metrics, owner="test", limits=Limits(concurrent=4, lease_ttl=6.0)
    )
    return stand, supervisor
