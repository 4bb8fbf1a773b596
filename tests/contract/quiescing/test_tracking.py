"""Which Application would undo what is done to an object: by annotation, by label, by ArgoCD's own list."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from daemon.adapters.kubernetes.quiescing.tracking import Destination, keeps_one_of
from sandbox.kubernetes.objects.kinds import APPLICATIONS, DEPLOYMENTS
from schemas.quiescing import APPLICATION, ObjectRef
from tests.contract.quiescing.stands import ClusterStand
from tests.contract.quiescing.test_quiescing import FIRST
from tests.contract.quiescing.workload_kinds import LABELS, NAMESPACE, TEMPLATE, Objects, objects_of

HERE = Destination("https://10.0.0.1:6443")
LISTED = [{"kind": "Deployment", "namespace": NAMESPACE, "name": "shop"}]
OTHERS = [{"kind": "Deployment", "namespace": NAMESPACE, "name": "prometheus"}]
IN_CLUSTER = {"server": "https://kubernetes.default.svc", "namespace": NAMESPACE}
ELSEWHERE = {"server": "https://other.example", "namespace": NAMESPACE}
ANNOTATED = {"annotations": {"argocd.argoproj.io/tracking-id": f"shop:apps/Deployment:{NAMESPACE}/shop"}}
LABELLED = {"labels": {"app.kubernetes.io/instance": "shop"}}


@pytest.mark.parametrize(
    ("metadata", "destination", "resources", "keeps"),
    [
        (ANNOTATED, IN_CLUSTER, LISTED, True),
        (ANNOTATED, ELSEWHERE, None, True),
        (LABELLED, IN_CLUSTER, None, True),
        (LABELLED, {"name": "in-cluster", "namespace": "other"}, OTHERS, True),
        (LABELLED, ELSEWHERE, LISTED, False),
        ({}, IN_CLUSTER, LISTED, True),
        ({}, {"server": "https://10.0.0.1:6443/", "namespace": "other"}, LISTED, True),
        ({}, {"name": "in-cluster", "namespace": NAMESPACE}, None, True),
        ({}, {"name": "eu-west", "namespace": NAMESPACE}, LISTED, False),
        ({}, ELSEWHERE, None, False),
        ({}, IN_CLUSTER, OTHERS, False),
        ({}, IN_CLUSTER | {"namespace": "other"}, None, False),
    ],
)
def test_an_application_keeps_what_it_tracks_in_this_cluster(
    metadata: dict[str, Any], destination: dict[str, str], resources: list[Any] | None, keeps: bool
) -> None:
    workload = {"metadata": {"name": "shop", **metadata}}
    application = {"spec": {"destination": destination}, "status": {"resources": resources}}
    assert keeps_one_of("shop", application, NAMESPACE, [("Deployment", workload)], HERE) is keeps


@pytest.fixture
async def objects(on_double: ClusterStand) -> AsyncIterator[Objects]:
    async with objects_of(on_double) as made:
        yield made


async def test_an_application_outside_of_argocds_namespace_is_held_by_the_name_that_argocd_has_for_it(
    on_double: ClusterStand, objects: Objects
) -> None:
    spec = {"destination": IN_CLUSTER, "syncPolicy": {"automated": {"selfHeal": True}}}
    skip = {"annotations": {"argocd.argoproj.io/skip-reconcile": "true"}}
    await objects.create(APPLICATIONS, {"metadata": {"name": "shop", **skip}, "spec": spec})
    tracking = {"argocd.argoproj.io/tracking-id": f"{NAMESPACE}_shop:apps/Deployment:{NAMESPACE}/shop"}
    await objects.create(
        DEPLOYMENTS,
        {
            "metadata": {"name": "shop", "annotations": tracking},
            "spec": {"replicas": 0, "selector": {"matchLabels": LABELS}, "template": TEMPLATE},
        },
    )
    workload = ObjectRef(environment=NAMESPACE, kind="Deployment", name="shop")
    target = ObjectRef(environment=NAMESPACE, kind=APPLICATION, name=f"{NAMESPACE}_shop")
    assert await on_double.quiescing.around(NAMESPACE, {workload: ()}) == {target: ()}
    assert (await on_double.quiescing.obstacles(workload)).undone_by == ()
    await on_double.quiescing.quiesce(target, FIRST, status=1)
    held = await objects.get(APPLICATIONS, "shop")
    assert held["spec"]["syncPolicy"]["automated"]["enabled"] is False
    assert [each.object for each in await on_double.quiescing.quiesced()] == [target]
    await on_double.quiescing.release(target, FIRST, status=2)
    assert (await objects.get(APPLICATIONS, "shop"))["spec"] == spec
