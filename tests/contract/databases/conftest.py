"""The same contract on the real server and in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
import pytest

from daemon.adapters.postgres.databases import PostgresDatabases
from daemon.ports.databases import CHANNEL, Databases
from sandbox.postgres import POD_HOST, Server, copy
from tests.contract.conftest import NETWORK, PASSWORD, libpq
from tests.memory.databases import MemoryDatabase, MemoryDatabases

MARKER = (
    "CREATE SCHEMA IF NOT EXISTS resetd;"
    "CREATE TABLE IF NOT EXISTS resetd.identity (environment text, system_identifier text, name text)"
)
AT_WORK = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = %s AND state = 'active')"


@dataclass
class Stand:
    """`core` and `again` lead to one database, `other` to a second one on the same server; `silent` to nobody.

    `copy` leads to a copy of `core`: another server with the same data, and so of the same identity.
    """

    databases: Databases
    core: str
    again: str
    other: str
    copy: str
    silent: str
    notify: Callable[[str, str], Awaitable[None]]
    """Sends a nonce on the channel, as a service's own tool does at a URL."""
    mark: Callable[[str, str, str, str], Awaitable[None]]
    """Puts a marker into the database at a URL: environment, system identifier, name."""
    restart: Callable[[], None]
    """Restarts the server of `core`."""
    working: Callable[[str, str], AbstractAsyncContextManager[None]]
    """Holds a session of that name at a URL, in a statement that ends with the block."""


@pytest.fixture(scope="session")
def twin(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A copy of the server, which answers at another port."""
    copied = copy(server, tmp_path_factory.mktemp("postgres"), "twin")
    yield copied
    copied.discard()


@pytest.fixture(params=["memory", "postgres"])
def stand(request: pytest.FixtureRequest) -> Stand:
    if request.param == "memory":
        return _memory()
    running: Server = request.getfixturevalue("server")

    twin: Server = request.getfixturevalue("twin")

    async def notify(url: str, nonce: str) -> None:
        async with await psycopg.AsyncConnection.connect(libpq(url)) as connection:
            await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, nonce))

    async def mark(url: str, environment: str, identifier: str, name: str) -> None:
        async with await psycopg.AsyncConnection.connect(libpq(url)) as connection:
            await connection.execute(MARKER)
            await connection.execute(
                "INSERT INTO resetd.identity VALUES (%s, %s, %s)", (environment, identifier, name)
            )

    @asynccontextmanager
    async def working(url: str, name: str) -> AsyncIterator[None]:
        connection = await psycopg.AsyncConnection.connect(libpq(url), application_name=name, autocommit=True)
        statement = asyncio.create_task(connection.execute("SELECT pg_sleep(1000)"))
        # A statement that is sent is seen once the server has begun it.
        async with await psycopg.AsyncConnection.connect(libpq(url), autocommit=True) as watching:
            while (await (await watching.execute(AT_WORK, (name,))).fetchone()) != (True,):  # noqa: ASYNC110 - a server's
                await asyncio.sleep(0.01)
        try:
            yield
        finally:
            await connection.cancel_safe()
            await asyncio.gather(statement, return_exceptions=True)
            await connection.close()

    return Stand(
        databases=PostgresDatabases(NETWORK),
        core=running.pod_url("core", "fuse", PASSWORD),
        again=running.pod_url("core", "fuse", PASSWORD) + "&connection_limit=5&pool_timeout=2&sslmode=prefer",
        other=running.pod_url("other", "fuse", PASSWORD),
        copy=twin.pod_url("core", "fuse", PASSWORD),
        silent=f"postgresql://fuse:{PASSWORD}@{POD_HOST}:1/core",
        notify=notify,
        mark=mark,
        restart=running.restart,
        working=working,
    )


def _memory() -> Stand:
    databases = MemoryDatabases()
    core = databases.add("postgresql://fuse:pw@db/core", MemoryDatabase("7001", "core"))
    databases.add("postgresql://fuse:pw@db/core?connection_limit=5", core)
    databases.add("postgresql://fuse:pw@db/other", MemoryDatabase("7001", "other"))
    databases.add("postgresql://fuse:pw@twin/core", MemoryDatabase("7001", "core"))

    async def notify(url: str, nonce: str) -> None:
        databases.at(url).notify(nonce)

    async def mark(url: str, environment: str, identifier: str, name: str) -> None:
        databases.at(url).markers.add((environment, identifier, name))

    @asynccontextmanager
    async def working(url: str, name: str) -> AsyncIterator[None]:
        at_work = databases.at(url).at_work
        at_work[name] = datetime.now(UTC)
        yield
        at_work.pop(name, None)

    return Stand(
        databases=databases,
        core="postgresql://fuse:pw@db/core",
        again="postgresql://fuse:pw@db/core?connection_limit=5",
        other="postgresql://fuse:pw@db/other",
        copy="postgresql://fuse:pw@twin/core",
        silent=f"postgresql://fuse:{PASSWORD}@nobody/core",
        notify=notify,
        mark=mark,
        restart=core.restart,
        working=working,
    )
