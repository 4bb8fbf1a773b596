"""The platform's Kafka, GitHub and PostgreSQL, with its services in pods of a real cluster."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sandbox.platform.platform import Platform
from tests.e2e.cluster import Parts, RealCluster


@pytest.fixture(scope="session")
def real() -> RealCluster:
    """The cluster of RESETD_E2E_KUBECONFIG, which has to be this machine and allows hostPath."""
    kubeconfig = os.environ.get("RESETD_E2E_KUBECONFIG")
    if not kubeconfig:
        pytest.skip("RESETD_E2E_KUBECONFIG is not set")
    return RealCluster(kubeconfig)


@pytest.fixture(scope="session")
def parts() -> Parts:
    """The stand's processes, where RESETD_E2E_STAND names its directory."""
    stand = os.environ.get("RESETD_E2E_STAND")
    if not stand:
        pytest.skip("RESETD_E2E_STAND is not set: whose parts are to be killed?")
    return Parts(Path(stand))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def platform(real: RealCluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """All but the pods is the sandbox's; `qa-sandbox` is in the cluster, migrated and seeded by its start scripts."""
    directory = tmp_path_factory.mktemp("platform")
    async with Platform.start(directory, environments=[]) as platform:
        platform.add_databases(["qa-sandbox"])
        real.provision(platform, "qa-sandbox")
        yield platform
        real.remove_namespace("qa-sandbox")
