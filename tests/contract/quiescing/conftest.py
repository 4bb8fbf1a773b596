"""Stands for the contract of quiescing. On a real cluster, RESETD_E2E_KUBECONFIG is an administrator's."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sandbox.kubernetes.launch import Running
from tests.contract.pods.stands import started
from tests.contract.quiescing.stands import ENVIRONMENT, ClusterStand, MemoryStand, Stand, cluster_stand
from tests.e2e.cluster import RealCluster, namespace
from tests.e2e.deployments import sleeper


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
    """Return the kubeconfig of a real cluster with the same tiny service, and without ArgoCD."""
    kubeconfig = os.environ.get("RESETD_E2E_KUBECONFIG")
    if not kubeconfig:
        pytest.skip("RESETD_E2E_KUBECONFIG is not set")
    real = RealCluster(kubeconfig)
    real.remove_namespace(ENVIRONMENT)
    real.apply(namespace(ENVIRONMENT), sleeper(ENVIRONMENT, GREETING="good morning"))
    yield kubeconfig
    real.remove_namespace(ENVIRONMENT)


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
