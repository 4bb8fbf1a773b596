"""C1, C2: in a protected environment a service that is not seen is unknown, and forbids every reset."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.kubernetes.objects.admission import IMAGE as INJECT_IMAGE
from schemas.plan import Plan
from schemas.reasons import Reason
from statemachines.refusals import Refusal
from tests.integration.sharing.stand import LABEL, OTHER_URL, PRODUCTION, URL, Cluster, catalog, planned


def refused(answer: Plan | Refusal) -> str:
    assert isinstance(answer, Refusal), answer
    assert {each.reason for each in answer.reasons} == {Reason.SHARING_UNKNOWN}
    return answer.detail


async def test_a_sandbox_alone_is_planned(cluster: Cluster, admin: Path) -> None:
    assert cluster.made == []
    answer = await planned(admin)
    assert isinstance(answer, Plan), answer
    assert answer.approvals_required == 0


@pytest.mark.parametrize("replicas", [0, None])
async def test_c1_a_production_of_rollouts_at_0_is_unknown_and_no_sandbox_with_its_database_is_wiped(
    cluster: Cluster, admin: Path, replicas: int | None
) -> None:
    """Scaled to 0 by KEDA; or, where nothing is said of replicas, with a pod whose image does not start."""
    await cluster.rollouts_are_served()
    await cluster.namespace(PRODUCTION)
    image = "app" if replicas == 0 else "gone"
    await cluster.workload(PRODUCTION, "rollouts", replicas=replicas, image=image)
    detail = refused(await planned(admin))
    assert f"{PRODUCTION}: app pods could not be read" in detail
    assert f"resetd protected confirm {PRODUCTION}/app" in detail


async def test_c1_a_production_with_a_running_rollout_is_read_and_protects_its_database(
    cluster: Cluster, admin: Path
) -> None:
    await cluster.rollouts_are_served()
    await cluster.namespace(PRODUCTION)
    await cluster.workload(PRODUCTION, "rollouts", replicas=1)
    await cluster.api.pods(namespace=PRODUCTION)
    answer = await planned(admin)
    assert isinstance(answer, Plan), answer
    assert answer.approvals_required == 1
    assert answer.resources[0].users == (PRODUCTION, "acme-sandbox")


async def test_c1_a_rollout_that_refers_to_a_deployment_at_0_is_seen_by_its_pods(
    cluster: Cluster, admin: Path
) -> None:
    await cluster.rollouts_are_served()
    await cluster.namespace(PRODUCTION)
    await cluster.workload(PRODUCTION, replicas=0)
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}
    await cluster.workload(PRODUCTION, "rollouts", replicas=1, workload_ref=reference)
    await cluster.api.pods(namespace=PRODUCTION)
    answer = await planned(admin)
    assert isinstance(answer, Plan), answer
    assert answer.approvals_required == 1


@pytest.mark.parametrize("kind", ["deployments", "statefulsets"])
async def test_c1_a_second_workload_of_a_productions_service_protects_its_database_as_well(
    cluster: Cluster, admin: Path, kind: str
) -> None:
    """The workload that has the service's name uses another database; its worker uses the sandbox's."""
    await cluster.namespace(PRODUCTION)
    await cluster.workload(PRODUCTION, replicas=1, url=OTHER_URL)
    await cluster.workload(PRODUCTION, kind, name="app-worker", label="app", replicas=1)
    await cluster.workload(PRODUCTION, name="app-page", label="app", replicas=1, url="")
    await cluster.api.pods(3, namespace=PRODUCTION)
    answer = await planned(admin)
    assert isinstance(answer, Plan), answer
    assert answer.approvals_required == 1
    assert answer.resources[0].users == (PRODUCTION, "acme-sandbox")


@pytest.mark.parametrize("kind", ["statefulsets", "replicasets", "deployments"])
async def test_c1_any_other_workload_at_0_is_unknown_just_as_well(
    cluster: Cluster, admin: Path, kind: str
) -> None:
    await cluster.namespace(PRODUCTION)
    await cluster.workload(PRODUCTION, kind, replicas=0)
    assert "app pods could not be read (pod-not-found)" in refused(await planned(admin))


async def test_c1_a_production_of_stateful_sets_is_read_and_protects_its_database(
    cluster: Cluster, admin: Path
) -> None:
    await cluster.namespace(PRODUCTION)
    await cluster.workload(PRODUCTION, "statefulsets", replicas=1)
    await cluster.api.pods(namespace=PRODUCTION)
    answer = await planned(admin)
    assert isinstance(answer, Plan), answer
    assert answer.approvals_required == 1


@pytest.mark.parametrize("kind", ["deployments", "statefulsets", "replicasets", "rollouts"])
@pytest.mark.parametrize("image", ["app", "gone"])
async def test_c1_a_second_workload_that_nobody_can_ask_is_unknown_although_the_service_is_seen(
    cluster: Cluster, admin: Path, kind: str, image: str
) -> None:
    """It is scaled to 0, or its image does not start. Its template has the sandbox's database."""
    await cluster.rollouts_are_served()
    await cluster.namespace(PRODUCTION)
    await cluster.workload(PRODUCTION, replicas=1, url=OTHER_URL)
    await cluster.pods_ready(PRODUCTION)
    replicas = 0 if image == "app" else 1
    await cluster.workload(PRODUCTION, kind, name="app-old", label="app", replicas=replicas, image=image)
    detail = refused(await planned(admin))
    name = {
        "deployments": "Deployment",
        "statefulsets": "StatefulSet",
        "replicasets": "ReplicaSet",
        "rollouts": "Rollout",
    }[kind]
    assert f"{PRODUCTION}: app {name} app-old" in detail
    assert "delete it" in detail
    assert f"resetd protected confirm {PRODUCTION}/app" in detail


async def test_c1_the_workload_of_the_services_name_at_0_is_unknown_although_another_one_runs(
    cluster: Cluster, admin: Path
) -> None:
    await cluster.namespace(PRODUCTION)
    await cluster.workload(PRODUCTION, name="app-green", label="app", replicas=1, url=OTHER_URL)
    await cluster.pods_ready(PRODUCTION)
    await cluster.workload(PRODUCTION, replicas=0)
    assert "app Deployment app is scaled to 0" in refused(await planned(admin))


@pytest.mark.parametrize("kind", ["deployments", "statefulsets", "rollouts"])
async def test_c1_a_second_workload_at_0_with_the_same_variables_is_seen_by_the_one_that_runs(
    cluster: Cluster, admin: Path, kind: str
) -> None:
    await cluster.rollouts_are_served()
    await cluster.namespace(PRODUCTION)
    await cluster.workload(PRODUCTION, replicas=1, url=OTHER_URL)
    await cluster.pods_ready(PRODUCTION)
    await cluster.workload(PRODUCTION, kind, name="app-green", label="app", replicas=0, url=OTHER_URL)
    answer = await planned(admin)
    assert isinstance(answer, Plan), answer
    assert answer.approvals_required == 0


async def test_c1_the_replica_sets_at_0_that_each_rollout_leaves_behind_forbid_nothing(
    cluster: Cluster, admin: Path
) -> None:
    """The Deployment was moved from the sandbox's database to another one."""
    await cluster.namespace(PRODUCTION)
    await cluster.workload(PRODUCTION, replicas=1)
    await cluster.pods_ready(PRODUCTION)
    await cluster.set_url(PRODUCTION, "deployments", "app", OTHER_URL)
    await cluster.pods_ready(PRODUCTION, url=OTHER_URL)
    answer = await planned(admin)
    assert isinstance(answer, Plan), answer
    assert answer.approvals_required == 0


async def test_c1_a_template_that_no_pod_was_made_by_is_unknown(cluster: Cluster, admin: Path) -> None:
    """The pod of a StatefulSet stays as it was made; the next one has the sandbox's database."""
    await cluster.namespace(PRODUCTION)
    await cluster.workload(PRODUCTION, "statefulsets", replicas=1, url=OTHER_URL)
    await cluster.pods_ready(PRODUCTION)
    assert isinstance(await planned(admin), Plan)
    await cluster.set_url(PRODUCTION, "statefulsets", "app", URL)
    assert "app StatefulSet app has a template" in refused(await planned(admin))


async def test_c1_a_stateful_set_whose_pods_a_policy_changes_is_seen_by_its_revision(
    cluster: Cluster, admin: Path
) -> None:
    """The pod's image is another one than the template says."""
    await cluster.namespace(PRODUCTION)
    path = f"/api/v1/namespaces/{PRODUCTION}"
    body = {"metadata": {"annotations": {INJECT_IMAGE: "fuse/app:1.0.0"}}}
    answer = await cluster.api.call("PATCH", path, body, "application/merge-patch+json")
    assert answer.code == 200, answer.body
    await cluster.workload(PRODUCTION, "statefulsets", replicas=1, url=OTHER_URL, image="unpinned")
    await cluster.pods_ready(PRODUCTION)
    assert isinstance(await planned(admin), Plan)


async def test_c1_a_service_that_does_not_start_hides_no_worker_that_runs(
    cluster: Cluster, admin: Path
) -> None:
    """A word answers for the service; its worker is seen to use the sandbox's database all the same."""
    await cluster.namespace(PRODUCTION)
    await cluster.workload(PRODUCTION, name="app-worker", label="app", replicas=1)
    await cluster.pods_ready(PRODUCTION)
    await cluster.workload(PRODUCTION, replicas=1, url=OTHER_URL, image="gone")
    await cluster.api.until(
        f"/api/v1/namespaces/{PRODUCTION}/pods",
        lambda found: len(found["items"]) == 2,  # its own and the worker's
    )
    answer = await planned(admin, words=(f"{PRODUCTION}/app",))
    assert isinstance(answer, Plan), answer
    assert answer.resources[0].users == (PRODUCTION, "acme-sandbox")


async def test_c1_a_second_workload_at_0_of_an_unprotected_environment_forbids_nothing(
    cluster: Cluster, admin: Path
) -> None:
    await cluster.namespace("beta-sandbox")
    await cluster.workload("beta-sandbox", replicas=1, url=OTHER_URL)
    await cluster.pods_ready("beta-sandbox")
    await cluster.workload("beta-sandbox", name="app-old", label="app", replicas=0)
    assert isinstance(await planned(admin), Plan)


async def test_c1_a_job_under_the_label_whose_pod_starts_or_fails_forbids_nothing(
    cluster: Cluster, admin: Path
) -> None:
    await cluster.namespace(PRODUCTION)
    await cluster.workload(PRODUCTION, replicas=1, url=OTHER_URL)
    await cluster.pods_ready(PRODUCTION)
    await cluster.job_pod(PRODUCTION, "app-nightly", label="app", image="gone")
    assert isinstance(await planned(admin), Plan)


async def test_c1_a_word_about_the_service_answers_for_a_workload_at_0_and_what_runs_is_still_read(
    cluster: Cluster, admin: Path
) -> None:
    """The service's own workload is down as well; its worker uses the sandbox's database."""
    await cluster.namespace(PRODUCTION)
    await cluster.workload(PRODUCTION, replicas=0, url=OTHER_URL)
    await cluster.workload(PRODUCTION, name="app-old", label="app", replicas=0, url=OTHER_URL)
    answer = await planned(admin, words=(f"{PRODUCTION}/app",))
    assert isinstance(answer, Plan), answer
    assert answer.approvals_required == 0
    await cluster.workload(PRODUCTION, name="app-worker", label="app", replicas=1)
    await cluster.pods_ready(PRODUCTION)
    answer = await planned(admin, words=(f"{PRODUCTION}/app",))
    assert isinstance(answer, Plan), answer
    assert answer.approvals_required == 1
    assert answer.resources[0].users == (PRODUCTION, "acme-sandbox")


async def test_c1_a_production_that_runs_nothing_at_all_is_unknown(cluster: Cluster, admin: Path) -> None:
    await cluster.namespace(PRODUCTION)
    detail = refused(await planned(admin))
    assert f"{PRODUCTION} shows no workload of app (no workload and no pod has {LABEL}=app)" in detail
    assert f"resetd protected confirm {PRODUCTION}/app" in detail


@pytest.mark.parametrize("replicas", [0, 1])
async def test_c2_a_production_whose_deployments_have_other_labels_is_unknown(
    cluster: Cluster, admin: Path, replicas: int
) -> None:
    await cluster.namespace(PRODUCTION)
    await cluster.workload(PRODUCTION, replicas=replicas, label="app-v2")
    detail = refused(await planned(admin))
    assert f"the labels of Deployment app are {LABEL}=app-v2" in detail
    assert "Correct `selector` in the catalog" in detail


async def test_c2_an_environment_of_an_undeclared_kind_that_shows_a_service_by_its_name_counts_as_well(
    cluster: Cluster, admin: Path
) -> None:
    await cluster.namespace("beta-prod")
    await cluster.workload("beta-prod", label="web")
    assert "beta-prod shows no workload of app" in refused(await planned(admin))


@pytest.mark.parametrize("absent", ["production", PRODUCTION, "*-production"])
async def test_what_the_catalog_says_is_absent_is_not_looked_for_and_the_plan_says_so(
    cluster: Cluster, admin: Path, absent: str
) -> None:
    await cluster.namespace(PRODUCTION)
    answer = await planned(admin, catalog(absent))
    assert isinstance(answer, Plan), answer
    assert f"{PRODUCTION} shows no app; the catalog says that it has none." in answer.warnings


async def test_what_is_seen_counts_although_the_catalog_says_that_it_is_absent(
    cluster: Cluster, admin: Path
) -> None:
    await cluster.namespace(PRODUCTION)
    await cluster.workload(PRODUCTION, replicas=1)
    await cluster.api.pods(namespace=PRODUCTION)
    answer = await planned(admin, catalog("production"))
    assert isinstance(answer, Plan), answer
    assert answer.approvals_required == 1
