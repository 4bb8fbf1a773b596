"""Stands for the pods' contract.

On a real cluster: RESETD_E2E_KUBECONFIG is an administrator's, RESETD_E2E_IMAGE an image of it with a shell.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from daemon.adapters.kubernetes.client import ExecLimiter
from sandbox.kubernetes.launch import Running
from tests.contract.pods.stands import ENVIRONMENT, MemoryStand, Stand, cluster_stand
from tests.contract.pods.tiny_service import service_on_cluster, service_on_double
from tests.memory.pods import MemoryPods


@pytest.fixture(scope="session")
def double() -> Iterator[Running]:
    """Run one double for all tests of this folder."""
    with service_on_double() as running:
        yield running


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """Return the kubeconfig of a real cluster with the same tiny service."""
    with service_on_cluster() as kubeconfig:
        yield kubeconfig


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
