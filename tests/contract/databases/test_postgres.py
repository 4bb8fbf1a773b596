"""What only a real server shows."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest

from daemon.adapters.postgres.databases import MAX_CLOCK_SKEW, PostgresDatabases
from daemon.adapters.postgres.urls import parse_address
from daemon.ports.errors import PermanentError
from sandbox.postgres import Server
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


async def test_the_lock_goes_with_an_error_in_its_block(server: Server) -> None:
    url = server.pod_url("core", "fuse", PASSWORD)
    databases = PostgresDatabases(NETWORK)
    with pytest.raises(KeyError):
        async with databases.hold_lock(url, environment=ENVIRONMENT):
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
        "&sslmode=require&sslaccept=strict&sslcert=/app/ca.pem",
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


async def test_a_lock_whose_session_the_server_has_ended_is_held_no_longer(server: Server) -> None:
    url = server.pod_url("core", "fuse", PASSWORD)
    async with PostgresDatabases(NETWORK).hold_lock(url, environment=ENVIRONMENT) as lock:
        async with await psycopg.AsyncConnection.connect(server.superuser_url) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid::bigint = %s",
                (lock.number,),
            )
        assert not await lock.is_held()
