"""The engine with two services, whose tools are the real psql, beside a real PostgreSQL server and a copy of it."""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import yaml

from daemon.adapters.dumps.directory import DirectoryDumps
from daemon.adapters.postgres.backups import PostgresBackups
from daemon.adapters.postgres.contents import PostgresContents
from daemon.adapters.postgres.databases import PostgresDatabases
from daemon.adapters.postgres.urls import Network
from daemon.config.catalog_file import LoadedCatalog, parse_catalog
from sandbox.postgres import ADDRESS, POD_HOST, Server, binaries, copy, start
from sandbox.postgres.databases import create
from schemas.requests import Mode
from schemas.resets import Reset
from tests.memory.processes import Process
from tests.unit.engine.drives.stand import ENVIRONMENT, Engine

_NETWORK = Network({POD_HOST: ADDRESS})
PASSWORD = "s3cret-Pa55"
PSQL = ["psql", "--no-psqlrc", "--quiet"]
"""It reads statements from stdin, and exits with 0 although one of them failed: ON_ERROR_STOP is not set."""


def services(step: dict[str, Any] | None = None, **handshakes: list[str]) -> LoadedCatalog:
    """A catalog of `alpha` and `beta`, which share a database; each destroys it, in this order, in every mode.

    After that each runs a command that writes to no database. `step` says more of the steps that write.
    """
    document = {
        "name": "identity",
        "kinds": {"sandbox": {}},
        "order": ["alpha", "beta"],
        "services": [_service(name, handshakes.get(name, PSQL), step or {}) for name in ("alpha", "beta")],
        "retry": {"attempts": 1, "initialDelay": 1, "maximumDelay": 1},
    }
    return parse_catalog(yaml.safe_dump(document), "identity.yaml")


def _service(name: str, handshake: list[str], more: dict[str, Any]) -> dict[str, Any]:
    step = {"name": "empty", "argv": ["empty", name], "idempotent": "never", "phase": "migrate", **more}
    after = {"name": "after", "argv": ["after", name], "idempotent": "safe", "phase": "seed", "databases": []}
    return {
        "name": name,
        "databases": [{"name": "core", "handshake": {"argv": handshake}}],
        "steps": {
            Mode.WIPE.value: [step, after],
            Mode.REFRESH.value: [step, after],
            Mode.SEED.value: [{**step, "phase": "seed"}, after],
        },
    }


class Pair:
    """A server and its copy, each with the database `core`, in which a table has three rows."""

    def __init__(self, first: Server, second: Server) -> None:
        self.first = first
        self.second = second

    def url(self, port: int) -> str:
        """The connection string of a service, by the server's port or that of what is in front of it."""
        return f"postgresql://fuse:{PASSWORD}@{POD_HOST}:{port}/core"

    def rows(self) -> tuple[int, int]:
        """How many rows are left on the first server and on the copy."""
        return self._rows(self.first), self._rows(self.second)

    def _rows(self, server: Server) -> int:
        with psycopg.connect(self.url(server.port), hostaddr=ADDRESS) as connection:
            row = connection.execute("SELECT count(*) FROM kept").fetchone()
        return int(row[0]) if row else -1

    def fill(self) -> None:
        """Let both be as they were."""
        for server in (self.first, self.second):
            with psycopg.connect(self.url(server.port), hostaddr=ADDRESS) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS kept (id int)")
                connection.execute("CREATE TABLE IF NOT EXISTS emptied (by text)")
                connection.execute("TRUNCATE kept")
                connection.execute("INSERT INTO kept VALUES (1), (2), (3)")


@contextmanager
def two_servers(directory: Path) -> Iterator[Pair]:
    """Both run for as long as the block."""
    first = start(directory, "first")
    try:
        create(first, ["core"], PASSWORD)
        second = copy(first, directory, "second")
        try:
            yield Pair(first, second)
        finally:
            second.discard()
    finally:
        first.discard()


class Services(Engine):
    """The engine. `alpha` and `beta` are the connection strings of the two services."""

    def __init__(self, store: Path, loaded: LoadedCatalog, *, alpha: str, beta: str) -> None:
        super().__init__(
            loaded,
            databases=PostgresDatabases(_NETWORK),
            backups=PostgresBackups(DirectoryDumps(store), network=_NETWORK),
            contents=PostgresContents(_NETWORK),
            psql=_psql,
            empty=self._empty,
            after=self._after,
        )
        for name, url in (("alpha", alpha), ("beta", beta)):
            self.pods.add(ENVIRONMENT, name, self._run, {"DATABASE_URL": url})
        self.emptied: list[str] = []
        self.meanwhile: dict[str, Any] = {}
        """Service -> what happens in the world while it empties its database."""
        self.afterwards: dict[str, Any] = {}
        """Service -> what happens once that was looked at."""

    async def reset_in(self, mode: Mode) -> Reset:
        """Ask for a reset in this mode and drive it."""
        await self.request(mode)
        return await self.drive()

    async def request(self, mode: Mode) -> None:
        """Ask for a reset in this mode."""
        await self.ask(mode, git=False)

    async def _empty(self, process: Process) -> int:
        name = process.argv[1]
        self.emptied.append(name)
        async with await psycopg.AsyncConnection.connect(
            process.variables["DATABASE_URL"].partition("?")[0], hostaddr=ADDRESS
        ) as connection:
            await connection.execute("DELETE FROM kept")
            # Who comes second finds nothing to delete, and is over before anybody sees it.
            await connection.execute("INSERT INTO emptied VALUES (%s)", (name,))
        if name in self.meanwhile:
            await self.meanwhile[name]()
        return 0

    async def _after(self, process: Process) -> int:
        if process.argv[1] in self.afterwards:
            await self.afterwards[process.argv[1]]()
        return 0


async def _psql(process: Process) -> int:
    program, *options = process.argv
    running = await asyncio.create_subprocess_exec(
        str(binaries() / program),
        *options,
        process.variables["DATABASE_URL"].partition("?")[0],
        stdin=PIPE,
        stdout=PIPE,
        stderr=STDOUT,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", "PGHOSTADDR": ADDRESS},
    )
    output, _ = await running.communicate(process.stdin)
    process.write(output)
    return running.returncode or 0
