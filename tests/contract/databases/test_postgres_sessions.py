"""What a real server shows of others' sessions, and who may write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from psycopg import sql

from daemon.adapters.postgres.databases import PostgresDatabases
from daemon.adapters.postgres.urls import Network, parse_address
from daemon.ports.databases import Session
from sandbox.postgres import Server
from tests.contract.conftest import NETWORK, PASSWORD, libpq

ROLES = {
    "reader": (),
    "writer": ("GRANT INSERT ON kept TO writer",),
    # Its rights are one SET ROLE away.
    "disguised": ("ALTER ROLE disguised NOINHERIT", "GRANT writer TO disguised"),
}


@pytest.fixture
async def database(server: Server) -> AsyncIterator[str]:
    """A database `visited` of the role `fuse`, with a table that some roles may write."""
    async with await psycopg.AsyncConnection.connect(server.superuser_url, autocommit=True) as admin:
        await admin.execute("CREATE DATABASE visited OWNER fuse")
    there = f"{server.superuser_url.rpartition('/')[0]}/visited"
    async with await psycopg.AsyncConnection.connect(there, autocommit=True) as admin:
        await admin.execute("CREATE TABLE kept (id int)")
        await admin.execute("ALTER TABLE kept OWNER TO fuse")
        for role, grants in ROLES.items():
            made = "CREATE ROLE {} LOGIN PASSWORD {}"
            await admin.execute(sql.SQL(made).format(sql.Identifier(role), sql.Literal(PASSWORD)))
            for grant in grants:
                await admin.execute(grant.encode())
    try:
        yield server.pod_url("visited", "fuse", PASSWORD)
    finally:
        async with await psycopg.AsyncConnection.connect(server.superuser_url, autocommit=True) as admin:
            await admin.execute("DROP DATABASE visited WITH (FORCE)")
            for role in reversed(ROLES):
                await admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


@asynccontextmanager
async def visiting(server: Server, role: str, application: str) -> AsyncIterator[None]:
    """A session of that role that does nothing."""
    url = libpq(server.pod_url("visited", role, PASSWORD))
    async with await psycopg.AsyncConnection.connect(url, application_name=application, autocommit=True):
        yield


async def sessions(url: str) -> dict[str, Session]:
    found = await PostgresDatabases(NETWORK).sessions(url, environment="qa-sandbox")
    return {session.application: session for session in found}


async def test_another_roles_session_is_seen_and_its_address_is_hidden(server: Server, database: str) -> None:
    async with visiting(server, "reader", "metabase"), visiting(server, "fuse", "console"):
        found = await sessions(database)
        assert set(found) == {"metabase", "console"}
        assert (found["metabase"].role, found["metabase"].hidden, found["metabase"].address) == (
            "reader",
            True,
            None,
        )
        assert (found["console"].hidden, found["console"].address) == (False, "127.0.0.1")
        # Asked as that role, it is the other way round.
        as_reader = await sessions(server.pod_url("visited", "reader", PASSWORD))
        assert (as_reader["metabase"].hidden, as_reader["console"].hidden) == (False, True)


@pytest.mark.parametrize(
    ("role", "writes"), [("reader", False), ("writer", True), ("disguised", True), ("fuse", True)]
)
async def test_who_may_write_is_told_also_where_the_right_is_a_set_role_away(
    server: Server, database: str, role: str, writes: bool
) -> None:
    async with visiting(server, role, "visitor"):
        assert (await sessions(database))["visitor"].writes is writes


async def test_a_superusers_session_writes(server: Server, database: str) -> None:
    there = f"{server.superuser_url.rpartition('/')[0]}/visited"
    async with await psycopg.AsyncConnection.connect(there, application_name="admin", autocommit=True):
        found = (await sessions(database))["admin"]
        assert (found.writes, found.hidden) == (True, True)


@pytest.mark.parametrize("application", ["", "resetdx", "pg_dumper", "Resetd"])
async def test_a_session_that_is_only_named_alike_is_told(
    server: Server, database: str, application: str
) -> None:
    async with visiting(server, "fuse", application):
        assert application in await sessions(database)


@pytest.mark.parametrize(
    "application",
    [
        "resetd",
        "resetd:",
        "resetd:0123",
        "resetd 0123456789abcdef",
        f"resetd-dump-{'0' * 16}",
        f"resetd-dump-{'0' * 32}",
    ],
)
async def test_c3_the_resetd_of_another_cluster_is_somebody_else(
    server: Server, database: str, application: str
) -> None:
    async with visiting(server, "fuse", application):
        assert application in await sessions(database)


@pytest.mark.parametrize("program", ["pg_dump", "pg_restore"])
async def test_c3_a_dump_of_somebody_else_from_the_same_address_is_told(
    server: Server, database: str, program: str
) -> None:
    async with visiting(server, "fuse", program):
        assert program in await sessions(database)


async def test_c3_sessions_of_the_same_daemon_are_its_own_whichever_worker_has_them(
    server: Server, database: str
) -> None:
    mine = Network(NETWORK.hosts, daemon="0123456789abcdef")
    worker, other = (
        PostgresDatabases(mine),
        PostgresDatabases(Network(NETWORK.hosts, daemon="fedcba9876543210")),
    )
    async with worker.witness(database, environment="qa-sandbox"):
        where = parse_address(database, "qa-sandbox", mine)
        async with visiting(server, "fuse", where.dump_name()):
            second = PostgresDatabases(Network(NETWORK.hosts, daemon="0123456789abcdef"))
            assert await second.sessions(database, environment="qa-sandbox") == ()
            seen = await other.sessions(database, environment="qa-sandbox")
            assert {one.application for one in seen} >= {"resetd 0123456789abcdef"}
            assert len(seen) == 2


async def test_idle_sessions_of_the_own_role_are_ended_and_what_works_or_is_anothers_stays(
    server: Server, database: str
) -> None:
    databases = PostgresDatabases(NETWORK)
    busy = libpq(server.pod_url("visited", "fuse", PASSWORD))
    async with (
        visiting(server, "reader", "metabase"),
        visiting(server, "fuse", "pooler"),
        await psycopg.AsyncConnection.connect(busy, application_name="in-transaction") as open_transaction,
    ):
        await open_transaction.execute("SELECT 1")
        found = await databases.sessions(database, environment="qa-sandbox")
        assert await databases.end_idle(database, environment="qa-sandbox", sessions=found, seconds=600) == ()
        other = [replace(each, since=each.since - timedelta(seconds=1)) for each in found if each.since]
        assert await databases.end_idle(database, environment="qa-sandbox", sessions=other, seconds=0) == ()
        ended = await databases.end_idle(database, environment="qa-sandbox", sessions=found, seconds=0)
        assert [each.application for each in ended] == ["pooler"]
        async with asyncio.timeout(10):
            while "pooler" in (left := await sessions(database)):  # noqa: ASYNC110 - asked of a server
                await asyncio.sleep(0.05)
        assert set(left) == {"metabase", "in-transaction"}
