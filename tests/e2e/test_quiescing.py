"""A wipe that quiesces on a real Kubernetes, by an account with the shipped rights and no more."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.platform.platform import Platform
from tests.e2e.cluster import QUIESCING, RealCluster, documents, rights
from tests.e2e.figures import Kubectl, spent
from tests.integration.people.asking import ENVIRONMENT, ask
from tests.integration.stand.harness import running
from tests.integration.stand.shipped_catalog import quiescing_catalog

pytestmark = pytest.mark.e2e
WITHIN = 300.0
Figures = Callable[[str, object], None]


@pytest.fixture(scope="module")
def account(standins: Platform, real: RealCluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The daemon's account, which may quiesce in the environment with the stand-ins."""
    assert standins
    manifests = [*rights(ENVIRONMENT), *documents(QUIESCING, ENVIRONMENT)]
    return str(real.account(tmp_path_factory.mktemp("account"), manifests))


def deployments(real: RealCluster) -> dict[str, Any]:
    """What each Deployment asks for, and what it remembers."""
    return {
        one.metadata.name: (one.spec.replicas, "resetd" in json.dumps(one.metadata.annotations or {}))
        for one in real.apps().list_namespaced_deployment(ENVIRONMENT).items
    }


@pytest.mark.timeout(900)
def test_a_wipe_scales_the_services_to_0_and_gives_them_back(
    platform: Platform, account: str, real: RealCluster, tmp_path: Path, record_property: Figures
) -> None:
    platform.dirty(ENVIRONMENT)
    before = deployments(real)
    settings = {
        "RESETD_KUBECONFIG": account,
        "RESETD_CATALOG": str(quiescing_catalog(tmp_path)),
        # Nobody plays ArgoCD here, who would have to look after the release.
        "RESETD_ARGOCD_NAMESPACE": "",
    }
    with running(platform, tmp_path / "daemon", settings=settings) as harness:
        began = time.monotonic()
        reference = ask(harness, mode="wipe")
        reset = harness.wait_state(reference, "done", within=WITHIN)
        record_property("seconds", time.monotonic() - began)
        assert set(harness.launches(reset["id"]).values()) == {1}
        assert not harness.twice()
        states = spent(
            harness.reset(reference), harness.daemon.get(f"/api/v1/resets/{reference}/events")
        ).states
        record_property("quiescing, seconds", f"{states['quiescing']:.1f}")
        record_property("releasing, seconds", f"{states['releasing']:.1f}")
    assert deployments(real) == before
    typed = Kubectl(real.kubeconfig, ENVIRONMENT)
    began = time.monotonic()
    typed.scale(0)
    record_property("by hand to 0, seconds", f"{time.monotonic() - began:.1f}")
    began = time.monotonic()
    typed.scale(1)
    record_property("by hand back, seconds", f"{time.monotonic() - began:.1f}")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("right", ["get deployments", "patch deployments"])
def test_a_plan_is_refused_where_a_right_is_missing_and_names_it(
    platform: Platform, account: str, real: RealCluster, tmp_path: Path, right: str
) -> None:
    verb, resource = right.split()
    lacking = documents(QUIESCING, ENVIRONMENT)
    for one in lacking:
        for rule in one.get("rules", ()):
            if rule["resources"] == [resource]:
                rule["verbs"] = [each for each in rule["verbs"] if each != verb]
    settings = {
        "RESETD_KUBECONFIG": account,
        "RESETD_CATALOG": str(quiescing_catalog(tmp_path)),
        "RESETD_ARGOCD_NAMESPACE": "",
    }
    real.apply(*lacking)
    try:
        with running(platform, tmp_path / "daemon", settings=settings) as harness:
            stopped = harness.wait_state(ask(harness, mode="wipe"), "failed", within=WITHIN)
            assert stopped["cause"] == "kubernetes-forbidden"
            assert f"missing right: {verb} {resource}.apps in {ENVIRONMENT}" in stopped["detail"]
            assert not harness.launches(stopped["id"])
    finally:
        real.apply(*documents(QUIESCING, ENVIRONMENT))
