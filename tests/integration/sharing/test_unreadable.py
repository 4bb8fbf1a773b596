"""C5: rights in the environments are enough; what may not be read is unknown where it can be an environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.adapters.kubernetes.client import KubernetesSettings, open_kubernetes
from daemon.adapters.kubernetes.holder_pod import RESET_LABEL
from daemon.adapters.kubernetes.pods import KubernetesPods
from daemon.ports.errors import PermanentError
from schemas.plan import Plan
from schemas.reasons import Reason
from statemachines.refusals import Refusal
from tests.integration.sharing.stand import PRODUCTION, SANDBOX, Cluster, catalog, planned, rights

SPEC = {"containers": [{"name": "app", "image": "fuse/app:1.0.0", "command": ["sleep", "1000"]}]}


async def test_c5_rights_by_roles_are_enough_and_default_and_teams_namespaces_need_none(
    cluster: Cluster, account: Path
) -> None:
    await cluster.namespace("monitoring")
    await cluster.namespace("cert-manager")
    await cluster.namespace(PRODUCTION)
    await cluster.workload(PRODUCTION, replicas=1)
    await cluster.grant(SANDBOX, PRODUCTION)
    await cluster.api.pods(namespace=PRODUCTION)
    answer = await planned(account)
    assert isinstance(answer, Plan), answer
    assert answer.resources[0].users == (PRODUCTION, SANDBOX)
    # Its name has the form of an environment's; the others are not even told of.
    (told,) = [warning for warning in answer.warnings if "not looked into" in warning]
    assert told.startswith("cert-manager ")
    assert "list deployments.apps in cert-manager" in told


async def test_c5_a_protected_environment_that_may_not_be_read_is_unknown_and_the_right_is_named(
    cluster: Cluster, account: Path
) -> None:
    await cluster.namespace(PRODUCTION)
    await cluster.grant(SANDBOX)
    answer = await planned(account)
    assert isinstance(answer, Refusal), answer
    assert answer.reason is Reason.SHARING_UNKNOWN
    assert f"list deployments.apps in {PRODUCTION}" in answer.detail
    assert f"list rollouts.argoproj.io in {PRODUCTION}" in answer.detail
    assert "Give the daemon's account that right" in answer.detail
    assert f"resetd protected confirm {PRODUCTION}" in answer.detail


async def test_c5_a_namespace_of_an_undeclared_kind_whose_client_is_known_may_be_its_production(
    cluster: Cluster, account: Path
) -> None:
    await cluster.namespace("acme-prod")
    await cluster.grant(SANDBOX)
    refused = await planned(account)
    assert isinstance(refused, Refusal), refused
    assert "list pods in acme-prod" in refused.detail
    # Whoever declares the kind says what it is.
    answer = await planned(account, catalog(prod={}))
    assert isinstance(answer, Plan), answer


async def test_c5_one_that_is_readable_and_shows_nothing_is_told_and_forbids_nothing(
    cluster: Cluster, admin: Path
) -> None:
    await cluster.namespace("acme-tools")
    await cluster.namespace("argo-rollouts")
    answer = await planned(admin)
    assert isinstance(answer, Plan), answer
    assert [warning for warning in answer.warnings if "none of the services" in warning] == [
        "acme-tools: it shows none of the services, and its kind is not in the catalog."
    ]


@pytest.mark.parametrize("resource", ["deployments", "replicasets", "statefulsets", "rollouts", "pods"])
async def test_c5_each_list_of_a_protected_environment_is_needed(
    cluster: Cluster, account: Path, resource: str
) -> None:
    await cluster.namespace(PRODUCTION)
    await cluster.workload(PRODUCTION, replicas=1)
    await cluster.api.pods(namespace=PRODUCTION)
    await cluster.grant(PRODUCTION, without=("list", resource))
    await cluster.grant(SANDBOX)
    answer = await planned(account)
    assert isinstance(answer, Refusal), answer
    assert f"list {resource}" in answer.detail


async def test_c5_where_the_sandbox_itself_may_not_be_read_the_missing_right_is_named(
    cluster: Cluster, account: Path
) -> None:
    await cluster.namespace("other-sandbox")
    await cluster.grant("other-sandbox")
    answer = await planned(account)
    assert isinstance(answer, Refusal), answer
    assert answer.reason is Reason.KUBERNETES_FORBIDDEN
    assert f"list pods in {SANDBOX}" in answer.detail


async def test_c5_holders_are_found_with_rights_in_their_environments_alone(
    cluster: Cluster, account: Path
) -> None:
    await cluster.namespace("monitoring")
    await cluster.grant(SANDBOX)
    labels = {RESET_LABEL: "0198-reset"}
    pod = {"metadata": {"name": "resetd-0198", "labels": labels}, "spec": SPEC}
    await cluster.create(f"/api/v1/namespaces/{SANDBOX}/pods", pod)
    try:
        async with open_kubernetes(KubernetesSettings(kubeconfig=str(account))) as kubernetes:
            pods = KubernetesPods(kubernetes)
            for _ in range(2):
                (holder,) = await pods.holders()
                assert (holder.environment, holder.name) == (SANDBOX, "resetd-0198")
    finally:
        path = f"/api/v1/namespaces/{SANDBOX}/pods/resetd-0198"
        await cluster.api.call("DELETE", path, gracePeriodSeconds="0")


async def test_c5_without_the_right_to_list_namespaces_nothing_is_planned(
    cluster: Cluster, account: Path
) -> None:
    await cluster.grant(SANDBOX, without=("list", "namespaces"))
    with pytest.raises(PermanentError) as raised:
        await planned(account)
    assert "list namespaces" in raised.value.detail


def test_the_shipped_rights_are_roles_but_for_the_names_of_namespaces() -> None:
    of_cluster = [one["rules"] for one in rights(SANDBOX) if one["kind"] == "ClusterRole"]
    assert of_cluster == [[{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list"]}]]
    places = {one["metadata"]["namespace"] for one in rights(SANDBOX) if one["kind"] == "Role"}
    assert places == {"argocd", SANDBOX}
    written = {verb for one in rights(SANDBOX) for rule in one.get("rules", ()) for verb in rule["verbs"]}
    assert written == {"get", "list", "create"}  # `create` for pods/exec alone
