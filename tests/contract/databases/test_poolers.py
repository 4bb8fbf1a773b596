"""B4: a pooler is noticed before anything of the daemon's is set in a session of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from daemon.adapters.postgres.databases import PostgresDatabases
from daemon.ports.errors import PermanentError
from sandbox.postgres import ADDRESS, POD_HOST, Server
from sandbox.postgres.pooler import Pooler, running
from schemas.reasons import Reason
from tests.contract.conftest import NETWORK, PASSWORD

ENVIRONMENT = "qa-sandbox"
SET_OF_A_SESSION = re.compile(
    r"^\s*(SET (?!LOCAL|TRANSACTION)|LISTEN|RESET|DISCARD)|pg_advisory_lock\(|, false\)", re.IGNORECASE
)


def pooler(server: Server, **ways: bool) -> Pooler:
    return Pooler(f"host={ADDRESS} port={server.port}", PASSWORD, **ways)


async def refused(through: Pooler) -> PermanentError:
    url = through.url("core", "fuse", POD_HOST)
    with pytest.raises(PermanentError) as raised:
        await PostgresDatabases(NETWORK).identify(url, environment=ENVIRONMENT, direct=True)
    assert [query for query in through.queries if SET_OF_A_SESSION.search(query)] == []
    return raised.value


@asynccontextmanager
async def busy(through: Pooler) -> AsyncIterator[None]:
    """Hold a second client of the service in one short transaction after the other."""

    async def work() -> None:
        where = through.url("core", "fuse", ADDRESS)
        async with await psycopg.AsyncConnection.connect(where, prepare_threshold=None) as client:
            while True:
                await client.execute("SELECT count(*) FROM pg_class")
                await client.commit()

    task = asyncio.create_task(work())
    try:
        async with asyncio.timeout(10):
            while not through.queries:  # noqa: ASYNC110 - asked of a server
                await asyncio.sleep(0.01)
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_b4_a_set_that_does_not_stay_is_noticed_and_nothing_is_set_to_notice_it(server: Server) -> None:
    async with running(pooler(server)) as through, busy(through):
        found = await refused(through)
    assert found.reason is Reason.DATABASE_POOLED
    assert "directUrlVariable" in (found.hint or "")


@pytest.mark.parametrize(
    "ways",
    [
        {},
        {"round_robin": True},
        {"tells_backend": True},
        {"tells_backend": True, "round_robin": True},
        {"statement_mode": True},
    ],
)
async def test_b4_a_pooler_without_any_other_client_is_noticed(server: Server, ways: dict[str, bool]) -> None:
    async with running(pooler(server, **ways)) as through:
        assert (await refused(through)).reason is Reason.DATABASE_POOLED


async def test_b4_round_robin_among_many_idle_backends_is_noticed(server: Server) -> None:
    async with running(pooler(server, round_robin=True, tells_backend=True)) as through:
        where = through.url("core", "fuse", ADDRESS)
        async with (
            await psycopg.AsyncConnection.connect(where) as one,
            await psycopg.AsyncConnection.connect(where) as two,
            await psycopg.AsyncConnection.connect(where) as three,
        ):
            for client in (one, two, three):
                await client.execute("SELECT 1")
        assert (await refused(through)).reason is Reason.DATABASE_POOLED


async def test_a_servers_own_address_is_direct(server: Server) -> None:
    url = server.pod_url("core", "fuse", PASSWORD)
    await PostgresDatabases(NETWORK).identify(url, environment=ENVIRONMENT, direct=True)


async def test_the_sandboxes_pooler_hands_what_was_set_to_the_next_client(server: Server) -> None:
    """The double is as unkind as the real one."""
    async with running(pooler(server)) as through:
        where = through.url("core", "fuse", ADDRESS)
        async with (
            await psycopg.AsyncConnection.connect(where, autocommit=True, prepare_threshold=None) as one,
            await psycopg.AsyncConnection.connect(where, autocommit=True, prepare_threshold=None) as two,
        ):
            await one.execute("SET search_path = nowhere")
            row = await (await two.execute("SHOW search_path")).fetchone()
            assert row == ("nowhere",)
            async with two.transaction():
                await two.execute("SELECT 1")
                row = await (await one.execute("SHOW search_path")).fetchone()
                assert row != ("nowhere",)
    assert through.handed_out > 0
