"""What has to rest with workloads of an environment: what starts pods beside them, and what scales them up again."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence

from daemon.adapters.kubernetes.documents import Document, Documents
from daemon.adapters.kubernetes.quiescing.kinds import (
    APPLICATIONS,
    CRON_JOBS,
    KINDS,
    SCALED_JOBS,
    SCALED_OBJECTS,
    STARTING,
    QuiescedKind,
)
from daemon.adapters.kubernetes.quiescing.sources import sources_of
from daemon.adapters.kubernetes.quiescing.tracking import (
    Destination,
    instance_name,
    keeps_one_of,
    place_of,
    trackers,
)
from daemon.ports.errors import PermanentError
from schemas.quiescing import APPLICATION, ObjectRef
from schemas.reasons import Reason
from schemas.wire import ResourceKey

Uses = Mapping[ObjectRef, Collection[ResourceKey]]


class Around:
    """Finds it by what objects say of themselves.

    Args:
        documents: Reads the objects.
        argocd_namespace: Where Applications live; empty where there is no ArgoCD.
        server: The address of the API server, by which an Application may name this cluster.
    """

    def __init__(self, documents: Documents, argocd_namespace: str, server: str) -> None:
        self._documents = documents
        self._argocd = argocd_namespace
        self._destination = Destination(server)

    async def of(self, environment: str, workloads: Uses) -> dict[ObjectRef, tuple[ResourceKey, ...]]:
        """See `daemon.ports.quiescing.Quiescing.around`."""
        if not workloads:
            return {}
        read = await asyncio.gather(*(self._read(target) for target in workloads))
        known = {target: each for target, each in zip(workloads, read, strict=True) if each is not None}
        listed = await asyncio.gather(*(self._list(kind, environment) for kind in STARTING))
        found: dict[ObjectRef, tuple[ResourceKey, ...]] = {}
        objects = [(target.kind, document) for target, document in known.items()]
        for kind, documents in zip(STARTING, listed, strict=True):
            for document in documents:
                used = _used_by(kind, document, known, workloads)
                if used is not None:
                    name = str(document["metadata"]["name"])
                    found[ObjectRef(environment=environment, kind=kind.kind, name=name)] = used
                    objects.append((kind.kind, document))
        for name in await self._applications(environment, objects):
            found[ObjectRef(environment=environment, kind=APPLICATION, name=name)] = ()
        return found

    async def _read(self, target: ObjectRef) -> Document | None:
        kind = KINDS.get(target.kind)
        return await self._documents.get(kind, target.environment, target.name) if kind is not None else None

    async def _list(self, kind: QuiescedKind, environment: str) -> Sequence[Document]:
        """List a kind. Who may not list one that the cluster does not have, misses no right."""
        try:
            return await self._documents.list(kind, environment)
        except PermanentError as error:
            forbidden = error.reason is Reason.KUBERNETES_FORBIDDEN
            if forbidden and kind is not CRON_JOBS and not await self._documents.is_served(kind):
                return ()
            raise

    async def _applications(self, environment: str, objects: Sequence[tuple[str, Document]]) -> list[str]:
        """The Applications that keep one of these objects, by the names that ArgoCD has for them."""
        if not self._argocd:
            return []
        listed = {
            instance_name(each, self._argocd): each
            for each in await self._documents.list(APPLICATIONS, self._argocd)
        }
        for name in {tracker.name for _, each in objects for tracker in trackers(each)} - listed.keys():
            namespace, plain = place_of(name, self._argocd)
            # A label says who keeps an object only where ArgoCD uses it so: by default it is Helm's.
            if namespace != self._argocd and (
                found := await self._documents.get(APPLICATIONS, namespace, plain)
            ):
                listed[name] = found
        return sorted(
            name
            for name, application in listed.items()
            if keeps_one_of(name, application, environment, objects, self._destination)
        )


def _used_by(
    kind: QuiescedKind, document: Document, known: Mapping[ObjectRef, Document], workloads: Uses
) -> tuple[ResourceKey, ...] | None:
    """The databases that what an object starts may use; None where it has nothing to do with the workloads."""
    if kind is SCALED_OBJECTS:
        reference = (document.get("spec") or {}).get("scaleTargetRef") or {}
        scaled = (reference.get("kind") or "Deployment", reference.get("name"))
        return () if any((each.kind, each.name) == scaled for each in workloads) else None
    assert kind in (CRON_JOBS, SCALED_JOBS)
    template = kind.template(document)
    labels = ((template or {}).get("metadata") or {}).get("labels") or {}
    sources = sources_of(template)
    like = [
        target
        for target, each in known.items()
        if sources & sources_of(KINDS[target.kind].template(each)) or _selects(each, labels)
    ]
    return _all(workloads[target] for target in like) if like else None


def _selects(workload: Document, labels: Mapping[str, str]) -> bool:
    wanted = ((workload.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    return bool(wanted) and all(labels.get(label) == value for label, value in wanted.items())


def _all(uses: Iterable[Collection[ResourceKey]]) -> tuple[ResourceKey, ...]:
    return tuple(sorted({key for each in uses for key in each}))
