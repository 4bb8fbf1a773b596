"""What only a real server shows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from daemon.adapters.postgres.databases import MAX_CLOCK_SKEW, PostgresDatabases
from daemon.adapters.postgres.urls import parse_address
from daemon.ports.databases import Leftover
from daemon.ports.errors import PermanentError
from sandbox.postgres import Server, copy, start
from sandbox.postgres.databases import create
from schemas.reasons import Reason
from schemas.wire import AttemptId
from tests.contract.conftest import NETWORK, PASSWORD, libpq

ENVIRONMENT = "qa-sandbox"


@pytest.mark.parametrize(
    ("database", "user", "password"),
    [("core", "fuse", "wr0ng-Pa55"), ("nowhere", "fuse", PASSWORD), ("core", "nobody", "wr0ng-Pa55")],
)
async def test_a_refused_login_is_permanent_and_shows_no_password(
    server: Server, database: str, user: str, password: str
) -> None:
    url = server.pod_url(database, user, password)
    with pytest.raises(PermanentError) as raised:
        await PostgresDatabases(NETWORK).identify(url, environment=ENVIRONMENT)
    assert raised.value.reason is Reason.DATABASE_UNIDENTIFIED
    assert password not in f"{raised.value!r} {raised.value.__cause__!r}"


async def test_only_tables_of_the_application_are_counted(server: Server) -> None:
    url = server.pod_url("core", "fuse", PASSWORD)
    before = await PostgresDatabases(NETWORK).identify(url, environment=ENVIRONMENT)
    async with await psycopg.AsyncConnection.connect(libpq(url)) as connection:
        await connection.execute("CREATE TABLE counted (id int)")
    after = await PostgresDatabases(NETWORK).identify(url, environment=ENVIRONMENT)
    assert after.tables == before.tables + 1


async def test_a_statement_is_found_whose_session_a_pooler_had_before_the_attempt(server: Server) -> None:
    databases = PostgresDatabases(NETWORK)
    url = server.pod_url("core", "fuse", PASSWORD)
    async with await psycopg.AsyncConnection.connect(libpq(url)) as pooled:
        since = datetime.now(UTC) + MAX_CLOCK_SKEW
        # In a transaction that nobody ends.
        await pooled.execute("SELECT 1")
        found = await databases.leftover(
            url, environment=ENVIRONMENT, attempt=AttemptId("r/seed/1"), since=since, working_at=None
        )
    assert len(found.sessions) == 1


async def test_a_witness_goes_with_an_error_in_its_block(server: Server) -> None:
    url = server.pod_url("core", "fuse", PASSWORD)
    with pytest.raises(KeyError):
        async with PostgresDatabases(NETWORK).witness(url, environment=ENVIRONMENT):
            raise KeyError
    async with await psycopg.AsyncConnection.connect(server.superuser_url) as connection:
        row = await (
            await connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        ).fetchone()
    assert row == (0,)


def test_a_short_host_is_looked_up_in_the_environments_namespace() -> None:
    assert parse_address("postgresql://u:p@db/core", ENVIRONMENT).host == "db.qa-sandbox.svc"


@pytest.mark.parametrize("host", ["10.0.0.7", "db.other.svc", "[fd00::7]"])
def test_a_host_that_means_the_same_everywhere_is_kept(host: str) -> None:
    assert parse_address(f"postgresql://u:p@{host}/core", ENVIRONMENT).host == host.strip("[]")


def test_what_is_prismas_is_left_out_and_what_is_libpqs_is_kept() -> None:
    where = parse_address(
        "postgresql://u%40x:p%2F1@db.x:6432/los%2Dsandbox?schema=public&connection_limit=5&pgbouncer=true"
        "&sslmode=require&sslaccept=accept_invalid_certs&sslcert=/app/ca.pem",
        ENVIRONMENT,
    )
    assert (where.user, where.password, where.port, where.name) == ("u@x", "p/1", 6432, "los-sandbox")
    assert where.extra == {"sslmode": "require"}
    assert "p/1" not in where.conninfo() + repr(where) + str(where)


@pytest.mark.parametrize(
    "url", ["postgresql://u:p@h1:1,h2:2/core", "postgresql://u:p@db/", "postgresql://u:p@db:x/core"]
)
def test_a_url_without_one_host_and_a_database_is_refused(url: str) -> None:
    with pytest.raises(PermanentError):
        parse_address(url, ENVIRONMENT)


async def test_a_witness_whose_session_the_server_has_ended_is_not_alive(server: Server) -> None:
    url = server.pod_url("core", "fuse", PASSWORD)
    async with PostgresDatabases(NETWORK).witness(url, environment=ENVIRONMENT) as witness:
        async with await psycopg.AsyncConnection.connect(server.superuser_url) as connection:
            await connection.execute("SELECT pg_terminate_backend(%s)", (witness.pid,))
        assert not await witness.is_alive()


async def test_a_witness_holds_up_neither_a_dropped_schema_nor_vacuum(server: Server) -> None:
    url = server.pod_url("core", "fuse", PASSWORD)
    async with PostgresDatabases(NETWORK).witness(url, environment=ENVIRONMENT) as witness:
        async with await psycopg.AsyncConnection.connect(libpq(url), autocommit=True) as tool:
            await tool.execute("SET lock_timeout = '1s'")
            await tool.execute("CREATE SCHEMA dropped CREATE TABLE t (id int)")
            await tool.execute("DROP SCHEMA dropped CASCADE")
            row = await (
                await tool.execute(
                    "SELECT state, backend_xmin, backend_xid FROM pg_stat_activity WHERE pid = %s",
                    (witness.pid,),
                )
            ).fetchone()
        assert row == ("idle", None, None)


async def test_b2_a_witness_is_not_alive_once_its_database_was_swapped_for_another_of_its_name(
    server: Server,
) -> None:
    databases, url = PostgresDatabases(NETWORK), server.pod_url("swapped", "fuse", PASSWORD)
    async with await psycopg.AsyncConnection.connect(server.superuser_url, autocommit=True) as superuser:
        for name in ("swapped", "fresh"):
            await superuser.execute(f"CREATE DATABASE {name} OWNER fuse")
        await superuser.execute("ALTER DATABASE swapped RENAME TO old")
        await superuser.execute("ALTER DATABASE old RENAME TO swapped")
        async with databases.witness(url, environment=ENVIRONMENT) as before:
            pass
        await superuser.execute("ALTER DATABASE swapped RENAME TO old")
        await superuser.execute("ALTER DATABASE fresh RENAME TO swapped")
        async with databases.witness(url, environment=ENVIRONMENT) as after:
            assert (after.identity.key, after.incarnation != before.incarnation) == (
                before.identity.key,
                True,
            )
        for name in ("swapped", "old"):
            await superuser.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def test_b1_a_standby_is_refused_by_a_reason_of_its_own(tmp_path: Path) -> None:
    primary = start(tmp_path, "primary", {"wal_level": "replica"})
    create(primary, ["core"], PASSWORD)
    standby = copy(primary, tmp_path, "standby", standby=True)
    try:
        url = standby.pod_url("core", "fuse", PASSWORD)
        identity = await PostgresDatabases(NETWORK).identify(url, environment=ENVIRONMENT)
        async with PostgresDatabases(NETWORK).witness(
            primary.pod_url("core", "fuse", PASSWORD), environment=ENVIRONMENT
        ) as witness:
            assert identity.key == witness.identity.key
            assert not await PostgresDatabases(NETWORK).leads_to(witness, url, environment=ENVIRONMENT)
        with pytest.raises(PermanentError) as refused:
            async with PostgresDatabases(NETWORK).witness(url, environment=ENVIRONMENT):
                pass
        assert refused.value.reason is Reason.DATABASE_STANDBY
        assert refused.value.hint
    finally:
        standby.discard()
        primary.discard()


@contextmanager
def roles(server: Server, *statements: str) -> Iterator[None]:
    """Roles that exist for a while."""
    with psycopg.connect(server.superuser_url, autocommit=True) as superuser:
        for statement in statements:
            superuser.execute(statement)
        yield
        for role in ("becomes", "migrator"):
            superuser.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (role,)
            )
            superuser.execute(f"DROP ROLE IF EXISTS {role}")


@asynccontextmanager
async def in_statement(url: str) -> AsyncIterator[None]:
    """A session that is in a transaction which nobody ends."""
    async with await psycopg.AsyncConnection.connect(libpq(url)) as orphan:
        await orphan.execute("SELECT 1")
        yield


async def leftover(server: Server, role: str) -> Leftover:
    return await PostgresDatabases(NETWORK).leftover(
        server.pod_url("core", role, PASSWORD),
        environment=ENVIRONMENT,
        attempt=AttemptId("r/seed/1"),
        since=datetime.now(UTC) - timedelta(minutes=1),
        working_at=None,
    )


async def test_c4_an_orphan_of_a_role_that_is_set_to_become_another_one_is_found(server: Server) -> None:
    with roles(
        server,
        f"CREATE ROLE becomes LOGIN PASSWORD '{PASSWORD}' IN ROLE fuse",
        "ALTER ROLE becomes SET ROLE fuse",
    ):
        async with in_statement(server.pod_url("core", "becomes", PASSWORD)):
            found = await leftover(server, "becomes")
        assert len(found.sessions) == 1
        assert "of becomes since" in found.sessions[0]
        assert found.hidden == ()


async def test_c4_an_orphan_of_a_role_whose_statements_are_hidden_from_ours_is_told_as_hidden(
    server: Server,
) -> None:
    with roles(server, f"CREATE ROLE migrator LOGIN PASSWORD '{PASSWORD}'"):
        async with in_statement(server.pod_url("core", "migrator", PASSWORD)):
            found = await leftover(server, "fuse")
            assert found.sessions == ()
            (hidden,) = found.hidden
            assert hidden.endswith("of migrator")
        async with await psycopg.AsyncConnection.connect(
            libpq(server.pod_url("core", "migrator", PASSWORD)), autocommit=True
        ) as idle:
            await idle.execute("SELECT 1")
            assert (await leftover(server, "fuse")).hidden == ()


async def test_c4_an_orphan_of_another_role_is_found_where_its_statements_are_shown(server: Server) -> None:
    with roles(
        server,
        f"CREATE ROLE migrator LOGIN PASSWORD '{PASSWORD}'",
        f"CREATE ROLE becomes LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_read_all_stats",
    ):
        async with in_statement(server.pod_url("core", "migrator", PASSWORD)):
            found = await leftover(server, "becomes")
        assert [session.split(" since")[0].split("of ")[1] for session in found.sessions] == ["migrator"]
