"""Stands for the contract of quiescing. On a real cluster, RESETD_E2E_KUBECONFIG is an administrator's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from sandbox.kubernetes.launch import Running
from tests.contract.pods.tiny_service import service_on_cluster, service_on_double
from tests.contract.quiescing.stands import ClusterStand, MemoryStand, Stand, cluster_stand


@pytest.fixture(scope="session")
def double() -> Iterator[Running]:
    """Run one double for all tests of this folder."""
    with service_on_double() as running:
        yield running


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """Return the kubeconfig of a real cluster with the same tiny service, and without ArgoCD."""
    with service_on_cluster() as kubeconfig:
        yield kubeconfig


@pytest.fixture
async def on_double(double: Running) -> AsyncIterator[ClusterStand]:
    """The stand on the double, for what memory has not."""
    async with cluster_stand(double.kubeconfig, "argocd", acts=True) as stand:
        yield stand


@pytest.fixture(params=["memory", "double", pytest.param("cluster", marks=pytest.mark.e2e)])
async def stand(request: pytest.FixtureRequest) -> AsyncIterator[Stand]:
    """Each place where the contract is played."""
    if request.param == "memory":
        memory = MemoryStand()
        yield memory
        await memory.pods.close()
        return
    if request.param == "double":
        async with cluster_stand(request.getfixturevalue("double").kubeconfig, "argocd") as stand:
            yield stand
        return
    async with cluster_stand(request.getfixturevalue("cluster"), "") as stand:
        yield stand
