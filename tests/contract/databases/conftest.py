"""The same contract on the real server and in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
import pytest

from daemon.adapters.postgres.databases import PostgresDatabases
from daemon.ports.databases import Databases
from sandbox.postgres import POD_HOST, Server
from tests.contract.conftest import NETWORK, PASSWORD, libpq
from tests.memory.databases import MemoryDatabase, MemoryDatabases

AT_WORK = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = %s AND state = 'active')"
SEEN = """
SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = 0 AND objid = %s
  AND objsubid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""


@dataclass
class Stand:
    """`core` and `again` lead to one database, `other` to a second one on the same server; `silent` to nobody."""

    databases: Databases
    core: str
    again: str
    other: str
    silent: str
    sees: Callable[[str, int], Awaitable[bool]]
    """Tells whether a plain role that is connected to a URL's database sees the lock of that number."""
    working: Callable[[str, str], AbstractAsyncContextManager[None]]
    """Holds a session of that name at a URL, in a statement that ends with the block."""


@pytest.fixture(params=["memory", "postgres"])
def stand(request: pytest.FixtureRequest) -> Stand:
    if request.param == "memory":
        return _memory()
    running: Server = request.getfixturevalue("server")

    async def sees(url: str, number: int) -> bool:
        connection = await psycopg.AsyncConnection.connect(libpq(url))
        async with connection:
            row = await (await connection.execute(SEEN, (number,))).fetchone()
        return bool(row and row[0])

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
        silent=f"postgresql://fuse:{PASSWORD}@{POD_HOST}:1/core",
        sees=sees,
        working=working,
    )


def _memory() -> Stand:
    databases = MemoryDatabases()
    core = databases.add("postgresql://fuse:pw@db/core", MemoryDatabase("7001", "core"))
    databases.add("postgresql://fuse:pw@db/core?connection_limit=5", core)
    databases.add("postgresql://fuse:pw@db/other", MemoryDatabase("7001", "other"))

    async def sees(url: str, number: int) -> bool:
        return number in databases.at(url).locks

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
        silent=f"postgresql://fuse:{PASSWORD}@nobody/core",
        sees=sees,
        working=working,
    )
