"""The platform's Kafka, GitHub and PostgreSQL, with its services in pods of a real cluster."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from sandbox.platform.platform import Platform
from tests.e2e.cluster import Parts, RealCluster, rights
from tests.e2e.services import RealServices
from tests.integration.people.asking import ENVIRONMENT


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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform(real: RealCluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """All but the pods is the sandbox's; the databases are empty."""
    assert real
    async with Platform.start(tmp_path_factory.mktemp("platform"), environments=[]) as platform:
        platform.add_databases([ENVIRONMENT])
        yield platform


@pytest.fixture(scope="module")
def standins(real: RealCluster, platform: Platform) -> Iterator[Platform]:
    """The platform with its stand-ins in the cluster, migrated and seeded by their start scripts."""
    real.provision(platform, ENVIRONMENT)
    yield platform
    real.remove_namespace(ENVIRONMENT)


@pytest.fixture(scope="module")
def services(
    real: RealCluster, platform: Platform, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealServices]:
    """The platform with the real services in the cluster; nothing is migrated or seeded."""
    prepared = os.environ.get("RESETD_E2E_SERVICES")
    if not prepared:
        pytest.skip("RESETD_E2E_SERVICES is not set: where are the real services?")
    running = RealServices(Path(prepared), tmp_path_factory.mktemp("images"), real, platform, ENVIRONMENT)
    running.start()
    yield running
    real.remove_namespace(ENVIRONMENT)


@pytest.fixture(scope="module")
def kubeconfig(real: RealCluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The daemon's account, whose Roles are in the platform's one environment."""
    return str(real.account(tmp_path_factory.mktemp("account"), rights(ENVIRONMENT)))


@pytest.fixture(scope="module")
def kubeconfig_of_services(services: RealServices, kubeconfig: str) -> str:
    """The same account, in the environment with the real services."""
    assert services
    return kubeconfig


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the tests measured."""
    lines = [
        f"{report.nodeid.rpartition('::')[2]}: {value:.1f} s" if name == "seconds" else f"{name}: {value}"
        for report in terminalreporter.getreports("passed")
        if report.when == "call"
        for name, value in report.user_properties
    ]
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.write_line(line)
