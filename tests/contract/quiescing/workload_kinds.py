"""Workloads of other kinds than Deployment, in a namespace of their own on the Kubernetes double."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

from kubernetes_asyncio.client import ApiException, CoreV1Api, CustomObjectsApi

from sandbox.kubernetes.objects.kinds import BY_PATH, Kind
from tests.contract.quiescing.stands import ClusterStand

NAMESPACE = "kinds-sandbox"
LABEL = "app.kubernetes.io/name"
LABELS = {LABEL: "shop"}
SELECTOR = f"{LABEL}=shop"
CONTAINER = {"name": "shop", "image": "fuse/app:1.0.0", "command": ["sleep", "1000000"]}
_MERGE: Any = {"_content_type": "application/merge-patch+json"}
TEMPLATE = {
    "metadata": {"labels": LABELS},
    "spec": {"containers": [CONTAINER], "terminationGracePeriodSeconds": 1},
}


class Objects:
    """Makes, reads and changes objects of any kind, and removes what it made."""

    def __init__(self, stand: ClusterStand) -> None:
        self._objects = CustomObjectsApi(stand.kubernetes.rest)
        self._made: list[tuple[Kind, str]] = []

    async def create(self, kind: Kind, body: Mapping[str, Any], namespace: str = NAMESPACE) -> Any:  # noqa: ANN401 - JSON
        whole = {"apiVersion": kind.api_version, "kind": kind.kind, **body}
        made = await self._objects.create_namespaced_custom_object(
            kind.group, kind.version, namespace, kind.plural, cast("Any", whole)
        )
        if namespace != NAMESPACE:
            self._made.append((kind, f"{namespace}/{body['metadata']['name']}"))
        return made

    async def get(self, kind: Kind, name: str, namespace: str = NAMESPACE) -> Any:  # noqa: ANN401 - JSON
        return await self._objects.get_namespaced_custom_object(
            kind.group, kind.version, namespace, kind.plural, name
        )

    async def change(
        self, kind: Kind, name: str, body: Mapping[str, Any], namespace: str = NAMESPACE
    ) -> None:
        await self._objects.patch_namespaced_custom_object(
            kind.group,
            kind.version,
            namespace,
            kind.plural,
            name,
            cast("Any", body),
            **_MERGE,
        )

    async def change_status(self, kind: Kind, name: str, body: Mapping[str, Any]) -> None:
        await self._objects.patch_namespaced_custom_object_status(
            kind.group,
            kind.version,
            NAMESPACE,
            kind.plural,
            name,
            cast("Any", body),
            **_MERGE,
        )

    async def names(self, kind: Kind) -> list[str]:
        found = await self._objects.list_namespaced_custom_object(
            kind.group, kind.version, NAMESPACE, kind.plural
        )
        return [str(each["metadata"]["name"]) for each in cast("Any", found)["items"]]

    async def serve(self, kind: Kind) -> None:
        """Install the definition of a custom resource."""
        with suppress(ApiException):
            await self._objects.create_cluster_custom_object(
                "apiextensions.k8s.io",
                "v1",
                "customresourcedefinitions",
                cast("Any", {"metadata": {"name": f"{kind.plural}.{kind.group}"}}),
            )

    async def clean(self) -> None:
        """Remove what was made."""
        for kind in BY_PATH.values():
            if kind.namespaced and kind.group:
                with suppress(ApiException):
                    await self._objects.delete_collection_namespaced_custom_object(
                        kind.group, kind.version, NAMESPACE, kind.plural
                    )
        for kind, place in self._made:
            namespace, _, name = place.partition("/")
            with suppress(ApiException):
                await self._objects.delete_namespaced_custom_object(
                    kind.group, kind.version, namespace, kind.plural, name
                )


@asynccontextmanager
async def objects_of(stand: ClusterStand) -> AsyncIterator[Objects]:
    """The namespace, with nothing in it before and after."""
    core = CoreV1Api(stand.kubernetes.rest)
    with suppress(ApiException):
        await core.create_namespace(cast("Any", {"metadata": {"name": NAMESPACE}}))
    objects = Objects(stand)
    await objects.clean()
    try:
        yield objects
    finally:
        await objects.clean()
