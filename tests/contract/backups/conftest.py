"""The same contract on a real server with PostgreSQL's programs, and in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from daemon.adapters.dumps.directory import DirectoryDumps
from daemon.adapters.postgres.backups import PostgresBackups
from daemon.adapters.postgres.databases import PostgresDatabases
from daemon.ports.backups import Backups
from daemon.ports.databases import Databases
from daemon.ports.dump_store import DumpStore
from sandbox.postgres import Server
from sandbox.s3.bucket import Bucket, flipped
from sandbox.s3.server import S3, serving
from tests.contract.conftest import NETWORK, PASSWORD, libpq
from tests.contract.dumps.conftest import KEYS, PREFIX, bucket_of
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


@pytest.fixture
def url(server: Server) -> str:
    """Make a stand with a database of fresh contents."""
    url = server.pod_url("core", "fuse", PASSWORD)
    with psycopg.connect(libpq(url), autocommit=True) as connection:
        connection.execute(FILL)
    return url


@pytest.fixture
async def s3() -> AsyncIterator[S3]:
    """Serve an empty bucket."""
    async with serving("dumps", KEYS) as s3:
        yield s3


@pytest.fixture(params=["memory", "directory", "bucket"])
def stand(request: pytest.FixtureRequest, tmp_path: Path) -> Stand:
    if request.param == "memory":
        return _memory()
    url: str = request.getfixturevalue("url")
    if request.param == "directory":
        return _on_postgres(url, DirectoryDumps(tmp_path / "backups"), _Files(tmp_path / "backups"))
    s3: S3 = request.getfixturevalue("s3")
    return _on_postgres(url, bucket_of(s3, tmp_path), _Objects(s3.bucket))


class _Files:
    """The files of a store, for a test to hurt."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __getitem__(self, path: str) -> bytes:
        return (self._root / path).read_bytes()

    def __setitem__(self, path: str, content: bytes) -> None:
        (self._root / path).write_bytes(content)

    def __iter__(self) -> Iterator[str]:
        return (str(path.relative_to(self._root)) for path in self._root.rglob("*") if path.is_file())


class _Objects:
    """The objects of a bucket, for a test to hurt."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def __getitem__(self, path: str) -> bytes:
        return self._bucket.objects[PREFIX + path].content

    def __setitem__(self, path: str, content: bytes) -> None:
        self._bucket.put(PREFIX + path, content, only_new=False)

    def __iter__(self) -> Iterator[str]:
        return (key.removeprefix(PREFIX) for key in self._bucket.objects)


def _on_postgres(url: str, store: DumpStore, kept: _Files | _Objects) -> Stand:

    async def change() -> None:
        async with await psycopg.AsyncConnection.connect(libpq(url)) as connection:
            await connection.execute(CHANGE)

    async def contents() -> object:
        return await contents_of(url)

    def cut(path: str) -> None:
        kept[path] = kept[path][: len(kept[path]) // 3]

    def flip_a_byte(path: str) -> None:
        kept[path] = flipped(kept[path])

    return Stand(
        backups=PostgresBackups(store, network=NETWORK),
        databases=PostgresDatabases(NETWORK),
        url=url,
        change=change,
        contents=contents,
        cut=cut,
        flip_a_byte=flip_a_byte,
        stored=lambda: {path for path in kept if path.endswith(".dump")},
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
