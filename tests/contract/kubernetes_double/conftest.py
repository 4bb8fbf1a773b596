"""Running doubles, and what speaks to them."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from sandbox.kubernetes.launch import Arguments, Running, start
from tests.contract.kubernetes_double.stand import NAMESPACE, Api, Connector, lay_out


@pytest.fixture(scope="module")
def double() -> Iterator[Running]:
    """One server for a whole file of tests."""
    with tempfile.TemporaryDirectory(prefix="double-") as directory:
        running = start(lay_out(Path(directory)))
        yield running
        running.stop()


@pytest.fixture
def own_double(tmp_path: Path) -> Iterator[list[Running]]:
    """A server for one test that kills or restarts it: the last of the list is the running one."""
    running = [start(lay_out(tmp_path))]
    yield running
    if running[-1].process.poll() is None:
        running[-1].stop()


@pytest.fixture
def restart(tmp_path: Path) -> Callable[[], Running]:
    """Starts the server of `own_double` again on the same directory."""
    arguments = Arguments(tmp_path / "cluster", tmp_path / "images", tmp_path / "variables.json")
    return lambda: start(replace(arguments, environments=(NAMESPACE,)))


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
def api(double: Running, session: aiohttp.ClientSession) -> Api:
    return Api(double.kubeconfig, session)


@pytest.fixture
def viewer(double: Running, session: aiohttp.ClientSession) -> Api:
    return Api(str(Path(double.kubeconfig).with_name("viewer.kubeconfig")), session)


@pytest.fixture
def connect(session: aiohttp.ClientSession) -> Callable[[Running], Api]:
    return lambda running: Api(running.kubeconfig, session)
