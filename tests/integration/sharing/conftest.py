"""One double for a whole file, and what is added to it for one test."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from sandbox.kubernetes.launch import Running, start
from tests.contract.kubernetes_double.stand import Api
from tests.integration.sharing.stand import SANDBOX, Cluster, lay_out


@pytest.fixture(scope="module")
def double() -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="sharing-") as directory:
        running = start(lay_out(Path(directory)))
        yield running
        running.stop()


@pytest.fixture
async def cluster(double: Running) -> AsyncIterator[Cluster]:
    """The double with its sandbox ready; what the test adds is taken away again."""
    async with aiohttp.ClientSession() as session:
        cluster = Cluster(Api(double.kubeconfig, session))
        await cluster.api.pods(namespace=SANDBOX)
        yield cluster
        await cluster.remove()


@pytest.fixture
def admin(double: Running) -> Path:
    """A kubeconfig that may do everything."""
    return Path(double.kubeconfig)


@pytest.fixture
def account(double: Running) -> Path:
    """A kubeconfig that may do what Roles give it."""
    return Path(double.kubeconfig).with_name("account.kubeconfig")
