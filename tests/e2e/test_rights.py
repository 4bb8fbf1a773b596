"""Roles suffice, and each right of the shipped manifests is needed; the error names what is missing, and where."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
import yaml

from daemon.adapters.kubernetes.argocd import ArgoGate
from daemon.adapters.kubernetes.client import KubernetesSettings, open_kubernetes
from daemon.adapters.kubernetes.pods import KubernetesPods
from daemon.ports.errors import PermanentError
from daemon.ports.pods.cluster import Pod
from daemon.ports.pods.holders import Need
from sandbox.platform.platform import Platform
from schemas.publish import Mode
from schemas.reasons import Reason
from schemas.resets import Control
from schemas.wire import AttemptId
from tests.e2e.cluster import RealCluster, namespace, rights
from tests.e2e.deployments import sleeper
from tests.integration.stand.harness import running
from tests.integration.stand.waiting import wait_for

pytestmark = pytest.mark.e2e
ENVIRONMENT = "rights-sandbox"
SELECTOR = "app.kubernetes.io/name=app"


@dataclass(frozen=True)
class Ports:
    """What a daemon with these rights has, and what it found while it had all."""

    pods: KubernetesPods
    gate: ArgoGate
    pod: Pod
    control: Control

    def hold(self, reset: str) -> Awaitable[Pod]:
        """Ask for the holder of a reset."""
        need = Need("app", AttemptId(f"{reset}/seed.app/1"), 60)
        return self.pods.hold(ENVIRONMENT, SELECTOR, None, need)


Asks = Callable[[Ports], Awaitable[Any]]


async def removes(ports: Ports) -> None:
    reset = str(uuid4())
    await ports.hold(reset)
    (holder,) = [one for one in await ports.pods.holders() if one.reset_id == reset]
    await ports.pods.remove_holder(holder)


async def listed(ports: Ports) -> None:
    """List the workloads; what is told to be missing is raised."""
    for error in (await ports.pods.workloads(ENVIRONMENT)).unread:
        raise error


NEEDS: dict[tuple[str, str], Asks] = {
    ("list", "namespaces"): lambda ports: ports.pods.environments(),
    ("get", "pods"): lambda ports: ports.pods.fate(ports.control),
    ("list", "pods"): lambda ports: ports.pods.choose(ENVIRONMENT, SELECTOR, None),
    ("get", "pods/log"): lambda ports: ports.pods.last_log(ENVIRONMENT, SELECTOR, 5),
    ("get", "pods/exec"): lambda ports: ports.pods.read(ports.pod, ["true"], timeout=20),
    ("list", "deployments"): listed,
    ("list", "statefulsets"): listed,
    ("list", "rollouts"): listed,
    ("list", "replicasets"): lambda ports: ports.pods.choose(ENVIRONMENT, SELECTOR, None),
    ("create", "pods"): lambda ports: ports.hold(str(uuid4())),
    ("patch", "pods"): lambda ports: ports.hold(str(uuid4())),
    ("delete", "pods"): removes,
    ("get", "applications"): lambda ports: ports.gate.gate(ENVIRONMENT),
}
"""Every right but `create` on pods/exec, which Kubernetes asks for from 1.35 on."""


def without(verb: str, resource: str) -> list[dict[str, Any]]:
    """The manifest without one right."""
    found = copy.deepcopy(rights(ENVIRONMENT))
    for one in found:
        for rule in one.get("rules", ()):
            if rule["resources"] == [resource]:
                rule["verbs"] = [each for each in rule["verbs"] if each != verb]
        if "rules" in one:
            one["rules"] = [rule for rule in one["rules"] if rule["verbs"]]
    return found


@pytest.fixture(scope="module")
def service(real: RealCluster) -> Iterator[RealCluster]:
    """A namespace with one service in the middle of a rollout."""
    real.remove_namespace(ENVIRONMENT)
    real.apply(namespace(ENVIRONMENT), sleeper(ENVIRONMENT))

    def pods() -> list[Any]:
        items: list[Any] = real.core().list_namespaced_pod(ENVIRONMENT).items
        return items

    wait_for(
        lambda: any(
            one.status.container_statuses and one.status.container_statuses[0].ready for one in pods()
        ),
        "the pod is ready",
        within=120,
    )
    yield real
    real.remove_namespace(ENVIRONMENT)


@pytest_asyncio.fixture
async def ports(service: RealCluster, tmp_path: Path) -> AsyncIterator[Ports]:
    kubeconfig = service.account(tmp_path, rights(ENVIRONMENT))
    async with open_kubernetes(KubernetesSettings(kubeconfig=str(kubeconfig))) as kubernetes:
        pods = KubernetesPods(kubernetes)
        pod = await pods.choose(ENVIRONMENT, SELECTOR, None)
        control = await pods.prepare(pod, AttemptId(f"{uuid4()}/seed.app/1"))
        yield Ports(pods, ArgoGate(kubernetes, "argocd"), pod, control)
        service.apply(*rights(ENVIRONMENT))


@pytest.mark.timeout(300)
async def test_each_right_is_needed_and_a_missing_one_is_named(ports: Ports, service: RealCluster) -> None:
    listed = {
        (verb, resource)
        for one in rights(ENVIRONMENT)
        for rule in one.get("rules", ())
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert listed - set(NEEDS) == {("create", "pods/exec")}
    # Two ReplicaSets have pods now; which is newer only the ReplicaSets say.
    service.apply(sleeper(ENVIRONMENT, ready=False))
    wait_for(
        lambda: len(service.core().list_namespaced_pod(ENVIRONMENT, label_selector=SELECTOR).items) == 2,
        "the rollout is under way",
        within=60,
    )
    for (verb, resource), asks in NEEDS.items():
        service.apply(*without(verb, resource))
        refused = await refusal(asks, ports)
        assert refused.reason is Reason.KUBERNETES_FORBIDDEN, (verb, resource, refused)
        missing = refused.detail.partition("missing right: ")[2]
        assert verb in missing.split(" in ")[0].replace(",", "").split(), (verb, resource, missing)
        assert resource in missing
        where = {"applications": "argocd", "namespaces": ""}.get(resource, ENVIRONMENT)
        assert where in missing


def test_in_the_cluster_the_account_may_list_the_names_of_namespaces_and_nothing_else() -> None:
    of_cluster = [one["rules"] for one in rights(ENVIRONMENT) if one["kind"] == "ClusterRole"]
    assert of_cluster == [[{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list"]}]]


DOCTORS = set(NEEDS) - {
    ("get", "pods"),
    ("create", "pods"),
    ("patch", "pods"),
    ("delete", "pods"),
    ("list", "replicasets"),
}
"""What the doctor itself uses: the others are for commands that run, for holders, and in the middle of a rollout."""


@pytest.mark.timeout(300)
def test_the_doctor_of_a_daemon_says_which_right_is_missing(
    service: RealCluster, platform: Platform, tmp_path: Path
) -> None:
    service.apply(sleeper(ENVIRONMENT))
    settings = {
        "RESETD_KUBECONFIG": str(service.account(tmp_path, rights(ENVIRONMENT))),
        "RESETD_CATALOG": str(tiny_catalog(tmp_path)),
    }
    with running(platform, tmp_path / "daemon", settings=settings) as harness:

        def told() -> list[str]:
            """What is not well. Without the names of the namespaces there is no report, but an error that says why."""
            with harness.daemon.client() as client:
                answer = client.post(f"/api/v1/environments/{ENVIRONMENT}/doctor", timeout=60.0)
            if answer.is_error:
                return [answer.text]
            return [
                f"{one['detail']} {one['hint']}"
                for one in answer.json()["findings"]
                if one["level"] in {"failed", "unknown"}
            ]

        def lacks(right: str) -> bool:
            return any(f"missing right: {right}" in one for one in told())

        def well() -> bool:
            return not any("missing right" in one for one in told())

        for verb, resource in sorted(DOCTORS):
            service.apply(*rights(ENVIRONMENT))
            wait_for(well, "the account has all rights again", within=20, every=0.3)
            service.apply(*without(verb, resource))
            right = f"{verb} {resource}" if resource != "pods/exec" else "get, create pods/exec"
            wait_for(lambda right=right: lacks(right), f"the doctor misses {right}", within=20, every=0.3)  # type: ignore[misc]
        service.apply(*rights(ENVIRONMENT))


def tiny_catalog(directory: Path) -> Path:
    """The file of a catalog with the service `app` alone."""
    seed = {"name": "seed", "phase": "seed", "argv": ["true"], "idempotent": "safe"}
    service = {
        "name": "app",
        "databases": [{"name": "app", "handshake": {"argv": ["true"]}}],
        "steps": {mode.value: [seed] for mode in Mode},
        "doctor": [{"name": "look", "argv": ["true"]}],
    }
    document = {"name": "tiny", "kinds": {"sandbox": {}}, "order": ["app"], "services": [service]}
    file = directory / "catalog.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


async def refusal(asks: Asks, ports: Ports) -> PermanentError:
    """RBAC is read from a cache: a right that was taken away may work for a moment."""
    last: object = None
    for _ in range(100):
        try:
            last = await asks(ports)
        except PermanentError as error:
            if error.reason is Reason.KUBERNETES_FORBIDDEN:
                return error
            last = error
        except Exception as error:  # noqa: BLE001 - looked at again, and shown
            last = error
        await asyncio.sleep(0.1)
    pytest.fail(f"nothing was refused: {last!r}")
