"""B3: a server in recovery is told from a primary, by the real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from daemon.adapters.postgres.databases import PostgresDatabases
from daemon.ports.errors import PermanentError
from sandbox.postgres import Server, copy, start
from sandbox.postgres.databases import create
from schemas.reasons import Reason
from tests.contract.conftest import NETWORK, PASSWORD

ENVIRONMENT = "qa-sandbox"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """Make a primary, and a standby of it."""
    primary = start(tmp_path_factory.mktemp("pair"), "primary", {"wal_level": "replica"})
    try:
        create(primary, ["core"], PASSWORD)
        standby = copy(primary, primary.log.parent, "standby", standby=True)
        yield primary, standby
        standby.discard()
    finally:
        primary.discard()


async def test_b3_a_standby_is_no_place_for_a_dump_or_a_reset(pair: tuple[Server, Server]) -> None:
    primary, standby = (server.pod_url("core", "fuse", PASSWORD) for server in pair)
    databases = PostgresDatabases(NETWORK)
    await databases.identify(primary, environment=ENVIRONMENT, direct=True)
    with pytest.raises(PermanentError) as raised:
        await databases.identify(standby, environment=ENVIRONMENT, direct=True)
    assert raised.value.reason is Reason.DATABASE_STANDBY
    assert raised.value.hint


async def test_a_standby_has_the_key_of_its_primary(pair: tuple[Server, Server]) -> None:
    """Whoever reads a standby uses the database that a reset of the primary destroys."""
    primary, standby = (server.pod_url("core", "fuse", PASSWORD) for server in pair)
    databases = PostgresDatabases(NETWORK)
    one = await databases.identify(primary, environment=ENVIRONMENT)
    assert (await databases.identify(standby, environment=ENVIRONMENT)).key == one.key
