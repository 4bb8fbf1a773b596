"""CronJobs, and what KEDA has: found beside the workloads whose databases they use, at rest, and as they were."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daemon.adapters.kubernetes.client import KubernetesSettings, open_kubernetes
from daemon.adapters.kubernetes.documents import Documents, ObjectKind
from daemon.adapters.kubernetes.quiescing import missed_runs
from daemon.adapters.kubernetes.quiescing.around import Around
from daemon.adapters.kubernetes.quiescing.kinds import CRON_JOBS as KUBERNETES_CRON_JOBS
from daemon.adapters.kubernetes.quiescing.kinds import SCALED_OBJECTS as KUBERNETES_SCALED_OBJECTS
from daemon.adapters.kubernetes.quiescing.sources import sources_of
from daemon.adapters.kubernetes.workloads.memory import Memory
from daemon.ports.errors import PermanentError
from sandbox.kubernetes.launch import Running
from sandbox.kubernetes.objects.kinds import CRON_JOBS, DEPLOYMENTS, JOBS, SCALED_JOBS, SCALED_OBJECTS
from schemas.quiescing import ObjectRef
from schemas.wire import ResourceKey
from tests.contract.quiescing.stands import ClusterStand, until, until_nothing
from tests.contract.quiescing.test_quiescing import FIRST, SECOND
from tests.contract.quiescing.workload_kinds import LABELS, NAMESPACE, TEMPLATE, Objects, objects_of

KEY = ResourceKey("database/7001/app")
SHOP = ObjectRef(environment=NAMESPACE, kind="Deployment", name="shop")
NIGHTLY = ObjectRef(environment=NAMESPACE, kind="CronJob", name="nightly")
SCALER = ObjectRef(environment=NAMESPACE, kind="ScaledObject", name="scaler")
WORKER = ObjectRef(environment=NAMESPACE, kind="ScaledJob", name="worker")
PAUSED, PAUSED_REPLICAS = "autoscaling.keda.sh/paused", "autoscaling.keda.sh/paused-replicas"


def template(image: str = "other:1", *command: str, secret: str | None = None) -> dict[str, Any]:
    given = [{"secretRef": {"name": secret}}] if secret else []
    container = {"name": "job", "image": image, "envFrom": given, "command": command}
    spec = {"containers": [container], "restartPolicy": "Never"}
    return {"metadata": {"labels": {"job": "yes"}}, "spec": spec}


@pytest.fixture
async def objects(on_double: ClusterStand) -> AsyncIterator[Objects]:
    async with objects_of(on_double) as made:
        for kind in (SCALED_OBJECTS, SCALED_JOBS):
            await made.serve(kind)
        await made.create(
            DEPLOYMENTS,
            {
                "metadata": {"name": "shop"},
                "spec": {"replicas": 0, "selector": {"matchLabels": LABELS}, "template": TEMPLATE},
            },
        )
        yield made


async def make_cron_job(objects: Objects, name: str = "nightly", **spec: Any) -> Any:  # noqa: ANN401 - JSON
    of_pods = spec.pop("template", template("fuse/app:2.0.0"))
    job = {"spec": {"template": of_pods}}
    whole = {"schedule": "0 2 * * *", "jobTemplate": job, **spec}
    return await objects.create(CRON_JOBS, {"metadata": {"name": name}, "spec": whole})


@pytest.mark.parametrize("suspend", [None, False, True])
async def test_a_cron_job_is_suspended_and_gets_back_what_it_said(
    on_double: ClusterStand, objects: Objects, suspend: bool | None
) -> None:
    await make_cron_job(objects, suspend=suspend)
    assert await on_double.quiescing.around(NAMESPACE, {SHOP: [KEY]}) == {NIGHTLY: (KEY,)}
    quiesced = await on_double.quiescing.quiesce(NIGHTLY, FIRST, [KEY], status=1)
    assert (quiesced.held, quiesced.started_nothing) == (True, suspend is True)
    await on_double.quiescing.quiesce(NIGHTLY, SECOND, [KEY], status=1)
    await on_double.quiescing.release(NIGHTLY, FIRST, status=2)
    assert (await objects.get(CRON_JOBS, "nightly"))["spec"]["suspend"] is True
    await on_double.quiescing.release(NIGHTLY, SECOND, status=2)
    assert bool((await objects.get(CRON_JOBS, "nightly"))["spec"].get("suspend")) is (suspend is True)
    assert await on_double.quiescing.unhealthy([NIGHTLY], None) == ""


async def test_the_jobs_that_it_started_are_named_until_they_are_over(
    on_double: ClusterStand, objects: Objects
) -> None:
    made = await make_cron_job(objects, schedule="0 0 1 1 *")
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "uid": made["metadata"]["uid"]}
    owner["controller"] = True
    of_pods = template("fuse/app:1.0.0", "sh", "-c", "until [ -e /tmp/over ]; do sleep 0.1; done")
    for name, owners in (("nightly-1", [owner]), ("by-hand", [])):
        metadata = {"name": name, "ownerReferences": owners}
        await objects.create(JOBS, {"metadata": metadata, "spec": {"template": of_pods}})
    await on_double.quiescing.quiesce(NIGHTLY, FIRST, status=1)
    assert await on_double.quiescing.running(NIGHTLY) == ("job nightly-1",)
    # The status is written by its subresource alone.
    await objects.change(
        JOBS, "nightly-1", {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}
    )
    assert await on_double.quiescing.running(NIGHTLY) == ("job nightly-1",)
    await objects.change_status(
        JOBS, "nightly-1", {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}
    )
    assert await on_double.quiescing.running(NIGHTLY) == ()
    await on_double.quiescing.release(NIGHTLY, FIRST, status=2)


async def test_it_starts_no_job_while_it_rests_and_the_run_that_it_missed_once_it_is_released(
    on_double: ClusterStand, objects: Objects
) -> None:
    await make_cron_job(
        objects, schedule="* * * * *", suspend=True, template=template("fuse/app:1.0.0", "true")
    )
    await objects.change_status(
        CRON_JOBS, "nightly", {"status": {"lastScheduleTime": "2026-01-01T00:00:00Z"}}
    )
    await objects.change(CRON_JOBS, "nightly", {"spec": {"startingDeadlineSeconds": 3600}})
    await on_double.quiescing.quiesce(NIGHTLY, FIRST, status=1)
    assert await objects.names(JOBS) == []
    await objects.change(CRON_JOBS, "nightly", {"spec": {"suspend": False}})
    await until(lambda: objects.names(JOBS))
    found = await on_double.quiescing.find(NIGHTLY)
    assert found is not None
    assert not found.held
    await until_nothing(lambda: on_double.quiescing.running(NIGHTLY))
    await on_double.quiescing.release(NIGHTLY, FIRST, status=2)


@pytest.mark.parametrize(
    "annotations", [{}, {PAUSED: "false"}, {PAUSED_REPLICAS: "3"}, {PAUSED: "true"}], ids=str
)
async def test_keda_is_paused_by_its_own_annotation_and_as_it_was_afterwards(
    on_double: ClusterStand, objects: Objects, annotations: dict[str, str]
) -> None:
    metadata = {"name": "scaler", "annotations": annotations}
    await objects.create(SCALED_OBJECTS, {"metadata": metadata, "spec": {"scaleTargetRef": {"name": "shop"}}})
    other = {"metadata": {"name": "other"}, "spec": {"scaleTargetRef": {"name": "else"}}}
    await objects.create(SCALED_OBJECTS, other)
    assert await on_double.quiescing.around(NAMESPACE, {SHOP: [KEY]}) == {SCALER: ()}
    await on_double.quiescing.quiesce(SCALER, FIRST, status=1)
    held = (await objects.get(SCALED_OBJECTS, "scaler"))["metadata"]["annotations"]
    assert (held[PAUSED], held.get(PAUSED_REPLICAS)) == ("true", None)
    assert await on_double.quiescing.running(SCALER) == ()
    assert [each.object for each in await on_double.quiescing.quiesced()] == [SCALER]
    await on_double.quiescing.release(SCALER, FIRST, status=2)
    after = (await objects.get(SCALED_OBJECTS, "scaler"))["metadata"]
    assert after.get("annotations", {}) == annotations


async def test_a_scaled_job_of_the_same_image_rests_too(on_double: ClusterStand, objects: Objects) -> None:
    await objects.create(
        SCALED_JOBS,
        {"metadata": {"name": "worker"}, "spec": {"jobTargetRef": {"template": template("fuse/app:9")}}},
    )
    assert await on_double.quiescing.around(NAMESPACE, {SHOP: [KEY]}) == {WORKER: (KEY,)}
    assert (await on_double.quiescing.quiesce(WORKER, FIRST, status=1)).held
    await on_double.quiescing.release(WORKER, FIRST, status=2)


async def test_whether_the_cluster_has_a_kind_is_told(on_double: ClusterStand, objects: Objects) -> None:
    documents = Documents(on_double.kubernetes.rest)
    await objects.serve(SCALED_OBJECTS)
    assert await documents.is_served(KUBERNETES_SCALED_OBJECTS)
    assert await documents.is_served(KUBERNETES_CRON_JOBS)


async def test_what_shares_nothing_with_a_workload_is_left_alone(
    on_double: ClusterStand, objects: Objects
) -> None:
    await make_cron_job(objects, template=template("busybox:1", secret="mail"))
    assert await on_double.quiescing.around(NAMESPACE, {SHOP: [KEY]}) == {}


async def test_the_right_to_list_cron_jobs_is_named_and_keda_that_is_not_there_needs_none(
    double: Running,
) -> None:
    account = double.kubeconfig.replace("kubeconfig", "account.kubeconfig")
    async with open_kubernetes(KubernetesSettings(kubeconfig=account)) as kubernetes:
        around = Around(Documents(kubernetes.rest), "", "")
        with pytest.raises(PermanentError) as raised:
            await around._list(KUBERNETES_CRON_JOBS, NAMESPACE)
        assert f"missing right: list cronjobs.batch in {NAMESPACE}" in raised.value.detail
        unknown = ObjectKind("Nothing", "nothing.example", "v1", "nothings")
        assert not await Documents(kubernetes.rest).is_served(unknown)


def test_what_pods_have_a_connection_string_from() -> None:
    spec = {
        "initContainers": [{"image": "registry:5000/fuse/app"}],
        "containers": [
            {
                "image": "registry:5000/fuse/app@sha256:1",
                "env": [
                    {"name": "A", "value": "postgresql://u@db/app"},
                    {"name": "B", "value": "info"},
                    {"name": "C", "valueFrom": {"secretKeyRef": {"name": "db", "key": "url"}}},
                    {"name": "D", "valueFrom": {"configMapKeyRef": {"name": "all", "key": "level"}}},
                ],
                "envFrom": [{"secretRef": {"name": "more"}}, {"configMapRef": {"name": "all"}}],
            }
        ],
        "volumes": [{"name": "v", "secret": {"secretName": "file"}}, {"name": "c", "emptyDir": {}}],
    }
    assert sources_of({"spec": spec}) == {
        ("Image", "registry:5000/fuse/app"),
        ("Value", "postgresql://u@db/app"),
        ("Secret", "db"),
        ("Secret", "more"),
        ("Secret", "file"),
    }
    assert sources_of(None) == frozenset()


SINCE = datetime(2026, 11, 30, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("spec", "hours", "said"),
    [
        ({"schedule": "0 2 * * *"}, 0.5, ""),
        (
            {"schedule": "0 2 * * *"},
            2,
            (
                "1 run of CronJob kinds-sandbox/nightly fell into its rest, the last one of 2026-11-30 02:00 UTC: "
                "Kubernetes starts that one now"
            ),
        ),
        (
            {"schedule": "*/30 * * * *", "startingDeadlineSeconds": 60},
            1.25,
            (
                "2 runs of CronJob kinds-sandbox/nightly fell into its rest, the last one of 2026-11-30 02:00 UTC: "
                "Kubernetes starts none that is 60 s late"
            ),
        ),
        (
            {"schedule": "0 3 * * *", "timeZone": "Europe/Berlin"},
            2,
            (
                "1 run of CronJob kinds-sandbox/nightly fell into its rest, the last one of 2026-11-30 02:00 UTC: "
                "Kubernetes starts that one now"
            ),
        ),
        (
            {"schedule": "whenever"},
            2,
            "whether runs of CronJob kinds-sandbox/nightly fell into its rest can't be told: whenever",
        ),
    ],
)
def test_the_runs_that_fell_into_its_rest_are_told(spec: dict[str, object], hours: float, said: str) -> None:
    memory = Memory({"suspend": None}, {FIRST: 1}, since=SINCE.isoformat())
    now = SINCE + timedelta(hours=hours)
    assert missed_runs.text(NIGHTLY, {"spec": spec}, memory, now) == said


def test_more_runs_than_kubernetes_makes_up_for_are_told_as_such() -> None:
    memory = Memory({"suspend": False}, {FIRST: 1}, since=SINCE.isoformat())
    text = missed_runs.text(NIGHTLY, {"spec": {"schedule": "* * * * *"}}, memory, SINCE + timedelta(hours=3))
    assert text.startswith("more than 100 runs")
    assert text.endswith("Kubernetes starts none that it missed")
    suspended = Memory({"suspend": True}, {FIRST: 1}, since=SINCE.isoformat())
    assert (
        missed_runs.text(NIGHTLY, {"spec": {"schedule": "* * * * *"}}, suspended, SINCE + timedelta(hours=3))
        == ""
    )
