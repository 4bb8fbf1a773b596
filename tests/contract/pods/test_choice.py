"""Which pod and container are chosen, from documents as the API server sends them."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kubernetes_asyncio.client import (
    V1Container,
    V1ContainerState,
    V1ContainerStateRunning,
    V1ContainerStatus,
    V1ObjectMeta,
    V1OwnerReference,
    V1Pod,
    V1PodCondition,
    V1PodSpec,
    V1PodStatus,
    V1ReplicaSet,
)

from daemon.adapters.kubernetes import pod_selection
from daemon.ports.errors import PermanentError, TemporaryError
from daemon.ports.pods.cluster import Pod
from schemas.reasons import Reason

SELECTOR = "app.kubernetes.io/name=app"
START = datetime(2026, 5, 4, tzinfo=UTC)


def pod(name: str, replica_set: str = "app-1", *, ready: int | None = 0, **more: Any) -> V1Pod:  # noqa: ANN401
    """Make a pod that has been ready since so many minutes after START, or that is not ready."""
    containers = more.get("containers", ["app"])
    return V1Pod(
        metadata=V1ObjectMeta(
            name=name,
            uid=f"uid-{name}",
            labels={"pod-template-hash": replica_set.rpartition("-")[2]},
            annotations=more.get("annotations"),
            deletion_timestamp=more.get("deleting"),
            owner_references=[
                V1OwnerReference(
                    api_version="v1",
                    kind=more.get("owner", "ReplicaSet"),
                    name=replica_set,
                    uid="1",
                    controller=True,
                )
            ],
        ),
        spec=V1PodSpec(containers=[V1Container(name=container) for container in containers]),
        status=V1PodStatus(
            phase=more.get("phase", "Running"),
            conditions=[
                V1PodCondition(
                    type="Ready",
                    status="False" if ready is None else "True",
                    last_transition_time=START + timedelta(minutes=ready or 0),
                )
            ],
            container_statuses=[
                V1ContainerStatus(
                    name=container,
                    container_id=f"containerd://{name}-{container}",
                    image="app:1",
                    image_id="app@sha256:1",
                    ready=True,
                    restart_count=2,
                    state=V1ContainerState(running=V1ContainerStateRunning()) if ready is not None else None,
                )
                for container in containers
            ],
        ),
    )


def chosen(pods: list[V1Pod], ranking: list[str] | None = None, container: str | None = None) -> Pod:
    random.shuffle(pods)  # the order of a list says nothing
    candidates = pod_selection.candidates(pods, SELECTOR)
    return pod_selection.choose(candidates, ranking or ["app-1"], container, "qa-sandbox", SELECTOR)


def test_the_oldest_ready_pod_is_chosen_with_all_that_tells_its_container() -> None:
    found = chosen([pod("b", ready=2), pod("a", ready=5), pod("c", ready=None)])
    assert found == Pod("qa-sandbox", "b", "uid-b", "app", "containerd://b-app", "app@sha256:1", 2)


def test_of_two_that_became_ready_at_once_the_first_by_name_is_chosen() -> None:
    assert chosen([pod("b"), pod("a")]).name == "a"


def test_pods_of_jobs_and_pods_that_go_or_have_ended_are_not_looked_at() -> None:
    others = [
        pod("job", "app-1", owner="Job"),
        pod("going", deleting=START),
        pod("ended", phase="Failed"),
    ]
    assert pod_selection.candidates(others, SELECTOR) == []


def test_the_newest_replica_set_is_chosen_although_its_pod_is_ready_for_less_long() -> None:
    assert chosen([pod("old", "app-1"), pod("new", "app-2", ready=9)], ["app-2", "app-1"]).name == "new"


def test_a_rollout_whose_pods_are_not_ready_yet_is_waited_for() -> None:
    with pytest.raises(TemporaryError) as raised:
        chosen([pod("old", "app-1"), pod("new", "app-2", ready=None)], ["app-2", "app-1"])
    assert raised.value.reason is Reason.POD_NOT_READY


def test_a_rollback_gives_an_older_replica_set_the_newest_revision() -> None:
    def replica_set(name: str, revision: str, minutes: int) -> V1ReplicaSet:
        return V1ReplicaSet(
            metadata=V1ObjectMeta(
                name=name,
                annotations={"deployment.kubernetes.io/revision": revision},
                creation_timestamp=START + timedelta(minutes=minutes),
            )
        )

    assert pod_selection.newest_first([replica_set("b", "9", 5), replica_set("a", "10", 1)]) == ["a", "b"]


def test_a_second_deployment_under_the_label_is_told_apart_by_its_name() -> None:
    assert chosen([pod("worker", "app-worker-1"), pod("api", "app-1")]).name == "api"


def test_several_deployments_of_which_none_has_the_services_name_are_refused() -> None:
    with pytest.raises(PermanentError) as raised:
        chosen([pod("one", "blue-1"), pod("two", "green-1")])
    assert "blue, green" in raised.value.detail


def test_c1_each_other_workload_and_generation_shows_what_it_uses() -> None:
    pods = [
        pod("api", "app-2"),
        pod("api-2", "app-2", ready=3),
        pod("old", "app-1"),
        pod("worker", "app-worker-1", containers=["worker"]),
        pod("worker-2", "app-worker-1", containers=["worker"], ready=1),
        pod("job", "nightly", owner="Job"),
        pod("starting", "app-new-1", ready=None),
        pod("going", "app-gone-1", deleting=START),
    ]
    found = pod_selection.others(pods, chosen(pods, ["app-2", "app-1"], "app"), "app")
    assert {each.name for each in found} == {"old", "worker", "job"}
    assert {each.container for each in found} == {"app", "worker"}


def test_the_container_is_configured_or_annotated_or_the_only_one() -> None:
    two = ["proxy", "app"]
    annotated = {"kubectl.kubernetes.io/default-container": "app"}
    assert chosen([pod("a", containers=two)], container="proxy").container == "proxy"
    assert chosen([pod("a", containers=two, annotations=annotated)]).container == "app"
    assert chosen([pod("a")]).container == "app"


@pytest.mark.parametrize("container", [None, "other"])
def test_an_ambiguous_or_missing_container_is_refused(container: str | None) -> None:
    with pytest.raises(PermanentError):
        chosen([pod("a", containers=["proxy", "app"])], container=container)
