"""When a reset may start, as ArgoCD says it: in memory and on the Kubernetes double."""

from __future__ import annotations

import asyncio
import copy
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kubernetes_asyncio.client import CustomObjectsApi

from daemon.adapters.kubernetes.argocd import ArgoGate, closed_because
from daemon.adapters.kubernetes.client import KubernetesSettings, open_kubernetes
from daemon.adapters.kubernetes.quiescing.quiescing import KubernetesQuiescing
from daemon.ports.deployments import Deployments
from daemon.ports.errors import PermanentError, TemporaryError
from sandbox.kubernetes.launch import Arguments, Running, start
from schemas.quiescing import APPLICATION, ObjectRef
from schemas.reasons import Reason
from schemas.wire import ResetId
from tests.memory.deployments import MemoryDeployments

ENVIRONMENT = "demo-sandbox"
NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
SOURCE = {"repoURL": "git@example:infra.git", "path": "argocd/demo-sandbox", "targetRevision": "main"}


@dataclass
class Stand:
    """A gate, and a way to let ArgoCD say that the environment is not settled."""

    deployments: Deployments
    unsettle: Callable[[], Awaitable[None]]


@pytest.fixture(scope="module")
def double() -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="double-") as name:
        directory = Path(name)
        (directory / "images").mkdir()
        (directory / "variables.json").write_text(f'{{"{ENVIRONMENT}": {{}}}}')
        arguments = Arguments(
            directory / "cluster",
            directory / "images",
            directory / "variables.json",
            environments=(ENVIRONMENT,),
        )
        running = start(arguments)
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture(params=["memory", "double"])
async def stand(request: pytest.FixtureRequest) -> AsyncIterator[Stand]:
    if request.param == "memory":
        memory = MemoryDeployments()

        async def close() -> None:
            memory.closed[ENVIRONMENT] = "syncing"

        yield Stand(memory, close)
        return
    running: Running = request.getfixturevalue("double")
    async with open_kubernetes(KubernetesSettings(kubeconfig=running.kubeconfig)) as kubernetes:
        objects = CustomObjectsApi(kubernetes.rest)
        application = ("argoproj.io", "v1alpha1", "argocd", "applications", ENVIRONMENT)

        async def suspend() -> None:
            # Nobody looks at it any more, and what was seen last is bad.
            annotations = {"argocd.argoproj.io/skip-reconcile": "true"}
            # A dict alone is sent as a JSON patch.
            merge: Any = {"_content_type": "application/merge-patch+json"}
            await objects.patch_namespaced_custom_object(
                *application, {"metadata": {"annotations": annotations}}, **merge
            )
            status = {"status": {"health": {"status": "Degraded"}}}
            await objects.patch_namespaced_custom_object(*application, status, **merge)

        yield Stand(ArgoGate(kubernetes, "argocd"), suspend)


async def test_a_settled_environment_is_open_until_it_is_unsettled(stand: Stand) -> None:
    async with asyncio.timeout(30):
        while not (gate := await stand.deployments.gate(ENVIRONMENT)).open:  # noqa: ASYNC110 - asked of a cluster
            await asyncio.sleep(0.05)
    assert not gate.reason
    await stand.unsettle()
    gate = await stand.deployments.gate(ENVIRONMENT)
    assert not gate.open
    assert gate.reason


async def test_a_sync_that_a_reset_holds_closes_the_gate_and_names_the_reset(double: Running) -> None:
    reset = ResetId("01900000-0000-7000-8000-000000000001")
    target = ObjectRef(environment=ENVIRONMENT, kind=APPLICATION, name=ENVIRONMENT)
    async with open_kubernetes(KubernetesSettings(kubeconfig=double.kubeconfig)) as kubernetes:
        quiescing = KubernetesQuiescing(kubernetes, "argocd")
        await quiescing.quiesce(target, reset, status=1)
        try:
            gate = await ArgoGate(kubernetes, "argocd").gate(ENVIRONMENT)
            assert (gate.open, gate.held_by) == (False, (reset,))
            assert reset in gate.reason
        finally:
            await quiescing.release(target, reset, status=2)
        assert (await ArgoGate(kubernetes, "argocd").gate(ENVIRONMENT)).held_by == ()


async def test_f6_a_directory_that_argocd_normalises_opens_the_gate_and_changed_sources_close_it(
    double: Running,
) -> None:
    merge: Any = {"_content_type": "application/merge-patch+json"}
    async with open_kubernetes(KubernetesSettings(kubeconfig=double.kubeconfig)) as kubernetes:
        objects = CustomObjectsApi(kubernetes.rest)
        gate = ArgoGate(kubernetes, "argocd")
        application = ("argoproj.io", "v1alpha1", "argocd", "applications", ENVIRONMENT)
        before = await objects.get_namespaced_custom_object(*application)
        held = copy.deepcopy(before["spec"]["source"])

        async def change(spec: dict[str, Any], **annotations: str | None) -> None:
            body = {"spec": spec, "metadata": {"annotations": annotations}}
            await objects.patch_namespaced_custom_object(*application, body, **merge)

        async def until_open() -> None:
            async with asyncio.timeout(30):
                while not (await gate.gate(ENVIRONMENT)).open:  # noqa: ASYNC110 - asked of a cluster
                    await asyncio.sleep(0.05)

        skip = {"argocd.argoproj.io/skip-reconcile": "true"}
        go_on = dict.fromkeys(skip)
        try:
            await change({"source": {"directory": {"recurse": True, "include": ""}}}, **go_on)
            await until_open()
            # ArgoCD has not looked at what was changed last.
            await change({"sources": [held, held | {"path": "more"}]}, **skip)
            assert "present source" in (await gate.gate(ENVIRONMENT)).reason
            await change({}, **go_on)
            await until_open()
            await change({"sources": [held, held | {"path": "other"}]}, **skip)
            assert "present source" in (await gate.gate(ENVIRONMENT)).reason
        finally:
            await change({"sources": None, "source": held | {"directory": None}}, **go_on)


async def test_a_missing_application_is_closed_with_a_reason(double: Running) -> None:
    async with open_kubernetes(KubernetesSettings(kubeconfig=double.kubeconfig)) as kubernetes:
        gate = await ArgoGate(kubernetes, "argocd").gate("other-sandbox")
    assert not gate.open
    assert "other-sandbox" in gate.reason


async def test_without_argocd_every_gate_is_open(double: Running) -> None:
    async with open_kubernetes(KubernetesSettings(kubeconfig=double.kubeconfig)) as kubernetes:
        assert (await ArgoGate(kubernetes, "").gate("other-sandbox")).open


async def test_a_cluster_that_does_not_answer_is_temporary(double: Running, tmp_path: Path) -> None:
    moved = await asyncio.to_thread(Path(double.kubeconfig).read_text)
    nowhere = tmp_path / "kubeconfig"
    nowhere.write_text(moved.replace(f":{double.ready['port']}", ":1"))
    async with open_kubernetes(KubernetesSettings(kubeconfig=str(nowhere))) as kubernetes:
        with pytest.raises(TemporaryError) as raised:
            await ArgoGate(kubernetes, "argocd").gate(ENVIRONMENT)
    assert raised.value.reason is Reason.KUBERNETES_UNREACHABLE


@pytest.mark.parametrize("config", ["", "not: [yaml", "{}"])
async def test_a_kubeconfig_that_can_not_be_used_is_refused(tmp_path: Path, config: str) -> None:
    (tmp_path / "kubeconfig").write_text(config)
    with pytest.raises(PermanentError):
        async with open_kubernetes(KubernetesSettings(kubeconfig=str(tmp_path / "kubeconfig"))):
            pass


def application(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - parts of a document
    """Make an Application that opens the gate, with some parts of its status changed."""
    return {
        "metadata": {"name": ENVIRONMENT},
        "spec": {"source": SOURCE},
        "status": {
            "sync": {"status": "Synced", "comparedTo": {"source": SOURCE}},
            "health": {"status": "Healthy"},
            "operationState": {"phase": "Succeeded"},
            "reconciledAt": "2026-05-04T11:58:00Z",
        }
        | changes,
    }


def test_a_settled_application_is_open() -> None:
    assert closed_because(application(), NOW, 600) == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"operationState": {"phase": "Running"}}, "syncing"),
        ({"operationState": {"phase": "Terminating"}}, "syncing"),
        ({"sync": {"status": "OutOfSync"}}, "OutOfSync"),
        ({"health": {"status": "Progressing"}}, "Progressing"),
        ({"conditions": [{"type": "ComparisonError", "message": "no manifest"}]}, "no manifest"),
        ({"reconciledAt": "2026-05-04T11:00:00Z"}, "3600 s old"),
        ({"reconciledAt": None}, "not looked"),
        ({"sync": {"status": "Synced", "comparedTo": {"source": {"path": "old"}}}}, "present source"),
    ],
)
def test_an_unsettled_application_is_closed_with_its_reason(changes: dict[str, Any], said: str) -> None:
    assert said in closed_because(application(**changes), NOW, 600)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"metadata": {"deletionTimestamp": "2026-05-04T11:59:00Z"}}, "deleted"),
        ({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}, "look again"),
        ({"operation": {"sync": {}}}, "syncing"),
        ({"status": None}, "Unknown"),
    ],
)
def test_an_application_that_is_about_to_change_is_closed(part: dict[str, Any], said: str) -> None:
    assert said in closed_because(application() | part, NOW, 600)


def test_a_warning_condition_is_no_error() -> None:
    found = application(conditions=[{"type": "OrphanedResourceWarning", "message": "one"}])
    assert closed_because(found, NOW, timedelta(minutes=10).total_seconds()) == ""


def compared(
    wanted: dict[str, Any],
    compared_to: dict[str, Any],
    **spec: Any,  # noqa: ANN401 - parts of a document
) -> str:
    """Return why the gate is closed for an Application that asks for one thing and was compared with another."""
    found = application(sync={"status": "Synced", "comparedTo": compared_to})
    return closed_because(found | {"spec": wanted | spec}, NOW, 600)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"directory": {"recurse": True}}, {"directory": {"recurse": True, "jsonnet": {}}}),
        ({"directory": {"recurse": False}}, {}),
        ({"helm": {"valueFiles": [], "skipCrds": False, "releaseName": ""}}, {"helm": {}}),
        ({"kustomize": None, "chart": ""}, {}),
        ({"helm": {"parameters": [{"name": "a", "value": "1"}]}},
         {"helm": {"parameters": [{"name": "a", "value": "1", "forceString": False}]}}),
    ],
)  # fmt: skip
def test_f6_empty_values_say_nothing_on_either_side(given: dict[str, Any], stored: dict[str, Any]) -> None:
    assert compared({"source": SOURCE | given}, {"source": SOURCE | stored}) == ""
    assert compared({"source": SOURCE | stored}, {"source": SOURCE | given}) == ""
    assert compared({"sources": [SOURCE, SOURCE | given]}, {"sources": [SOURCE, SOURCE | stored]}) == ""


@pytest.mark.parametrize(
    ("wanted", "stored"),
    [
        ({"sources": [SOURCE, SOURCE | {"path": "new"}]}, {"sources": [SOURCE, SOURCE | {"path": "old"}]}),
        ({"sources": [SOURCE]}, {"sources": [SOURCE, SOURCE]}),
        ({"sources": [SOURCE, {"path": "new"}]}, {"source": SOURCE}),
        ({"source": SOURCE, "sources": [SOURCE | {"path": "new"}]}, {"source": SOURCE}),
        ({"source": SOURCE | {"targetRevision": "next"}}, {"source": SOURCE}),
        ({"source": SOURCE | {"directory": {"recurse": True}}}, {"source": SOURCE}),
        ({"source": SOURCE | {"helm": {"valueFiles": ["b"]}}}, {"source": SOURCE | {"helm": {"valueFiles": ["a"]}}}),
        ({"source": SOURCE}, {}),
    ],
)  # fmt: skip
def test_f6_a_source_that_changed_is_noticed(wanted: dict[str, Any], stored: dict[str, Any]) -> None:
    assert "present source" in compared(wanted, stored)


def test_f6_a_hydrated_application_is_compared_by_the_branch_that_is_deployed() -> None:
    hydrator = {
        "drySource": {"repoURL": "git@example:infra.git", "path": "charts", "targetRevision": "main"},
        "syncSource": {"targetBranch": "env/demo-sandbox", "path": "demo"},
    }
    deployed = {"repoURL": "git@example:infra.git", "path": "demo", "targetRevision": "env/demo-sandbox"}
    assert compared({"sourceHydrator": hydrator}, {"source": deployed}) == ""
    other = deployed | {"targetRevision": "env/other"}
    assert "present source" in compared({"sourceHydrator": hydrator}, {"source": other})


def test_f6_another_destination_is_noticed_and_an_address_that_argocd_filled_in_is_not() -> None:
    there = {
        "source": SOURCE,
        "destination": {"name": "c", "server": "https://c", "namespace": "demo-sandbox"},
    }
    same, moved = {"name": "c", "namespace": "demo-sandbox"}, {"name": "c", "namespace": "demo-production"}
    assert compared({"source": SOURCE}, there, destination=same) == ""
    assert "present source" in compared({"source": SOURCE}, there, destination=moved)


@pytest.mark.parametrize("reconciled", ["yesterday", 7, "2026-05-04T11:58:00"])
def test_a_time_that_can_not_be_read_is_none(reconciled: object) -> None:
    assert "not looked" in closed_because(application(reconciledAt=reconciled), NOW, 600)


def test_annotations_may_be_null() -> None:
    assert closed_because(application() | {"metadata": {"annotations": None}}, NOW, 600) == ""
