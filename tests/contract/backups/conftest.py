"""The same contract on a real server with PostgreSQL's programs, and in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from daemon.adapters.dumps.directory import DirectoryDumps
from daemon.adapters.postgres.backups import PostgresBackups
from daemon.adapters.postgres.databases import PostgresDatabases
from daemon.ports.backups import Backups
from daemon.ports.databases import Databases
from sandbox.postgres import Server
from tests.contract.conftest import NETWORK, PASSWORD, libpq
from tests.memory.backups import MemoryBackups
from tests.memory.databases import MemoryDatabase, MemoryDatabases

ENVIRONMENT = "qa-sandbox"
FILL = """
DROP SCHEMA IF EXISTS side CASCADE;
DROP TABLE IF EXISTS people, later CASCADE;
DROP TYPE IF EXISTS mood;
CREATE TYPE mood AS ENUM ('fine', 'tired');
CREATE SCHEMA side;
CREATE TABLE side.notes (id int PRIMARY KEY);
CREATE TABLE people (id serial PRIMARY KEY, name text NOT NULL, mood mood);
COMMENT ON TABLE people IS 'kept';
INSERT INTO people (name, mood) SELECT 'person ' || md5(n::text), 'fine' FROM generate_series(1, 2000) n;
"""
CHANGE = """
ALTER TABLE people DROP COLUMN mood;
DROP TYPE mood;
TRUNCATE people;
DROP SCHEMA side CASCADE;
CREATE TABLE later (person int);
"""


@dataclass
class Stand:
    """A database with contents, and ways to change and compare them and to hurt the store."""

    backups: Backups
    databases: Databases
    url: str
    change: Callable[[], Awaitable[None]]
    contents: Callable[[], Awaitable[object]]
    cut: Callable[[str], None]
    """Cuts a stored dump to a third."""
    flip_a_byte: Callable[[str], None]
    """Changes a byte in the middle of a stored dump."""
    stored: Callable[[], set[str]]
    """Returns the paths of everything in the store that looks like a dump."""


def flipped(whole: bytes) -> bytes:
    """Return the same with another byte in the middle."""
    middle = len(whole) // 2
    return whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]


@pytest.fixture
def url(server: Server) -> str:
    """Make a stand with a database of fresh contents."""
    url = server.pod_url("core", "fuse", PASSWORD)
    with psycopg.connect(libpq(url), autocommit=True) as connection:
        connection.execute(FILL)
    return url


@pytest.fixture(params=["memory", "postgres"])
def stand(request: pytest.FixtureRequest, tmp_path: Path) -> Stand:
    if request.param == "memory":
        return _memory()
    url: str = request.getfixturevalue("url")
    root = tmp_path / "backups"

    async def change() -> None:
        async with await psycopg.AsyncConnection.connect(libpq(url)) as connection:
            await connection.execute(CHANGE)

    async def contents() -> object:
        return await contents_of(url)

    def cut(path: str) -> None:
        whole = (root / path).read_bytes()
        (root / path).write_bytes(whole[: len(whole) // 3])

    def flip_a_byte(path: str) -> None:
        (root / path).write_bytes(flipped((root / path).read_bytes()))

    return Stand(
        backups=PostgresBackups(DirectoryDumps(root), network=NETWORK),
        databases=PostgresDatabases(NETWORK),
        url=url,
        change=change,
        contents=contents,
        cut=cut,
        flip_a_byte=flip_a_byte,
        stored=lambda: {str(path.relative_to(root)) for path in root.rglob("*.dump")},
    )


async def contents_of(url: str) -> object:
    """Return the tables with their comments, and all rows of `people`."""
    async with await psycopg.AsyncConnection.connect(libpq(url)) as connection:
        tables = await connection.execute(
            "SELECT n.nspname, c.relname, obj_description(c.oid) FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind = 'r' AND n.nspname IN ('public', 'side') ORDER BY 1, 2"
        )
        rows = await connection.execute("SELECT p::text FROM people p ORDER BY id")
        return await tables.fetchall(), await rows.fetchall()


def _memory() -> Stand:
    databases = MemoryDatabases()
    url = "postgresql://fuse:pw@db/core"
    database = databases.add(url, MemoryDatabase("7001", "core", {"people": ["ann", "bob"]}))
    backups = MemoryBackups(databases)

    async def change() -> None:
        database.tables = {"later": []}

    async def contents() -> object:
        return dict(database.tables)

    def cut(path: str) -> None:
        backups.files[path] = backups.files[path][: len(backups.files[path]) // 3]

    def flip_a_byte(path: str) -> None:
        backups.files[path] = flipped(backups.files[path])

    return Stand(
        backups=backups,
        databases=databases,
        url=url,
        change=change,
        contents=contents,
        cut=cut,
        flip_a_byte=flip_a_byte,
        stored=lambda: set(backups.files),
    )
