"""What breaks around a reset: the API server, a database server, a pod, a container, a lock that somebody holds."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sandbox.platform.platform import Platform
from tests.integration.stand.waiting import wait_for

_BACK_WITHIN = 60.0


@contextmanager
def without_kubernetes(platform: Platform) -> Iterator[None]:
    """The API server is killed (SIGKILL) now and started again at the end; containers run on."""
    platform.cluster.running.kill()
    try:
        yield
    finally:
        platform.start_kubernetes()


@contextmanager
def without_credentials(platform: Platform) -> Iterator[None]:
    """The API server comes back and refuses the daemon's credentials: the daemon is nobody to it, until the end."""
    refused = platform.directory / "kubernetes" / "resetd.refused"
    try:
        with without_kubernetes(platform):
            refused.touch()
        yield
    finally:
        with without_kubernetes(platform):
            refused.unlink()


@contextmanager
def without_database(platform: Platform, server: str) -> Iterator[None]:
    """A PostgreSQL server is down until the end."""
    chosen = platform.databases.servers[server]
    chosen.stop()
    try:
        yield
    finally:
        chosen.start_again()


@contextmanager
def without_pods(platform: Platform, environment: str, service: str) -> Iterator[None]:
    """The service is scaled to 0, and nothing heals that; at the end it is back and ready."""
    asyncio.run(platform.cluster.hold_health(environment, "Healthy"))
    try:
        asyncio.run(platform.cluster.scale(environment, service, 0))
        wait_for(
            lambda: not pods(platform, environment, service), f"{service} has no pod", within=_BACK_WITHIN
        )
        yield
    finally:
        asyncio.run(platform.cluster.scale(environment, service, 1))
        asyncio.run(platform.cluster.let_health_go(environment))
        asyncio.run(platform.until_ready([environment], within=_BACK_WITHIN))


def pods(platform: Platform, environment: str, service: str) -> list[dict[str, Any]]:
    """The service's pods as the API server shows them."""
    return asyncio.run(platform.cluster.pods(environment, service))


def kill_container(platform: Platform, environment: str, service: str) -> None:
    """Its PID 1 gets SIGKILL, and with it all that runs there; the kubelet starts another one in the same pod."""
    (pod,) = pods(platform, environment, service)
    identifier = pod["status"]["containerStatuses"][0]["containerID"].partition("://")[2]
    state = platform.directory / "kubernetes" / "containers" / identifier / "state"
    os.kill(int(state.read_text().split()[0]), signal.SIGKILL)


def vanish(platform: Platform, environment: str, service: str) -> None:
    """The service's pod is deleted with no grace: nothing tells any more how its containers ended."""
    (pod,) = pods(platform, environment, service)
    path = f"/api/v1/namespaces/{environment}/pods/{pod['metadata']['name']}"
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
    asyncio.run(platform.cluster.call("DELETE", path, options))
