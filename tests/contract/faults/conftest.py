"""A running double with its armoury, and clients of the daemon's account and of the admin."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from sandbox.faults.armoury import Armoury
from sandbox.faults.faults import Faults
from sandbox.kubernetes.launch import Running, start
from tests.contract.kubernetes_double.stand import Api, Connector, lay_out


@pytest.fixture(scope="module")
def double() -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="double-") as directory:
        running = start(lay_out(Path(directory)))
        yield running
        running.stop()


@pytest.fixture
async def faults(double: Running) -> AsyncIterator[Faults]:
    """Those of the double; each test ends with none armed."""
    faults = Faults(Path(double.kubeconfig).parent / "faults")
    yield faults
    await faults.clear()


@pytest.fixture
def armoury(tmp_path: Path) -> Armoury:
    return Armoury(tmp_path / "faults")


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    connector = Connector()
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session
    # A closed TLS connection is gone only after the loop's next rounds, and warns if the loop ends before.
    async with asyncio.timeout(10):
        while any(socket.fileno() >= 0 for socket in connector.made):  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0)


@pytest.fixture
def daemon(double: Running, session: aiohttp.ClientSession) -> Api:
    """A client with the daemon's account."""
    return Api(str(Path(double.kubeconfig).with_name("resetd.kubeconfig")), session)


@pytest.fixture
def admin(double: Running, session: aiohttp.ClientSession) -> Api:
    return Api(double.kubeconfig, session)
