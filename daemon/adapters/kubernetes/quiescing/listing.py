"""Lists the quiesced objects of all namespaces, or, without the right to all, of each that the account may read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from kubernetes_asyncio.client import CoreV1Api

from daemon.adapters.kubernetes.client import REQUEST_TIMEOUT_SECONDS
from daemon.adapters.kubernetes.errors import translated
from daemon.adapters.kubernetes.quiescing.documents import Document, Documents
from daemon.adapters.kubernetes.quiescing.kinds import APPLICATIONS, WORKLOADS, QuiescedKind
from daemon.adapters.kubernetes.workloads.memory import LABEL
from daemon.ports.errors import PermanentError
from schemas.quiescing import APPLICATION, ObjectRef
from schemas.reasons import Reason

_AT_ONCE = 8
_SELECTOR = f"{LABEL}=true"


class Listing:
    """Finds quiesced objects by their label."""

    def __init__(self, documents: Documents, core: CoreV1Api, argocd_namespace: str) -> None:
        self._documents = documents
        self._core = core
        self._argocd = argocd_namespace
        self._one_by_one: set[str] = set()
        """Kinds that the account may not list in all namespaces at once."""

    async def all(self) -> list[tuple[ObjectRef, Document]]:
        """All quiesced objects, each with its document.

        Raises:
            TemporaryError: something can't be listed now.
        """
        found: list[tuple[ObjectRef, Document]] = []
        for kind in WORKLOADS:
            found += _refs(kind, await self._workloads(kind))
        if self._argocd:
            try:
                listed = await self._documents.list(APPLICATIONS, self._argocd, label_selector=_SELECTOR)
            except PermanentError as error:
                if error.reason is not Reason.KUBERNETES_FORBIDDEN:
                    raise
                listed = ()
            found += _refs(APPLICATIONS, listed)
        return found

    async def _workloads(self, kind: QuiescedKind) -> Iterable[Document]:
        if kind.kind not in self._one_by_one:
            try:
                return await self._documents.list(kind, None, label_selector=_SELECTOR)
            except PermanentError as error:
                if error.reason is not Reason.KUBERNETES_FORBIDDEN:
                    raise
                self._one_by_one.add(kind.kind)
        with translated("list namespaces", "list namespaces"):
            namespaces = await self._core.list_namespace(_request_timeout=REQUEST_TIMEOUT_SECONDS)
        slots = asyncio.Semaphore(_AT_ONCE)

        async def of(namespace: str) -> Iterable[Document]:
            async with slots:
                try:
                    return await self._documents.list(kind, namespace, label_selector=_SELECTOR)
                except PermanentError as error:
                    if error.reason is not Reason.KUBERNETES_FORBIDDEN:
                        raise
                    return ()  # nothing of ours is where the account has no rights

        lists = await asyncio.gather(*(of(str(each.metadata.name)) for each in namespaces.items))
        return [document for listed in lists for document in listed]


def _refs(kind: QuiescedKind, documents: Iterable[Document]) -> list[tuple[ObjectRef, Document]]:
    return [(_ref(kind, document), document) for document in documents]


def _ref(kind: QuiescedKind, document: Document) -> ObjectRef:
    metadata = document["metadata"]
    environment = str(metadata["namespace"])
    if kind.kind == APPLICATION:
        destination = (document.get("spec") or {}).get("destination") or {}
        environment = str(destination.get("namespace") or metadata["name"])
    return ObjectRef(environment=environment, kind=kind.kind, name=str(metadata["name"]))
