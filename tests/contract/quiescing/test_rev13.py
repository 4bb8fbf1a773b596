"""Findings of the review on the double."""

from __future__ import annotations

from daemon.adapters.kubernetes.workloads.memory import ANNOTATION, LABEL
from tests.contract.quiescing.stands import DEPLOYMENT, SYNC, ClusterStand
from tests.contract.quiescing.test_quiescing import FIRST


async def test_a_sync_comes_back_although_its_application_set_took_annotation_and_label_away(
    on_double: ClusterStand,
) -> None:
    # ApplicationSet controller: found.Annotations = generated.Annotations, found.Labels = generated.Labels.
    before = (await on_double.application())["spec"]["syncPolicy"]
    try:
        await on_double.quiescing.quiesce(SYNC, FIRST)
        await on_double.change_application({"metadata": {"annotations": {ANNOTATION: None}, "labels": {LABEL: None}}})
        again = await on_double.quiescing.quiesce(SYNC, FIRST)  # what a resume does
        assert again.original == "automated sync"
        await on_double.quiescing.release(SYNC, FIRST)
        assert await on_double.syncs()
    finally:
        await on_double.quiescing.release(SYNC, FIRST)
        await on_double.change_application({"spec": {"syncPolicy": before | {"automated": {"enabled": None, **before["automated"]}}}})


async def test_a_workload_that_an_application_of_another_namespace_keeps_would_be_undone(
    on_double: ClusterStand,
) -> None:
    tracking = {"argocd.argoproj.io/tracking-id": "platform:apps/Deployment:demo-sandbox/app"}
    await on_double.change_deployment({"metadata": {"annotations": tracking}})
    try:
        assert (await on_double.quiescing.obstacles(DEPLOYMENT)).undone_by
    finally:
        await on_double.change_deployment({"metadata": {"annotations": dict.fromkeys(tracking)}})
