"""What several folders of contracts use: a PostgreSQL server, the Kubernetes double and a session of its clients."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from daemon.adapters.postgres.urls import Network
from sandbox.kubernetes.launch import Running, start
from sandbox.postgres import ADDRESS, POD_HOST, Server
from sandbox.postgres import start as start_postgres
from sandbox.postgres.databases import create
from tests.contract.kubernetes_double.stand import Connector, lay_out

NETWORK = Network({POD_HOST: ADDRESS})
"""Where the daemon finds the sandbox's databases."""
PASSWORD = "s3cret-Pa55"
"""Of the role `fuse` on the server."""


def libpq(url: str) -> str:
    """A pod's connection string for a session of the test's own: on this machine, without Prisma's parameters."""
    return url.partition("?")[0].replace(POD_HOST, ADDRESS)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A PostgreSQL server with the databases `core` and `other`."""
    running = start_postgres(tmp_path_factory.mktemp("postgres"), "contract")
    try:
        create(running, ["core", "other"], PASSWORD)
        yield running
    finally:
        running.discard()


@pytest.fixture(scope="module")
def double() -> Iterator[Running]:
    """One Kubernetes double for a whole file of tests, with the images of `lay_out`."""
    with tempfile.TemporaryDirectory(prefix="double-") as directory:
        running = start(lay_out(Path(directory)))
        yield running
        running.stop()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A session for requests of the test's own to the double."""
    connector = Connector()
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session
    # A closed TLS connection is gone only after the loop's next rounds, and warns if the loop ends before.
    async with asyncio.timeout(10):
        while any(socket.fileno() >= 0 for socket in connector.made):  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0)
