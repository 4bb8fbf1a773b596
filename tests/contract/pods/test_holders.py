"""Holders: what every pods port promises of them, and what the pod that is made looks like."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any
from uuid import uuid4

import pytest

from daemon.adapters.kubernetes.holder_pod import holder_pod
from daemon.ports.errors import PermanentError
from daemon.ports.pods.cluster import Pod
from daemon.ports.pods.commands import Fate
from daemon.ports.pods.holders import Holder, Need
from schemas.reasons import Reason
from schemas.resets import Control
from schemas.wire import AttemptId
from tests.contract.pods.stands import Stand


def attempt(reset: str, number: int = 1) -> AttemptId:
    return AttemptId(f"{reset}/seed.app.system/{number}")


@pytest.fixture
def reset() -> str:
    return str(uuid4())


async def hold(stand: Stand, reset: str, number: int = 1) -> Pod:
    service = stand.selector.rpartition("=")[2]
    need = Need(service, attempt(reset, number), 600)
    return await stand.pods.hold(stand.environment, stand.selector, None, need)


async def listed(stand: Stand, reset: str) -> Holder | None:
    return next((holder for holder in await stand.pods.holders() if holder.reset_id == reset), None)


async def launched(stand: Stand, pod: Pod, reset: str, argv: list[str]) -> Control:
    control = await stand.pods.prepare(pod, attempt(reset))
    await stand.pods.launch(control, attempt(reset), argv)
    return control


async def exit_code(stand: Stand, control: Control) -> int | None:
    async with asyncio.timeout(30), aclosing(stand.pods.follow(control, offset=0)) as observations:
        last = [seen async for seen in observations][-1]
    return last.exit_code


async def removed(stand: Stand, reset: str) -> None:
    """Remove a holder as a sweeper does, again and again: the kubelet's own writes make a listing out of date, too."""
    async with asyncio.timeout(60):
        while (holder := await listed(stand, reset)) is not None:
            await stand.pods.remove_holder(holder)


async def test_a_holder_runs_commands_with_the_services_variables(stand: Stand, reset: str) -> None:
    service = await stand.pod()
    pod = await hold(stand, reset)
    name, value = stand.variable
    assert await stand.pods.variables(pod, [name]) == {name: value}
    assert (pod.image_digest, pod.container) == (service.image_digest, service.container)
    assert pod.uid != service.uid
    assert await exit_code(stand, await launched(stand, pod, reset, stand.prints(b"hello", 7))) == 7
    await removed(stand, reset)


async def test_one_reset_has_one_holder_for_a_service_and_another_reset_another(
    stand: Stand, reset: str
) -> None:
    first = await hold(stand, reset)
    assert await hold(stand, reset, 2) == first
    assert set(await asyncio.gather(hold(stand, reset, 3), hold(stand, reset, 3))) == {first}
    other = str(uuid4())
    made = await asyncio.gather(hold(stand, other), hold(stand, other))
    assert made[0] == made[1] != first
    await removed(stand, reset)
    await removed(stand, other)


async def test_a_holder_is_not_taken_for_the_service(stand: Stand, reset: str) -> None:
    service = await stand.pod()
    await hold(stand, reset)
    assert await stand.pod() == service
    await removed(stand, reset)


async def test_a_service_that_is_scaled_to_zero_has_a_holder(stand: Stand, reset: str) -> None:
    await stand.pod()
    async with stand.scaled_to_zero():
        pod = await hold(stand, reset)
        assert await exit_code(stand, await launched(stand, pod, reset, stand.prints(b"", 0))) == 0
    await removed(stand, reset)


async def test_a_holder_is_removed_only_as_it_was_listed(stand: Stand, reset: str) -> None:
    pod = await hold(stand, reset)
    before = await listed(stand, reset)
    assert before is not None
    assert (before.name, before.uid, before.ended) == (pod.name, pod.uid, False)
    control = await launched(stand, await hold(stand, reset, 2), reset, stand.waits())
    assert not await stand.pods.remove_holder(before)
    assert (await stand.pods.fate(control)).fate is Fate.RUNNING
    await removed(stand, reset)
    assert not await stand.pods.remove_holder(before)


async def test_a_holder_that_the_same_attempt_asks_for_again_is_another_than_was_listed(
    stand: Stand, reset: str
) -> None:
    await hold(stand, reset)
    before = await listed(stand, reset)
    assert before is not None
    await hold(stand, reset)
    assert not await stand.pods.remove_holder(before)
    await removed(stand, reset)


async def test_a_holder_made_again_takes_nothing_up_that_was_launched_in_the_former_one(
    stand: Stand, reset: str
) -> None:
    control = await launched(stand, await hold(stand, reset), reset, stand.waits())
    await removed(stand, reset)
    again = await hold(stand, reset, 2)
    assert again.name == control.pod
    assert again.uid != control.pod_uid
    with pytest.raises(PermanentError) as raised:
        await stand.pods.launch(control, attempt(reset), stand.waits())
    assert raised.value.reason is Reason.COMMAND_INTERRUPTED
    assert (await stand.pods.fate(control)).fate is Fate.UNKNOWN
    await removed(stand, reset)


async def test_without_a_deployment_there_is_nothing_to_copy(stand: Stand, reset: str) -> None:
    need = Need("nothing", attempt(reset), 600)
    with pytest.raises(PermanentError) as raised:
        await stand.pods.hold(stand.environment, "app.kubernetes.io/name=nothing", None, need)
    assert raised.value.reason is Reason.POD_NOT_FOUND


DEPLOYMENT: dict[str, Any] = {
    "metadata": {"name": "app"},
    "spec": {
        "template": {
            "metadata": {
                "labels": {"app.kubernetes.io/name": "app", "app.kubernetes.io/instance": "qa-sandbox"},
                "annotations": {
                    "argocd.argoproj.io/tracking-id": "qa-sandbox:apps/Deployment:qa-sandbox/app",
                    "vault.hashicorp.com/role": "app",
                    "kubectl.kubernetes.io/default-container": "app",
                },
            },
            "spec": {
                "serviceAccountName": "app",
                "hostNetwork": True,
                "shareProcessNamespace": True,
                "terminationGracePeriodSeconds": 300,
                "volumes": [{"name": "cache", "emptyDir": {}}],
                "initContainers": [
                    {"name": "migrate", "image": "app:1", "command": ["npm", "run", "migrate"]}
                ],
                "containers": [
                    {"name": "proxy", "image": "proxy:1"},
                    {
                        "name": "app",
                        "image": "app:1",
                        "command": ["npm"],
                        "args": ["start"],
                        "env": [
                            {"name": "URL", "valueFrom": {"secretKeyRef": {"name": "app", "key": "url"}}}
                        ],
                        "envFrom": [{"secretRef": {"name": "more"}}],
                        "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
                        "resources": {"limits": {"memory": "1Gi"}},
                        "ports": [{"containerPort": 3000}],
                        "livenessProbe": {"httpGet": {"port": 3000}},
                        "readinessProbe": {"httpGet": {"port": 3000}},
                        "startupProbe": {"httpGet": {"port": 3000}},
                        "lifecycle": {"postStart": {"exec": {"command": ["npm", "run", "seed"]}}},
                    },
                ],
            },
        }
    },
}


def test_a_holders_pod_is_the_template_without_what_would_make_it_the_service() -> None:
    pod = holder_pod(DEPLOYMENT, None, "app", AttemptId("0199-r/seed.app.system/1"))
    metadata, spec = pod["metadata"], pod["spec"]
    assert metadata["name"] == "resetd-0199-r-app"
    assert metadata["labels"] == {
        "app.kubernetes.io/managed-by": "resetd",
        "resetd.fuse.io/reset": "0199-r",
        "resetd.fuse.io/service": "app",
    }
    assert metadata["annotations"] == {
        "vault.hashicorp.com/role": "app",
        "kubectl.kubernetes.io/default-container": "app",
        "resetd.fuse.io/attempt": "0199-r/seed.app.system/1",
        "resetd.fuse.io/container": "app",
        "resetd.fuse.io/image": "app:1",
    }
    (container,) = spec.pop("containers")
    original = DEPLOYMENT["spec"]["template"]["spec"]["containers"][1]
    for kept in ("name", "image", "env", "envFrom", "volumeMounts", "resources"):
        assert container.pop(kept) == original[kept]
    assert "sleep" in container.pop("command")[2]
    assert container == {}
    assert spec == {
        "serviceAccountName": "app",
        "hostNetwork": True,
        "volumes": [{"name": "cache", "emptyDir": {}}],
        "restartPolicy": "Never",
        "activeDeadlineSeconds": 172_800,
        "terminationGracePeriodSeconds": 5,
    }


def test_a_holders_container_is_the_one_that_is_configured() -> None:
    pod = holder_pod(DEPLOYMENT, "proxy", "app", AttemptId("r/s/1"))
    assert [container["image"] for container in pod["spec"]["containers"]] == ["proxy:1"]
    with pytest.raises(PermanentError):
        holder_pod(DEPLOYMENT, "other", "app", AttemptId("r/s/1"))
