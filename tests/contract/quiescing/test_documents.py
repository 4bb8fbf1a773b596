"""What objects of the cluster say of themselves, in all their shapes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from daemon.adapters.kubernetes.quiescing.health import (
    is_behind,
    why_not_believed,
    why_not_running,
)
from daemon.adapters.kubernetes.quiescing.kinds import APPLICATIONS
from daemon.adapters.kubernetes.quiescing.selectors import selector_text
from schemas.quiescing import ObjectRef
from tests.contract.quiescing.stands import DEPLOYMENT, ENVIRONMENT, ClusterStand


def workload(**status: object) -> dict[str, object]:
    return {"metadata": {"generation": 5}, "spec": {"replicas": 0}, "status": status}


@pytest.mark.parametrize(
    ("status", "behind"),
    [
        ({"observedGeneration": 4, "replicas": 0}, True),
        ({"observedGeneration": 5, "replicas": 1}, True),
        ({"observedGeneration": 5}, False),
        ({"observedGeneration": "4"}, True),
        # Argo Rollouts before 1.0 wrote a hash, which says nothing.
        ({"observedGeneration": "6b8f9cdd4", "replicas": 0}, False),
    ],
)
def test_nothing_counts_as_ended_before_its_controller_has_seen_the_0(
    status: dict[str, object], behind: bool
) -> None:
    assert is_behind(workload(**status)) is behind


def test_a_rollout_with_a_hash_is_judged_by_its_pods() -> None:
    rollout = workload(observedGeneration="6b8f9cdd4", readyReplicas=1, updatedReplicas=1)
    rollout["spec"] = {"replicas": 2}
    target = DEPLOYMENT.model_copy(update={"kind": "Rollout"})
    assert why_not_running(target, rollout) == "Rollout demo-sandbox/app has 1 of 2 pods ready"


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({"matchLabels": {"a": "b", "c": "d"}}, "a=b,c=d"),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b", "c"]}]}, "a in (b,c)"),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}, "a notin (b)"),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, "a"),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, "!a"),
        ({}, ""),
    ],
)
def test_a_selector_is_written_as_the_api_server_takes_it(selector: dict[str, object], text: str) -> None:
    assert selector_text(selector) == text


SINCE = datetime(2026, 11, 30, 12, 0, 1, tzinfo=UTC)


def application(looked: object, *, asked: bool = False) -> dict[str, Any]:
    well = {"sync": {"status": "Synced"}, "health": {"status": "Healthy"}, "reconciledAt": looked}
    annotations = {"argocd.argoproj.io/refresh": "normal"} if asked else {}
    return {"metadata": {"name": "qa", "annotations": annotations}, "status": well}


@pytest.mark.parametrize("looked", [None, "", "soon", "2026-11-30T12:00:00Z"])
def test_what_argocd_said_before_the_release_does_not_count(looked: object) -> None:
    assert "has not looked" in why_not_believed(application(looked), SINCE)


def test_what_argocd_said_in_the_second_in_which_it_was_asked_counts_once_it_has_taken_the_request_off() -> (
    None
):
    looked = "2026-11-30T12:00:01Z"
    assert "has not looked" in why_not_believed(application(looked, asked=True), SINCE)
    assert why_not_believed(application(looked), SINCE) == ""
    assert "has not looked" in why_not_believed(application(looked), None)


def test_a_stateful_set_that_keeps_pods_of_its_former_template_is_judged_by_those_that_it_updates() -> None:
    stateful_set = workload(observedGeneration=5, readyReplicas=3, updatedReplicas=1)
    update = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    stateful_set["spec"] = {"replicas": 3, "updateStrategy": update}
    assert why_not_running(DEPLOYMENT, stateful_set) == ""
    stateful_set["spec"] = {"replicas": 3}
    assert why_not_running(DEPLOYMENT, stateful_set) == "Deployment demo-sandbox/app has 1 of 3 pods ready"


def test_an_older_crd_gets_its_automated_sync_removed_and_back_as_it_was() -> None:
    automated = {"prune": True, "selfHeal": True}
    original = APPLICATIONS.original({"spec": {"syncPolicy": {"automated": automated}}})
    assert APPLICATIONS.to_rest_otherwise() == {"spec": {"syncPolicy": {"automated": None}}}
    undone = APPLICATIONS.to_undo(original)
    assert undone["spec"]["syncPolicy"]["automated"] == {"enabled": None, **automated}


async def test_what_can_not_be_scaled_is_an_obstacle_and_not_an_error(on_double: ClusterStand) -> None:
    job = ObjectRef(environment=ENVIRONMENT, kind="Job", name="migrate-1")
    (text,) = (await on_double.quiescing.obstacles(job)).undone_by
    assert "can't be scaled to 0" in text
