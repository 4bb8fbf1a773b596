"""Containers that somebody else puts into pods: commands run in the one that was chosen, found by its name."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from kubernetes_asyncio.client import CoreV1Api, V1Pod

from daemon.adapters.kubernetes import holder_container
from daemon.adapters.kubernetes.pod_selection import container_name
from daemon.ports.errors import PermanentError
from daemon.ports.pods.holders import Need
from sandbox.kubernetes.launch import Running
from sandbox.kubernetes.objects.admission import IMAGE, INJECT
from schemas.reasons import Reason
from schemas.wire import AttemptId
from tests.contract.pods.stands import ENVIRONMENT, SELECTOR, ClusterStand, cluster_stand

PROXY = {"name": "istio-proxy", "image": "fuse/proxy:1.0.0", "command": ["sleep", "1000000"]}
_MERGE: Any = {"_content_type": "application/merge-patch+json"}


@pytest.fixture
async def stand(double: Running) -> AsyncIterator[ClusterStand]:
    async with cluster_stand(double.kubeconfig, double) as cluster:
        await cluster.pod()
        yield cluster


@asynccontextmanager
async def mutating(stand: ClusterStand, annotation: str, value: str) -> AsyncIterator[None]:
    """Let an admission webhook change the environment's new pods."""
    core = CoreV1Api(stand.kubernetes.rest)
    await core.patch_namespace(ENVIRONMENT, {"metadata": {"annotations": {annotation: value}}}, **_MERGE)
    try:
        yield
    finally:
        await core.patch_namespace(ENVIRONMENT, {"metadata": {"annotations": {annotation: None}}}, **_MERGE)


def need(reset: str) -> Need:
    return Need("app", AttemptId(f"{reset}/seed.app.system/1"), 600)


async def remove(stand: ClusterStand, reset: str) -> None:
    core = CoreV1Api(stand.kubernetes.rest)
    await core.delete_namespaced_pod(f"resetd-{reset}-app", ENVIRONMENT, grace_period_seconds=0)


async def test_b8_a_command_runs_in_the_chosen_container_of_a_holder_with_a_proxy_in_front(
    stand: ClusterStand,
) -> None:
    reset = str(uuid4())
    service = await stand.pod()
    async with mutating(stand, INJECT, json.dumps(PROXY)):
        pod = await stand.pods.hold(ENVIRONMENT, SELECTOR, None, need(reset))
    there = await CoreV1Api(stand.kubernetes.rest).read_namespaced_pod(pod.name, ENVIRONMENT)
    assert [container.name for container in there.spec.containers] == ["istio-proxy", "app"]
    assert (pod.container, pod.image_digest) == ("app", service.image_digest)
    assert await stand.pods.variables(pod, ["GREETING"]) == {"GREETING": "good morning"}
    # Made by another daemon, found again by name.
    assert await stand.pods.hold(ENVIRONMENT, SELECTOR, None, need(reset)) == pod
    await remove(stand, reset)


async def test_b8_a_proxy_that_runs_on_does_not_keep_an_ended_holder(stand: ClusterStand) -> None:
    reset = str(uuid4())
    async with mutating(stand, INJECT, json.dumps(PROXY)):
        first = await stand.pods.hold(ENVIRONMENT, SELECTOR, None, need(reset))
        await stand.pods.read(first, ["sh", "-c", "kill -TERM 1"], timeout=20)
        again = first
        while again.uid == first.uid:
            again = await stand.pods.hold(ENVIRONMENT, SELECTOR, None, need(reset))
    assert again.container == "app"
    await remove(stand, reset)


async def test_b8_a_holder_whose_container_got_another_image_is_refused(stand: ClusterStand) -> None:
    reset = str(uuid4())
    async with mutating(stand, IMAGE, "fuse/proxy:1.0.0"):
        with pytest.raises(PermanentError) as raised:
            await stand.pods.hold(ENVIRONMENT, SELECTOR, None, need(reset))
    assert raised.value.reason is Reason.POD_NOT_FOUND
    assert "fuse/app:1.0.0" in raised.value.detail
    assert "fuse/proxy:1.0.0" in raised.value.detail
    assert raised.value.hint
    await remove(stand, reset)


def pod(*containers: tuple[str, str], **annotations: str) -> V1Pod:
    """Make a holder as it comes back from the API server."""
    spec = SimpleNamespace(
        containers=[SimpleNamespace(name=name, image=image) for name, image in containers],
        # Native sidecars are init containers, and a debugger is an ephemeral one: neither is asked about.
        init_containers=[SimpleNamespace(name="app", image="proxy:1", restart_policy="Always")],
        ephemeral_containers=[SimpleNamespace(name="app", image="debugger:1")],
        restart_policy="Never",
    )
    named = {f"resetd.fuse.io/{key}": value for key, value in annotations.items()}
    metadata = SimpleNamespace(name="resetd-r-app", annotations=named)
    found: Any = SimpleNamespace(metadata=metadata, spec=spec)
    return found  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("asked", "image"),
    [
        ("fuse/app:1.0.0", "mirror.example:5000/fuse/app:1.0.0"),
        ("fuse/app:1.0.0", "fuse/app:1.0.0@sha256:aa"),
        ("fuse/app@sha256:aa", "mirror/app@sha256:aa"),
        ("app", "docker.example/library/app:latest"),
    ],
)
def test_b8_an_image_from_another_registry_is_the_one_that_was_asked_for(asked: str, image: str) -> None:
    found = pod(("proxy", "proxy:1"), ("app", image), container="app", image=asked)
    assert holder_container.name_of(found, None) == "app"


@pytest.mark.parametrize(
    ("asked", "image"),
    [
        ("fuse/app:1.0.0", "fuse/app:1.0.1"),
        ("fuse/app@sha256:aa", "fuse/app@sha256:bb"),
        ("fuse/app:1.0.0", "fuse/other:1.0.0"),
    ],
)
def test_b8_another_image_is_not(asked: str, image: str) -> None:
    with pytest.raises(PermanentError):
        holder_container.name_of(pod(("app", image), container="app", image=asked), None)


def test_b8_a_holder_that_lost_its_container_and_one_that_names_none_are_refused() -> None:
    with pytest.raises(PermanentError, match="app"):
        holder_container.name_of(pod(("proxy", "proxy:1"), container="app", image="app:1"), None)
    # As an earlier release made it, with a proxy that was injected since: nothing tells which one is meant.
    with pytest.raises(PermanentError):
        holder_container.name_of(pod(("proxy", "proxy:1"), ("app", "app:1")), None)
    assert holder_container.name_of(pod(("proxy", "proxy:1"), ("app", "app:1")), "app") == "app"


def test_b8_a_log_is_the_services_own_whatever_stands_before_it() -> None:
    found = pod(("proxy", "proxy:1"), ("app", "app:1"))
    assert container_name(found, None, service="app") == "app"
    with pytest.raises(PermanentError):
        container_name(found, None)
