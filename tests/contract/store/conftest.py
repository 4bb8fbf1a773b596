"""The stores under contract: SQLite in a file, PostgreSQL (a real server), and the one in memory.

With RESETD_E2E_DATABASE_URL, of a role that may make databases, also on that server, in a database made for the tests.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from daemon.adapters.store import SqlStore, migrations, open_store
from daemon.adapters.system.clock import SystemClock
from daemon.ports.store.outbox import StatusTopics
from daemon.ports.store.store import Store
from sandbox.postgres.server import Server, start
from schemas.tables import Row
from tests.memory.store import MemoryStore

GIVEN = pytest.param("given", marks=pytest.mark.e2e)
URLS = {"sqlite": "sqlite_url", "postgresql": "postgres_url", "given": "given_url"}
TOPICS = StatusTopics(status="status", public_url="https://resetd.example")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a PostgreSQL server with a database `state` that has our tables."""
    running = start(tmp_path_factory.mktemp("postgres"), "state")
    try:
        execute(running.superuser_url, "CREATE DATABASE state")
        migrations.upgrade(_database(running.superuser_url, "state"))
        yield running
    finally:
        running.discard()


@pytest.fixture
def postgres_url(server: Server) -> str:
    """Empty a migrated PostgreSQL database, which is quicker than to make one."""
    return _emptied(_database(server.superuser_url, "state"))


@pytest.fixture(scope="session")
def given_database() -> Iterator[str]:
    """Make a migrated database on the given server, and drop it afterwards."""
    given = os.environ.get("RESETD_E2E_DATABASE_URL")
    if not given:
        pytest.skip("RESETD_E2E_DATABASE_URL is not set")
    name = f"resetd_contract_{uuid4().hex[:8]}"
    execute(given, f"CREATE DATABASE {name}")
    try:
        migrations.upgrade(_database(given, name))
        yield _database(given, name)
    finally:
        execute(given, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def given_url(given_database: str) -> str:
    """Empty the database on the given server."""
    return _emptied(given_database)


@pytest.fixture(scope="session")
def template_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrations.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(template_file: Path, tmp_path: Path) -> str:
    """Make a migrated SQLite file of the test's own."""
    shutil.copy(template_file, tmp_path / "state.db")
    return f"sqlite:///{tmp_path / 'state.db'}"


@pytest.fixture(params=["sqlite", "postgresql", GIVEN])
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the address of each database in turn."""
    url: str = request.getfixturevalue(URLS[request.param])
    return url


Opener = Callable[[], Store]


@pytest.fixture(params=["sqlite", "postgresql", "memory", GIVEN])
async def another(request: pytest.FixtureRequest) -> AsyncIterator[Opener]:
    """Open any number of stores of one database, as replicas do. In memory all of them are one store."""
    if request.param == "memory":
        memory = MemoryStore(SystemClock(), TOPICS)
        yield lambda: memory
        return
    url = request.getfixturevalue(URLS[request.param])
    async with AsyncExitStack() as stack:

        def opened() -> Store:
            new = open_store(url, TOPICS)
            stack.push_async_callback(new.close)
            return new

        yield opened


@pytest.fixture
def store(another: Opener) -> Store:
    """The store under test."""
    return another()


@pytest.fixture
async def sql_store(database_url: str) -> AsyncIterator[SqlStore]:
    """Open a store on a real database."""
    async with open_store(database_url, TOPICS) as opened:
        yield opened


def _database(url: str, name: str) -> str:
    return f"{url.rpartition('/')[0]}/{name}"


def _emptied(url: str) -> str:
    tables = ", ".join(Row.metadata.tables)
    execute(url, f"TRUNCATE {tables} RESTART IDENTITY CASCADE")
    return url


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())
