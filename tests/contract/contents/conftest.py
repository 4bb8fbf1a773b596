"""The same contract on the real server and in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from daemon.adapters.postgres.contents import PostgresContents
from daemon.adapters.postgres.databases import PostgresDatabases
from daemon.ports.contents import Contents
from daemon.ports.databases import Databases
from sandbox.postgres import POD_HOST, Server
from tests.contract.conftest import NETWORK, PASSWORD, libpq
from tests.memory.contents import MemoryContents
from tests.memory.databases import MemoryDatabase, MemoryDatabases


class Put(Protocol):
    """Makes a table anew, with these rows; each has the same columns, whose values are texts, numbers or None."""

    def __call__(self, table: str, *rows: dict[str, Any]) -> None: ...


@dataclass
class Stand:
    """`url` leads to a database with the tables that `put` makes; `silent` to nobody."""

    contents: Contents
    databases: Databases
    url: str
    silent: str
    put: Put


@pytest.fixture(params=["memory", "postgres"])
def stand(request: pytest.FixtureRequest) -> Stand:
    if request.param == "memory":
        return _memory()
    running: Server = request.getfixturevalue("server")
    url = running.pod_url("other", "fuse", PASSWORD)
    plain = libpq(url)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS public CASCADE")
        connection.execute("CREATE SCHEMA public")

    def put(table: str, *rows: dict[str, Any]) -> None:
        with psycopg.connect(plain, autocommit=True) as connection:
            name = sql.Identifier(table)
            connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))
            columns = list(rows[0]) if rows else ["name"]
            made = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(column)) for column in columns)
            connection.execute(sql.SQL("CREATE TABLE {} ({})").format(name, made))
            for row in rows:
                values = sql.SQL(", ").join(sql.Placeholder() * len(columns))
                connection.execute(
                    sql.SQL("INSERT INTO {} VALUES ({})").format(name, values),
                    [Jsonb(one) if isinstance(one, dict) else one for one in row.values()],
                )

    return Stand(
        PostgresContents(NETWORK),
        PostgresDatabases(NETWORK),
        url,
        f"postgresql://fuse:{PASSWORD}@{POD_HOST}:1/other",
        put,
    )


def _memory() -> Stand:
    databases = MemoryDatabases()
    url = "postgresql://fuse:pw@db/other"
    database = databases.add(url, MemoryDatabase("7001", "other"))

    def put(table: str, *rows: dict[str, Any]) -> None:
        database.tables[table] = list(rows)

    return Stand(MemoryContents(databases), databases, url, f"postgresql://fuse:{PASSWORD}@nobody/other", put)
