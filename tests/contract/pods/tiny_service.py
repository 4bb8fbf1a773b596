"""A cluster with one tiny service: the Kubernetes double, or a real one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.kubernetes.launch import Running
from tests.contract.pods.stands import ENVIRONMENT, started
from tests.e2e.cluster import RealCluster, namespace
from tests.e2e.deployments import sleeper


@contextmanager
def service_on_double() -> Iterator[Running]:
    """Run a double with the service for as long as the block runs."""
    with tempfile.TemporaryDirectory(prefix="double-") as directory:
        running = started(Path(directory))
        try:
            yield running
        finally:
            running.stop()


@contextmanager
def service_on_cluster() -> Iterator[str]:
    """Have the service in the cluster of RESETD_E2E_KUBECONFIG, an administrator's, which is returned."""
    kubeconfig = os.environ.get("RESETD_E2E_KUBECONFIG")
    if not kubeconfig:
        pytest.skip("RESETD_E2E_KUBECONFIG is not set")
    real = RealCluster(kubeconfig)
    real.remove_namespace(ENVIRONMENT)
    real.apply(namespace(ENVIRONMENT), sleeper(ENVIRONMENT, GREETING="good morning"))
    yield kubeconfig
    real.remove_namespace(ENVIRONMENT)
