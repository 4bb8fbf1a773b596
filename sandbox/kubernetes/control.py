"""A client of the Kubernetes double for the platform and tests: scale, delete, provision, hold ArgoCD's health.

It speaks plain HTTP with the admin's kubeconfig. Each call makes its own client, so any event loop may call.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from sandbox.kubernetes import launch

_SECONDS = 15.0
_READINESS_POLL_SECONDS = 0.2
_MERGE = "application/merge-patch+json"
_SKIP = {"argocd.argoproj.io/skip-reconcile": "true"}


class NotReadyError(RuntimeError):
    """Pods did not become ready in time; the message names them, with the last lines of their logs."""


@dataclass(frozen=True)
class Cluster:
    """The running double, as the cluster's admin sees it."""

    running: launch.Running

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig of the admin, who may do everything."""
        return Path(self.running.kubeconfig)

    @property
    def daemons_kubeconfig(self) -> Path:
        """The kubeconfig of the daemon, whose account alone meets the faults of the API server."""
        return self.kubeconfig.with_name("resetd.kubeconfig")

    async def deployments(self, namespace: str) -> list[dict[str, Any]]:
        """All Deployments of a namespace."""
        items: list[dict[str, Any]] = (await self.call("GET", _deployments(namespace)))["items"]
        return items

    async def pods(self, namespace: str, service: str | None = None) -> list[dict[str, Any]]:
        """All pods of a namespace, or those of a service."""
        query = {"labelSelector": f"app.kubernetes.io/name={service}"} if service else {}
        items: list[dict[str, Any]] = (
            await self.call("GET", f"/api/v1/namespaces/{namespace}/pods", query=query)
        )["items"]
        return items

    async def scale(self, namespace: str, service: str, replicas: int) -> None:
        """Set the replicas of a service; ArgoCD sets them back while self-heal is on."""
        body = {"spec": {"replicas": replicas}}
        await self.call("PATCH", f"{_deployments(namespace)}/{service}/scale", body)

    async def delete_pod(self, namespace: str, name: str) -> None:
        """Delete a pod; its controller makes another one."""
        await self.call("DELETE", f"/api/v1/namespaces/{namespace}/pods/{name}")

    async def delete_namespace(self, namespace: str) -> None:
        """Deprovision an environment: delete its namespace with everything in it."""
        await self.call("DELETE", f"/api/v1/namespaces/{namespace}")

    async def application(self, environment: str) -> dict[str, Any]:
        """Read ArgoCD's Application of an environment."""
        found: dict[str, Any] = await self.call("GET", _application(environment))
        return found

    async def hold_health(self, environment: str, health: str) -> None:
        """Freeze the Application at a health such as `Progressing` until `let_health_go`."""
        await self.call("PATCH", _application(environment), {"metadata": {"annotations": _SKIP}})
        await self.call("PATCH", _application(environment), {"status": {"health": {"status": health}}})

    async def let_health_go(self, environment: str) -> None:
        """Let ArgoCD look at the Application again."""
        body = {"metadata": {"annotations": dict.fromkeys(_SKIP)}}
        await self.call("PATCH", _application(environment), body)

    async def cut_streams(self) -> None:
        """Reset the connection of every open exec."""
        await self.call("POST", "/sandbox/streams/cut")

    async def open_streams(self) -> int:
        """Count the open execs."""
        return int((await self.call("GET", "/sandbox/streams"))["open"])

    async def provision(self, environment: str) -> None:
        """Create an environment, whose variables are in the double's file already."""
        await self.call("POST", f"/sandbox/environments/{environment}")

    async def until_ready(self, environments: Sequence[str], *, within: float) -> None:
        """Wait until these environments are Healthy and Synced and all their replicas are ready.

        Raises:
            NotReadyError: some are not ready after `within` seconds.
        """
        try:
            async with asyncio.timeout(within):
                for environment in environments:
                    while not await self._ready(environment):  # noqa: ASYNC110 - it is another process's state
                        await asyncio.sleep(_READINESS_POLL_SECONDS)
        except TimeoutError as error:
            text = "; ".join([await self._complaint(environment) for environment in environments])
            raise NotReadyError(f"not ready after {within:g} s: {text}") from error

    async def _ready(self, environment: str) -> bool:
        application = await self.application(environment)
        counts = [
            (deployment["spec"]["replicas"], (deployment.get("status") or {}).get("readyReplicas", 0))
            for deployment in await self.deployments(environment)
        ]
        status = application.get("status") or {}
        healthy = status.get("health", {}).get("status") == "Healthy"
        synced = status.get("sync", {}).get("status") == "Synced"
        return healthy and synced and bool(counts) and all(ready >= wanted for wanted, ready in counts)

    async def _complaint(self, environment: str) -> str:
        for pod in await self.pods(environment):
            statuses = (pod.get("status") or {}).get("containerStatuses") or []
            if not statuses or not all(container["ready"] for container in statuses):
                name = pod["metadata"]["name"]
                path = f"/api/v1/namespaces/{environment}/pods/{name}/log"
                return f"{environment}/{name}: {(await self._request('GET', path)).text[-500:]}"
        return f"{environment}: pods are ready"

    async def call(
        self, method: str, path: str, body: object = None, *, query: dict[str, str] | None = None
    ) -> Any:  # noqa: ANN401 - JSON
        """Send a request as the admin and decode the answer; a PATCH is a merge patch.

        Raises:
            httpx.HTTPStatusError: the double refuses.
        """
        answer = await self._request(method, path, body, query=query)
        answer.raise_for_status()
        return answer.json()

    async def _request(
        self, method: str, path: str, body: object = None, *, query: dict[str, str] | None = None
    ) -> httpx.Response:
        url, token, context = _admin(self.running.kubeconfig)
        headers = {"Authorization": f"Bearer {token}"}
        if method == "PATCH":
            headers["Content-Type"] = _MERGE
        async with httpx.AsyncClient(verify=context, timeout=_SECONDS, trust_env=False) as client:
            return await client.request(method, url + path, json=body, headers=headers, params=query)


@functools.cache
def _admin(kubeconfig: str) -> tuple[str, str, ssl.SSLContext]:
    held = yaml.safe_load(Path(kubeconfig).read_text())
    cluster = held["clusters"][0]["cluster"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    return cluster["server"], held["users"][0]["user"]["token"], ssl.create_default_context(cadata=authority)


def _deployments(namespace: str) -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/deployments"


def _application(environment: str) -> str:
    return f"/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/{environment}"
