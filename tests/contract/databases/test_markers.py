"""A database says whose it is by a marker, which is not believed in a copy."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest

from daemon.adapters.postgres.databases import PostgresDatabases
from daemon.ports.databases import Marker
from daemon.ports.errors import PermanentError
from sandbox.postgres import Server
from schemas.reasons import Reason
from tests.contract.conftest import NETWORK, PASSWORD
from tests.contract.databases.conftest import MARKER, Stand
from tests.contract.databases.test_databases import ENVIRONMENT

_UNMARK = "DROP SCHEMA IF EXISTS resetd CASCADE"


@pytest.fixture(autouse=True)
async def unmarked(server: Server) -> AsyncIterator[None]:
    yield
    async with await psycopg.AsyncConnection.connect(superuser_url(server), autocommit=True) as connection:
        await connection.execute(_UNMARK)


def superuser_url(server: Server) -> str:
    return f"{server.superuser_url.rpartition('/')[0]}/core"


async def test_a_database_without_a_marker_says_nothing(stand: Stand) -> None:
    identity = await stand.databases.identify(stand.core, environment=ENVIRONMENT)
    assert identity.markers == ()
    assert identity.marked == ()


async def test_a_marker_is_read_by_whoever_asks_who_the_database_is(stand: Stand) -> None:
    before = await stand.databases.identify(stand.core, environment=ENVIRONMENT)
    _, identifier, name = before.key.split("/")
    await stand.mark(stand.core, "qa-staging", identifier, name)
    await stand.mark(stand.core, "qa-sandbox", identifier, name)
    identity = await stand.databases.identify(stand.again, environment=ENVIRONMENT)
    assert identity.marked == ("qa-sandbox", "qa-staging")
    assert identity.tables == before.tables
    async with stand.databases.witness(stand.core, environment=ENVIRONMENT) as witness:
        assert witness.identity.marked == ("qa-sandbox", "qa-staging")


@pytest.mark.parametrize(("server_differs", "name_differs"), [(True, False), (False, True), (True, True)])
async def test_a_marker_that_came_with_a_copy_is_not_believed(
    stand: Stand, server_differs: bool, name_differs: bool
) -> None:
    _, identifier, name = (await stand.databases.identify(stand.core, environment=ENVIRONMENT)).key.split("/")
    await stand.mark(
        stand.core,
        "los-demo-production",
        "7000000000000000001" if server_differs else identifier,
        "los-production" if name_differs else name,
    )
    identity = await stand.databases.identify(stand.core, environment=ENVIRONMENT)
    assert identity.markers == (Marker("los-demo-production", believed=False),)
    assert identity.marked == ()


async def test_a_marker_that_the_role_may_not_read_is_no_silence(server: Server) -> None:
    async with await psycopg.AsyncConnection.connect(superuser_url(server), autocommit=True) as connection:
        await connection.execute(MARKER)
    with pytest.raises(PermanentError) as raised:
        await PostgresDatabases(NETWORK).identify(
            server.pod_url("core", "fuse", PASSWORD), environment=ENVIRONMENT
        )
    assert raised.value.reason is Reason.DATABASE_UNIDENTIFIED
    assert "permission denied for schema resetd" in raised.value.detail
