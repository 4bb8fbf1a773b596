"""Stands for the pods' contract.

On a real cluster: RESETD_E2E_KUBECONFIG is an administrator's, RESETD_E2E_IMAGE an image of it with a shell.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from daemon.adapters.kubernetes.client import ExecLimiter
from sandbox.kubernetes.launch import Running
from tests.contract.pods.stands import ENVIRONMENT, MemoryStand, Stand, cluster_stand, started
from tests.e2e.cluster import RealCluster, namespace
from tests.e2e.deployments import sleeper
from tests.memory.pods import MemoryPods


@pytest.fixture(scope="session")
def double() -> Iterator[Running]:
    """Run one double for all tests of this folder."""
    with tempfile.TemporaryDirectory(prefix="double-") as directory:
        running = started(Path(directory))
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """Return the kubeconfig of a real cluster with the same tiny service."""
    kubeconfig = os.environ.get("RESETD_E2E_KUBECONFIG")
    if not kubeconfig:
        pytest.skip("RESETD_E2E_KUBECONFIG is not set")
    real = RealCluster(kubeconfig)
    real.remove_namespace(ENVIRONMENT)
    real.apply(namespace(ENVIRONMENT), sleeper(ENVIRONMENT, GREETING="good morning"))
    yield kubeconfig
    real.remove_namespace(ENVIRONMENT)


@pytest.fixture(params=["memory", "double", "polled", pytest.param("cluster", marks=pytest.mark.e2e)])
async def stand(request: pytest.FixtureRequest) -> AsyncIterator[Stand]:
    if request.param == "memory":
        pods = MemoryPods()
        stand = MemoryStand(pods, pods.add(ENVIRONMENT, "app", variables={"GREETING": "good morning"}))
        stand.service.program = stand.program
        yield stand
        await pods.close()
        return
    if request.param in {"double", "polled"}:
        running: Running = request.getfixturevalue("double")
        streams = ExecLimiter(0, 0) if request.param == "polled" else None
        async with cluster_stand(running.kubeconfig, running, streams=streams) as cluster:
            yield cluster
        return
    async with cluster_stand(request.getfixturevalue("cluster"), None) as cluster:
        yield cluster
