"""What a witness sees of others at work: who is connected, and how much was written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import psycopg
import pytest

from daemon.adapters.postgres.databases import PostgresDatabases
from daemon.ports.databases import Witness
from daemon.ports.errors import TemporaryError
from sandbox.postgres import Server
from statemachines.steps.activity import Client, Written
from tests.contract.conftest import NETWORK, PASSWORD, libpq
from tests.contract.databases.conftest import Stand

ENVIRONMENT = "qa-sandbox"
SOON = 10.0


async def test_a_witness_tells_who_is_in_its_database_but_for_the_daemon(stand: Stand) -> None:
    async with (
        stand.databases.witness(stand.core, environment=ENVIRONMENT) as witness,
        stand.databases.witness(stand.core, environment=ENVIRONMENT),
        stand.working(stand.core, "seed"),
        stand.working(stand.other, "elsewhere"),
    ):
        found = await witness.clients()
        assert [(one.role, one.application, one.hidden) for one in found] == [("fuse", "seed", False)]


async def test_a_witness_whose_session_has_ended_can_not_tell(stand: Stand) -> None:
    async with stand.databases.witness(stand.core, environment=ENVIRONMENT) as witness:
        stand.restart()
        for asked in (witness.clients, witness.written):
            with pytest.raises(TemporaryError):
                await asked()


async def test_counts_of_a_server_that_was_started_again_can_not_be_compared(stand: Stand) -> None:
    async with stand.databases.witness(stand.core, environment=ENVIRONMENT) as witness:
        before = await witness.written()
        assert await witness.written() == before
        stand.restart()
    async with stand.databases.witness(stand.core, environment=ENVIRONMENT) as witness:
        assert (await witness.written()).since != before.since


@pytest.fixture
async def seeded(server: Server) -> AsyncIterator[str]:
    """URL of a database `seeded` of the role `fuse` with an empty table, and of another role."""
    async with await psycopg.AsyncConnection.connect(server.superuser_url, autocommit=True) as admin:
        await admin.execute("CREATE DATABASE seeded OWNER fuse")
        await admin.execute(f"CREATE ROLE migrator LOGIN PASSWORD '{PASSWORD}'".encode())
    url = server.pod_url("seeded", "fuse", PASSWORD)
    async with await psycopg.AsyncConnection.connect(libpq(url), autocommit=True) as fuse:
        await fuse.execute("CREATE TABLE roles (id int PRIMARY KEY)")
    try:
        yield url
    finally:
        async with await psycopg.AsyncConnection.connect(server.superuser_url, autocommit=True) as admin:
            await admin.execute("DROP DATABASE seeded WITH (FORCE)")
            await admin.execute("DROP ROLE migrator")


async def until(witness: Witness, holds: Callable[[Written], bool]) -> Written:
    async with asyncio.timeout(SOON):
        while not holds(found := await witness.written()):  # noqa: ASYNC110 - asked of a server
            await asyncio.sleep(0.05)
    return found


async def run(url: str, *statements: str) -> None:
    async with await psycopg.AsyncConnection.connect(libpq(url), autocommit=True) as connection:
        for statement in statements:
            await connection.execute(statement.encode())


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO roles VALUES (1)",
        "UPDATE roles SET id = id + 100",
        "DELETE FROM roles",
        "INSERT INTO roles VALUES (7) ON CONFLICT (id) DO UPDATE SET id = 7",
    ],
)
async def test_a_session_of_an_instant_is_told_by_what_it_wrote(seeded: str, statement: str) -> None:
    await run(seeded, "INSERT INTO roles VALUES (7)")
    async with PostgresDatabases(NETWORK).witness(seeded, environment=ENVIRONMENT) as witness:
        before = await until(witness, lambda found: found.rows == 1)
        await run(seeded, statement)
        after = await until(witness, lambda found: found.rows > before.rows)
        assert after.since == before.since


@pytest.mark.parametrize(
    "statements",
    [
        ["SELECT * FROM roles"],
        ["INSERT INTO roles VALUES (7) ON CONFLICT DO NOTHING"],
        ["ANALYZE roles", "VACUUM roles", "CREATE TABLE other (id int)", "COMMENT ON TABLE roles IS 'x'"],
        ["CREATE TEMP TABLE mine AS SELECT 1", "INSERT INTO mine VALUES (2)"],
    ],
)
async def test_what_writes_no_row_of_a_table_is_not_counted(seeded: str, statements: list[str]) -> None:
    await run(seeded, "INSERT INTO roles VALUES (7)")
    async with PostgresDatabases(NETWORK).witness(seeded, environment=ENVIRONMENT) as witness:
        await until(witness, lambda found: found.rows == 1)
        # One session reports all that it did at once: its one row would come with others.
        await run(seeded, *statements, "INSERT INTO roles VALUES (8)")
        assert (await until(witness, lambda found: found.rows > 1)).rows == 2


async def test_statistics_that_were_reset_can_not_be_compared(server: Server, seeded: str) -> None:
    there = f"{server.superuser_url.rpartition('/')[0]}/seeded"
    async with (
        PostgresDatabases(NETWORK).witness(seeded, environment=ENVIRONMENT) as witness,
        await psycopg.AsyncConnection.connect(there, autocommit=True) as admin,
    ):
        for reset in (
            "SELECT pg_stat_reset()",
            "SELECT pg_stat_reset_single_table_counters('roles'::regclass)",
        ):
            before = await witness.written()
            await admin.execute(reset.encode())
            await until(witness, lambda found, before=before: found.since != before.since)  # type: ignore[misc]


async def test_a_session_of_another_role_is_seen_by_name_and_its_kind_is_hidden(
    server: Server, seeded: str
) -> None:
    url = libpq(server.pod_url("seeded", "migrator", PASSWORD))
    async with (
        PostgresDatabases(NETWORK).witness(seeded, environment=ENVIRONMENT) as witness,
        await psycopg.AsyncConnection.connect(url, application_name="prisma") as connection,
    ):
        pid = connection.info.backend_pid
        assert await witness.clients() == (Client(pid, "migrator", "prisma", hidden=True),)


async def test_workers_of_a_standing_session_are_no_clients(seeded: str) -> None:
    async with (
        PostgresDatabases(NETWORK).witness(seeded, environment=ENVIRONMENT) as witness,
        await psycopg.AsyncConnection.connect(libpq(seeded), autocommit=True) as pool,
    ):
        before = await witness.clients()
        for setting in (
            "min_parallel_table_scan_size = 0",
            "parallel_setup_cost = 0",
            "parallel_tuple_cost = 0",
            "debug_parallel_query = on",
        ):
            await pool.execute(f"SET {setting}".encode())
        await pool.execute("INSERT INTO roles SELECT generate_series(1, 2000)")
        working = asyncio.create_task(
            pool.execute("SELECT count(*) FROM roles WHERE pg_sleep(0.0005) IS NOT NULL")
        )
        while not working.done():
            assert await witness.clients() == before
            await asyncio.sleep(0.05)
        await working
