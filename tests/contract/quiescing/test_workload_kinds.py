"""StatefulSets and Argo Rollouts rest and have holders as Deployments do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from daemon.adapters.kubernetes.client import KubernetesSettings, open_kubernetes
from daemon.adapters.kubernetes.pods import KubernetesPods
from daemon.ports.pods.holders import Need
from daemon.ports.quiescing import Obstacles
from sandbox.kubernetes.launch import Running
from sandbox.kubernetes.objects.kinds import DEPLOYMENTS, ROLLOUTS, STATEFUL_SETS
from schemas.quiescing import ObjectRef
from schemas.reasons import Reason
from schemas.wire import AttemptId
from tests.contract.quiescing.stands import ENVIRONMENT, ClusterStand, until_nothing
from tests.contract.quiescing.test_quiescing import FIRST
from tests.contract.quiescing.workload_kinds import (
    LABELS,
    NAMESPACE,
    SELECTOR,
    TEMPLATE,
    Objects,
    objects_of,
)

STATEFUL_SET = ObjectRef(environment=NAMESPACE, kind="StatefulSet", name="shop")
ROLLOUT = ObjectRef(environment=NAMESPACE, kind="Rollout", name="shop")


@pytest.fixture
async def objects(on_double: ClusterStand) -> AsyncIterator[Objects]:
    async with objects_of(on_double) as made:
        yield made


async def make_stateful_set(objects: Objects, **spec: Any) -> None:  # noqa: ANN401 - JSON
    await objects.create(
        STATEFUL_SETS,
        {
            "metadata": {"name": "shop"},
            "spec": {"replicas": 2, "selector": {"matchLabels": LABELS}, "template": TEMPLATE, **spec},
        },
    )


async def make_borrowing_rollout(objects: Objects) -> None:
    """A Rollout without a selector, that has taken the place of a Deployment."""
    await objects.serve(ROLLOUTS)
    await objects.create(
        DEPLOYMENTS,
        {
            "metadata": {"name": "shop-v1"},
            "spec": {"replicas": 0, "selector": {"matchLabels": LABELS}, "template": TEMPLATE},
        },
    )
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop-v1"}
    await objects.create(
        ROLLOUTS, {"metadata": {"name": "shop"}, "spec": {"replicas": 1, "workloadRef": reference}}
    )


@pytest.mark.parametrize(("target", "said"), [(STATEFUL_SET, "2 replicas"), (ROLLOUT, "1 replica")], ids=str)
async def test_it_rests_until_its_last_pod_is_gone_and_comes_back(
    on_double: ClusterStand, objects: Objects, target: ObjectRef, said: str
) -> None:
    await (make_stateful_set if target is STATEFUL_SET else make_borrowing_rollout)(objects)
    quiescing = on_double.quiescing
    await until_nothing(lambda: quiescing.unhealthy([target], None))
    assert await quiescing.obstacles(target) == Obstacles()
    assert (await quiescing.quiesce(target, FIRST, status=1)).original == said
    await until_nothing(lambda: quiescing.running(target))
    await quiescing.release(target, FIRST, status=2)
    await until_nothing(lambda: quiescing.unhealthy([target], None))


@pytest.mark.parametrize("kind", ["StatefulSet", "Rollout"])
async def test_it_has_a_holder_while_it_rests(on_double: ClusterStand, objects: Objects, kind: str) -> None:
    await (make_stateful_set if kind == "StatefulSet" else make_borrowing_rollout)(objects)
    target = ObjectRef(environment=NAMESPACE, kind=kind, name="shop")
    await on_double.quiescing.quiesce(target, FIRST, status=1)
    pods = KubernetesPods(on_double.kubernetes)
    assert await pods.holder_refusals(NAMESPACE, SELECTOR, None, "shop") == ()
    assert [each.environment for each in await pods.holders() if each.environment == NAMESPACE] == []
    pod = await pods.hold(NAMESPACE, SELECTOR, None, Need("shop", AttemptId(f"{FIRST}/a/1"), 60))
    assert pod.container == "shop"
    (holder,) = [each for each in await pods.holders() if each.environment == NAMESPACE]
    await pods.remove_holder(holder)


async def test_a_rollout_without_any_selector_is_an_obstacle(
    on_double: ClusterStand, objects: Objects
) -> None:
    await objects.serve(ROLLOUTS)
    reference = {"apiVersion": "v1", "kind": "PodTemplate", "name": "shop"}
    await objects.create(
        ROLLOUTS, {"metadata": {"name": "shop"}, "spec": {"replicas": 0, "workloadRef": reference}}
    )
    (text,) = (await on_double.quiescing.obstacles(ROLLOUT)).undone_by
    assert "Rollout kinds-sandbox/shop has no selector that can be read" in text


async def test_what_a_holder_needs_is_asked_for_and_nothing_is_made(on_double: ClusterStand) -> None:
    pods = KubernetesPods(on_double.kubernetes)
    (missing,) = await pods.holder_refusals(NAMESPACE, SELECTOR, None, "shop")
    assert (missing.reason, missing.detail) == (
        Reason.POD_NOT_FOUND,
        "kinds-sandbox: no workloads match app.kubernetes.io/name=shop; one was to be copied",
    )


async def test_each_right_that_a_holder_needs_and_the_account_lacks_is_named(double: Running) -> None:
    viewer = double.kubeconfig.replace("kubeconfig", "viewer.kubeconfig")
    async with open_kubernetes(KubernetesSettings(kubeconfig=viewer)) as kubernetes:
        found = await KubernetesPods(kubernetes).holder_refusals(
            ENVIRONMENT, "app.kubernetes.io/name=app", None, "app"
        )
    assert [each.detail.rpartition("missing right: ")[2] for each in found] == [
        f"{verb} pods in {ENVIRONMENT}" for verb in ("create", "patch", "delete")
    ]
