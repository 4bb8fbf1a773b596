"""Where the contract of quiescing is played: in memory, on the Kubernetes double, on a cluster given by address.

Each has an environment with one Deployment `app` that asks for one pod, and an Application where there is ArgoCD.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from kubernetes_asyncio.client import CustomObjectsApi

from daemon.adapters.kubernetes.client import Kubernetes, KubernetesSettings, open_kubernetes
from daemon.adapters.kubernetes.quiescing.quiescing import KubernetesQuiescing
from daemon.ports.quiescing import Quiescing
from schemas.quiescing import APPLICATION, ObjectRef
from tests.memory.pods import MemoryPods
from tests.memory.quiescing import MemoryQuiescing

ENVIRONMENT = "demo-sandbox"
DEPLOYMENT = ObjectRef(environment=ENVIRONMENT, kind="Deployment", name="app")
SYNC = ObjectRef(environment=ENVIRONMENT, kind=APPLICATION, name=ENVIRONMENT)
_MERGE: Any = {"_content_type": "application/merge-patch+json"}


class Stand(Protocol):
    """What a test needs besides the port."""

    @property
    def quiescing(self) -> Quiescing:
        """The port under test."""
        ...

    async def replicas(self) -> int:
        """Return how many pods the Deployment asks for."""
        ...

    async def scale(self, replicas: int) -> None:
        """Scale the Deployment, as a person does."""
        ...

    async def syncs(self) -> bool:
        """Tell whether the Application syncs by itself."""
        ...


@dataclass
class MemoryStand:
    """See Stand."""

    pods: MemoryPods = field(default_factory=MemoryPods)

    def __post_init__(self) -> None:
        self.pods.add(ENVIRONMENT, "app")
        self.quiescing = MemoryQuiescing(self.pods, lambda: datetime.now(UTC))
        self.quiescing.add_application(ENVIRONMENT)

    async def replicas(self) -> int:
        service = self.pods.service(ENVIRONMENT, "app")
        assert service is not None
        return service.replicas

    async def scale(self, replicas: int) -> None:
        await self.pods.scale(ENVIRONMENT, "app", replicas)

    async def syncs(self) -> bool:
        return self.quiescing.applications_[ENVIRONMENT].automated


@dataclass
class ClusterStand:
    """See Stand. `argocd` is the namespace of Applications."""

    kubernetes: Kubernetes
    argocd: str

    def __post_init__(self) -> None:
        self.quiescing = KubernetesQuiescing(self.kubernetes, self.argocd)
        self._objects = CustomObjectsApi(self.kubernetes.rest)

    async def deployment(self) -> Any:  # noqa: ANN401 - JSON
        return await self._objects.get_namespaced_custom_object(
            "apps", "v1", ENVIRONMENT, "deployments", "app"
        )

    async def application(self) -> Any:  # noqa: ANN401 - JSON
        return await self._objects.get_namespaced_custom_object(
            "argoproj.io", "v1alpha1", self.argocd, "applications", ENVIRONMENT
        )

    async def change_deployment(self, body: dict[str, Any]) -> None:
        await self._objects.patch_namespaced_custom_object(
            "apps", "v1", ENVIRONMENT, "deployments", "app", body, **_MERGE
        )

    async def change_application(self, body: dict[str, Any]) -> None:
        await self._objects.patch_namespaced_custom_object(
            "argoproj.io", "v1alpha1", self.argocd, "applications", ENVIRONMENT, body, **_MERGE
        )

    async def replicas(self) -> int:
        return int((await self.deployment())["spec"]["replicas"])

    async def scale(self, replicas: int) -> None:
        await self.change_deployment({"spec": {"replicas": replicas}})

    async def syncs(self) -> bool:
        automated = (await self.application())["spec"].get("syncPolicy", {}).get("automated")
        return automated is not None and automated.get("enabled") is not False

    async def let_argocd_act(self, *, acts: bool) -> None:
        """Let ArgoCD look at the Application, or not."""
        skip = {"argocd.argoproj.io/skip-reconcile": None if acts else "true"}
        await self.change_application({"metadata": {"annotations": skip}})

    async def clean(self) -> None:
        """Put both back to how a test finds them."""
        for quiesced in await self.quiescing.quiesced():
            await self.quiescing.release_listed(quiesced, quiesced.resets)
        await self.scale(1)
        async with asyncio.timeout(60):
            while (await self.deployment()).get("status", {}).get("readyReplicas") != 1:  # noqa: ASYNC110 - asked of a cluster
                await asyncio.sleep(0.1)


@asynccontextmanager
async def cluster_stand(kubeconfig: str, argocd: str, *, acts: bool = False) -> AsyncIterator[ClusterStand]:
    """The stand on a cluster, clean before and after. ArgoCD `acts` on it only where that is what a test is about."""
    async with open_kubernetes(KubernetesSettings(kubeconfig=kubeconfig)) as kubernetes:
        stand = ClusterStand(kubernetes, argocd)
        if argocd:
            await stand.let_argocd_act(acts=acts)
        await stand.clean()
        try:
            yield stand
        finally:
            await stand.clean()


async def until(look: Callable[[], Awaitable[object]], within: float = 30) -> None:
    """Wait until `look` finds something: 1 replica, a name."""
    async with asyncio.timeout(within):
        while not await look():  # noqa: ASYNC110 - asked of a cluster
            await asyncio.sleep(0.1)


async def until_nothing(look: Callable[[], Awaitable[object]], within: float = 30) -> None:
    """Wait until `look` finds nothing any more."""
    async with asyncio.timeout(within):
        while await look():  # noqa: ASYNC110 - asked of a cluster
            await asyncio.sleep(0.1)
