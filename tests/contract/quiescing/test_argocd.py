"""What ArgoCD does to a quiesced environment, on the Kubernetes double, and whom it may not be left to."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest

from daemon.adapters.kubernetes.client import KubernetesSettings, open_kubernetes
from daemon.adapters.kubernetes.quiescing.quiescing import KubernetesQuiescing
from daemon.adapters.kubernetes.quiescing.undoers import application_set_undoes
from daemon.adapters.kubernetes.workloads.memory import ANNOTATION, LABEL
from daemon.ports.errors import PermanentError
from sandbox.kubernetes.launch import Running
from sandbox.kubernetes.objects.kinds import APPLICATIONS
from schemas.reasons import Reason
from tests.contract.quiescing.stands import DEPLOYMENT, ENVIRONMENT, SYNC, ClusterStand, MemoryStand, until
from tests.contract.quiescing.test_quiescing import FIRST, SECOND
from tests.contract.quiescing.workload_kinds import objects_of

KEPT = {"preservedFields": {"annotations": [ANNOTATION], "labels": [LABEL]}}
"""What an ApplicationSet has to say to leave alone what an Application remembers."""


@pytest.fixture(params=["memory", "double"])
def with_argocd(request: pytest.FixtureRequest) -> MemoryStand | ClusterStand:
    if request.param == "memory":
        return MemoryStand()
    stand: ClusterStand = request.getfixturevalue("on_double")
    return stand


async def test_the_application_of_an_environment_is_found(with_argocd: MemoryStand | ClusterStand) -> None:
    assert await with_argocd.quiescing.around(ENVIRONMENT, {DEPLOYMENT: ()}) == {SYNC: ()}
    assert await with_argocd.quiescing.around("other-sandbox", {}) == {}


async def test_automated_sync_is_held_and_set_free_by_the_last_reset(
    with_argocd: MemoryStand | ClusterStand,
) -> None:
    quiescing = with_argocd.quiescing
    held = await quiescing.quiesce(SYNC, FIRST, status=1)
    assert (held.original, held.held) == ("automated sync", True)
    await quiescing.quiesce(SYNC, SECOND, status=1)
    assert not await with_argocd.syncs()
    await quiescing.release(SYNC, FIRST, status=2)
    assert not await with_argocd.syncs()
    await quiescing.release(SYNC, SECOND, status=2)
    assert await with_argocd.syncs()


async def test_self_heal_scales_up_what_rests_unless_argocd_is_held_first(on_double: ClusterStand) -> None:
    await on_double.quiescing.quiesce(DEPLOYMENT, FIRST, status=1)
    await until(on_double.replicas)
    found = await on_double.quiescing.find(DEPLOYMENT)
    assert found is not None
    assert not found.held
    await on_double.quiescing.quiesce(SYNC, FIRST, status=1)
    quiesced = await on_double.quiescing.quiesce(DEPLOYMENT, FIRST, status=1)
    # What ArgoCD made of it in between is nobody's original.
    assert quiesced.original == "1 replica"
    looked = datetime.now(UTC)
    async with asyncio.timeout(30):
        while (await on_double.application())["status"].get("reconciledAt", "") <= looked.isoformat():  # noqa: ASYNC110 - asked of a cluster
            await asyncio.sleep(0.1)
    assert await on_double.replicas() == 0


async def test_all_of_a_sync_policy_comes_back(on_double: ClusterStand) -> None:
    before = (await on_double.application())["spec"]["syncPolicy"]
    await on_double.quiescing.quiesce(SYNC, FIRST, status=1)
    held = (await on_double.application())["spec"]["syncPolicy"]["automated"]
    assert held["enabled"] is False
    await on_double.quiescing.release(SYNC, FIRST, status=2)
    assert (await on_double.application())["spec"]["syncPolicy"] == before


async def test_an_application_without_automated_sync_is_left_so(on_double: ClusterStand) -> None:
    automated = (await on_double.application())["spec"]["syncPolicy"]["automated"]
    await on_double.change_application({"spec": {"syncPolicy": {"automated": None}}})
    try:
        held = await on_double.quiescing.quiesce(SYNC, FIRST, status=1)
        assert (held.original, held.held) == ("no automated sync", True)
        await on_double.quiescing.release(SYNC, FIRST, status=2)
        assert not await on_double.syncs()
    finally:
        await on_double.change_application({"spec": {"syncPolicy": {"automated": automated}}})


async def test_health_is_believed_once_argocd_has_looked_after_the_release(on_double: ClusterStand) -> None:
    quiescing = on_double.quiescing
    await quiescing.quiesce(SYNC, FIRST, status=1)
    await quiescing.quiesce(DEPLOYMENT, FIRST, status=1)
    await quiescing.release(DEPLOYMENT, FIRST, status=2)
    await quiescing.release(SYNC, FIRST, status=2)
    since = await quiescing.ask_to_look((DEPLOYMENT, SYNC))
    assert since is not None
    seen = [await quiescing.unhealthy((DEPLOYMENT, SYNC), since)]
    async with asyncio.timeout(60):
        while why := await quiescing.unhealthy((DEPLOYMENT, SYNC), since):
            seen.append(why)
            await asyncio.sleep(0.05)
    assert seen[0]
    application = await on_double.application()
    assert datetime.fromisoformat(application["status"]["reconciledAt"]) >= since


async def test_argocd_is_asked_once_and_looking_for_health_asks_it_no_more(on_double: ClusterStand) -> None:
    await on_double.let_argocd_act(acts=False)
    try:
        asked = await on_double.quiescing.ask_to_look((SYNC,))
        version = (await on_double.application())["metadata"]["resourceVersion"]
        for _ in range(3):
            assert "has not looked" in await on_double.quiescing.unhealthy((SYNC,), asked)
        assert await on_double.quiescing.ask_to_look((SYNC,)) is not None
        assert (await on_double.application())["metadata"]["resourceVersion"] == version
    finally:
        await on_double.let_argocd_act(acts=True)


async def test_when_argocd_was_asked_is_told_by_the_api_servers_clock(on_double: ClusterStand) -> None:
    asked = await on_double.quiescing.ask_to_look((SYNC,))
    assert asked is not None
    assert asked.microsecond == 0
    assert await on_double.quiescing.ask_to_look((DEPLOYMENT,)) is None


async def test_an_owner_and_an_annotation_that_was_edited_stand_in_the_way(on_double: ClusterStand) -> None:
    owner = {"apiVersion": "x/v1", "kind": "Shop", "name": "qa", "uid": "1", "controller": True}
    await on_double.change_deployment({"metadata": {"ownerReferences": [owner]}})
    try:
        (text,) = (await on_double.quiescing.obstacles(DEPLOYMENT)).undone_by
        assert "Shop qa owns Deployment demo-sandbox/app" in text
    finally:
        await on_double.change_deployment({"metadata": {"ownerReferences": None}})
    await on_double.change_deployment({"metadata": {"annotations": {ANNOTATION: "edited"}}})
    try:
        with pytest.raises(PermanentError) as raised:
            await on_double.quiescing.quiesce(DEPLOYMENT, FIRST, status=1)
        assert raised.value.reason is Reason.QUIESCE_REFUSED
        assert await on_double.replicas() == 1
    finally:
        await on_double.change_deployment({"metadata": {"annotations": {ANNOTATION: None}}})


async def test_a_workload_that_an_application_keeps_which_is_not_held_would_be_undone(
    on_double: ClusterStand,
) -> None:
    before = (await on_double.deployment())["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"]
    tracking = {"argocd.argoproj.io/tracking-id": f"platform:apps/Deployment:{ENVIRONMENT}/app"}
    await on_double.change_deployment({"metadata": {"annotations": tracking}})
    try:
        (text,) = (await on_double.quiescing.obstacles(DEPLOYMENT)).undone_by
        assert "Application platform keeps Deployment demo-sandbox/app" in text
    finally:
        await on_double.change_deployment(
            {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": before}}}
        )


async def test_an_application_that_another_one_keeps_would_be_undone(on_double: ClusterStand) -> None:
    tracking = {"argocd.argoproj.io/tracking-id": f"root:argoproj.io/Application:argocd/{ENVIRONMENT}"}
    await on_double.change_application({"metadata": {"annotations": tracking}})
    try:
        (text,) = (await on_double.quiescing.obstacles(SYNC)).undone_by
        assert "Application root keeps" in text
    finally:
        await on_double.change_application({"metadata": {"annotations": dict.fromkeys(tracking)}})


async def test_a_parent_that_tracks_by_label_counts_only_where_there_is_one(on_double: ClusterStand) -> None:
    async with objects_of(on_double) as objects:
        label = {"app.kubernetes.io/instance": "root"}
        await on_double.change_application({"metadata": {"labels": label}})
        try:
            assert (await on_double.quiescing.obstacles(SYNC)).undone_by == ()
            skip = {"argocd.argoproj.io/skip-reconcile": "true"}
            root = {"metadata": {"name": "root", "annotations": skip}, "spec": {}}
            await objects.create(APPLICATIONS, root, namespace="argocd")
            (text,) = (await on_double.quiescing.obstacles(SYNC)).undone_by
            assert "Application root keeps" in text
        finally:
            await on_double.change_application({"metadata": {"labels": dict.fromkeys(label)}})


@pytest.mark.parametrize(
    ("spec", "undoes"),
    [
        ({}, True),
        ({"syncPolicy": {"applicationsSync": "create-only"}}, False),
        ({"syncPolicy": {"applicationsSync": "sync"}}, True),
        ({"ignoreApplicationDifferences": [{"jsonPointers": ["/spec/syncPolicy"]}]}, True),
        (KEPT | {"ignoreApplicationDifferences": [{"jsonPointers": ["/spec/syncPolicy"]}]}, False),
        (
            KEPT | {"ignoreApplicationDifferences": [{"jqPathExpressions": [".spec.syncPolicy.automated"]}]},
            False,
        ),
        (KEPT | {"ignoreApplicationDifferences": [{"jqPathExpressions": [".spec.syncPolicy.retry"]}]}, True),
        ({"ignoreApplicationDifferences": [{"name": "other", "jsonPointers": ["/spec/syncPolicy"]}]}, True),
        ({"ignoreApplicationDifferences": [{"jsonPointers": ["/spec/source"]}]}, True),
    ],
    ids=json.dumps,
)
def test_an_application_set_undoes_it_unless_its_own_rules_leave_it_alone(
    spec: dict[str, object], undoes: bool
) -> None:
    assert application_set_undoes({"spec": spec}, ENVIRONMENT) is undoes


async def test_a_right_that_is_missing_is_named_and_nothing_is_changed(double: Running) -> None:
    viewer = double.kubeconfig.replace("kubeconfig", "viewer.kubeconfig")
    async with open_kubernetes(KubernetesSettings(kubeconfig=viewer)) as kubernetes:
        quiescing = KubernetesQuiescing(kubernetes, "argocd")
        for target, right in (
            (DEPLOYMENT, f"patch deployments.apps in {ENVIRONMENT}"),
            (SYNC, "patch applications.argoproj.io in argocd"),
        ):
            assert (await quiescing.obstacles(target)).missing_rights == (right,)


async def test_without_argocd_there_is_nothing_to_hold(double: Running) -> None:
    async with open_kubernetes(KubernetesSettings(kubeconfig=double.kubeconfig)) as kubernetes:
        assert await KubernetesQuiescing(kubernetes, "").around(ENVIRONMENT, {DEPLOYMENT: ()}) == {}
