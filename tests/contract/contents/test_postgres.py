"""What the contents port owes a real server: it changes nothing, waits for nobody, and leaves no session."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from daemon.adapters.postgres.contents import PostgresContents
from daemon.adapters.postgres.databases import PostgresDatabases
from daemon.ports.contents import Reader
from daemon.ports.errors import PermanentError, TemporaryError
from sandbox.postgres import Server
from schemas.checks import CheckEntry, Ledger, RowsCheck, UnchangedCheck
from schemas.reasons import Reason
from tests.contract.conftest import NETWORK, PASSWORD, libpq

ENVIRONMENT = "qa-sandbox"


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    found = server.pod_url("other", "fuse", PASSWORD)
    execute(
        found,
        "DROP SCHEMA IF EXISTS elsewhere CASCADE; DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public",
    )
    yield found
    execute(found, "DROP SCHEMA IF EXISTS elsewhere CASCADE")


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(libpq(url), autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


@asynccontextmanager
async def reading(url: str, *, timeout_ms: int = 15_000) -> AsyncIterator[Reader]:
    identity = await PostgresDatabases(NETWORK).identify(url, environment=ENVIRONMENT)
    opened = PostgresContents(NETWORK, timeout_ms=timeout_ms).open(
        url, environment=ENVIRONMENT, resource=identity.key
    )
    async with opened as reader:
        yield reader


async def test_a_query_of_the_catalog_may_use_percent_signs_and_changes_nothing(url: str) -> None:
    execute(url, "CREATE TABLE roles (name text); INSERT INTO roles VALUES ('admin'), ('viewer')")
    async with reading(url) as reader:
        like = RowsCheck(query="SELECT name FROM roles WHERE name LIKE 'adm%'", at_least=9)
        assert await reader.count(like) == 1
        assert await reader.count(RowsCheck(table=("roles",), where="name LIKE '%e%'", at_least=9)) == 1
    for harm in (
        "WITH gone AS (DELETE FROM roles RETURNING *) SELECT * FROM gone",
        "SELECT 1) AS asked) AS x; COMMIT; DELETE FROM roles; SELECT count(*) FROM (SELECT 1 FROM (SELECT 1",
        "SELECT nextval('numbers')",
    ):
        execute(url, "CREATE SEQUENCE IF NOT EXISTS numbers")
        with pytest.raises(PermanentError) as raised:
            async with reading(url) as reader:
                await reader.count(RowsCheck(query=harm))
        assert raised.value.reason is Reason.CHECK_FAILED
    assert execute(url, "SELECT count(*) FROM roles") == [(2,)]


async def test_a_question_that_takes_too_long_is_no_answer(url: str) -> None:
    with pytest.raises(TemporaryError) as raised:
        async with reading(url, timeout_ms=100) as reader:
            await reader.count(RowsCheck(query="SELECT pg_sleep(30)"))
    assert raised.value.reason is Reason.CHECK_FAILED


async def test_no_session_is_left_so_that_a_later_drop_waits_for_nobody(url: str) -> None:
    execute(url, "CREATE TABLE roles (name text)")
    async with reading(url) as reader:
        await reader.count(RowsCheck(table=("roles",)))
        await reader.fingerprint(UnchangedCheck(table=("roles",)))
    execute(url, "SET lock_timeout = '2s'; DROP SCHEMA public CASCADE; CREATE SCHEMA public")


async def test_rows_that_the_session_may_not_see_are_no_answer(url: str, server: Server) -> None:
    with psycopg.connect(server.superuser_url.rpartition("/")[0] + "/other", autocommit=True) as admin:
        admin.execute("CREATE TABLE public.hidden (name text)")
        admin.execute("INSERT INTO public.hidden VALUES ('a')")
        admin.execute("ALTER TABLE public.hidden ENABLE ROW LEVEL SECURITY")
        admin.execute("GRANT SELECT ON public.hidden TO fuse")
        admin.execute("GRANT USAGE ON SCHEMA public TO fuse")
    with pytest.raises(PermanentError) as raised:
        async with reading(url) as reader:
            await reader.count(RowsCheck(table=("hidden",)))
    assert raised.value.reason is Reason.CHECK_FAILED


async def test_a1_rows_of_a_schema_that_the_tool_does_not_use_are_no_rows_of_the_service(url: str) -> None:
    execute(
        url,
        "CREATE TABLE roles (name text); CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.role (name text)",
    )
    execute(url, "INSERT INTO elsewhere.role VALUES ('admin')")
    async with reading(url.partition("?")[0]) as reader:
        assert await reader.count(RowsCheck(table=("roles", "role", "Role"))) == 0
        assert await reader.filled([]) == {"public.roles": False}
        assert await reader.fingerprint(UnchangedCheck(table=("role",))) is None
        assert await reader.ledger(Ledger(table=("role",), column="name", pattern=".+")) is None
        assert await reader.filled(["elsewhere.ledger"]) == {"public.roles": False, "elsewhere.role": True}


async def test_a1_a_search_path_says_where_the_tool_has_its_tables(url: str) -> None:
    execute(
        url,
        "CREATE TABLE roles (name text); CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.roles (name text)",
    )
    execute(url, "INSERT INTO elsewhere.roles VALUES ('admin'); CREATE TABLE tags (name text)")
    execute(url, "INSERT INTO tags VALUES ('a')")
    plain = url.partition("?")[0]
    async with reading(f"{plain}?options=-csearch_path%3Delsewhere") as reader:
        assert await reader.count(RowsCheck(table=("roles",))) == 1
        assert await reader.count(RowsCheck(query="SELECT FROM roles")) == 1
        assert (
            await reader.count(RowsCheck(table=("tags",))) == 1
        )  # Prisma has its tables in public all the same
        assert set(await reader.filled([])) == {"elsewhere.roles", "public.roles", "public.tags"}
    async with reading(f"{plain}?schema=elsewhere") as reader:
        assert await reader.count(RowsCheck(query="SELECT FROM roles")) == 1
        assert await reader.count(RowsCheck(table=("tags",))) is None
    async with reading(f"{plain}?schema=nowhere") as reader:
        assert await reader.count(RowsCheck(table=("roles",))) is None
        assert await reader.filled([]) == {}


async def test_a_table_is_found_in_the_schema_that_the_url_names(url: str) -> None:
    execute(url, "CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.roles (name text)")
    execute(url, "INSERT INTO elsewhere.roles VALUES ('admin')")
    plain = url.partition("?")[0]
    async with reading(f"{plain}?schema=public") as reader:
        assert await reader.count(RowsCheck(table=("roles",))) is None
        assert await reader.count(RowsCheck(table=("elsewhere.roles",))) == 1
    async with reading(f"{plain}?schema=elsewhere") as reader:
        assert await reader.count(RowsCheck(table=("roles",))) == 1


async def test_partitions_count_with_their_table_and_odd_names_are_read(url: str) -> None:
    execute(url, 'CREATE TABLE "50% off" (n int); INSERT INTO "50% off" VALUES (1)')
    execute(url, "CREATE TABLE events (n int) PARTITION BY RANGE (n)")
    execute(
        url,
        "CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10); INSERT INTO events VALUES (1)",
    )
    async with reading(url) as reader:
        assert await reader.filled([]) == {"public.50% off": True, "public.events": True}


@pytest.mark.parametrize(
    "query",
    [
        "SELECT ';' AS semicolon /* ; /* ; */ */ WHERE $$;$$ = $x$;$x$",
        "SELECT 1 -- ; the first\n, 2",
        r"SELECT E'\';' || e'\\' || U&'\0041;'",
        "WITH a AS (SELECT 1), b AS (TABLE a) SELECT * FROM b",
        "VALUES (1)",
        "(SELECT 1) INTERSECT (SELECT 1)",
    ],
)
async def test_a_question_that_a_catalog_may_ask_is_understood(url: str, query: str) -> None:
    entry = CheckEntry.model_validate({"rows": {"query": query, "atLeast": 5}})
    assert entry.rows is not None
    async with reading(url) as reader:
        assert await reader.count(entry.rows) == 1


async def test_b2_the_running_server_is_the_same_one_in_whatever_time_zone_a_role_lives(url: str) -> None:
    async with reading(url) as reader:
        before = reader.incarnation
    execute(url, "ALTER ROLE CURRENT_USER SET timezone = 'Pacific/Chatham'")
    try:
        async with reading(url) as reader:
            assert reader.incarnation == before
    finally:
        execute(url, "ALTER ROLE CURRENT_USER RESET timezone")
