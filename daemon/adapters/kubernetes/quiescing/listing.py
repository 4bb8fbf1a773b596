"""Lists the quiesced objects of all namespaces."""

from __future__ import annotations

from collections.abc import Iterable

from kubernetes_asyncio.client import CoreV1Api

from daemon.adapters.kubernetes.documents import Document, Documents
from daemon.adapters.kubernetes.everywhere import Everywhere, where_allowed
from daemon.adapters.kubernetes.quiescing.kinds import APPLICATIONS, WORKLOADS, QuiescedKind
from daemon.adapters.kubernetes.workloads.memory import LABEL
from schemas.quiescing import APPLICATION, ObjectRef

_SELECTOR = f"{LABEL}=true"


class Listing:
    """Finds quiesced objects by their label."""

    def __init__(self, documents: Documents, core: CoreV1Api, argocd_namespace: str) -> None:
        self._documents = documents
        self._everywhere = Everywhere(core)
        self._argocd = argocd_namespace

    async def all(self) -> list[tuple[ObjectRef, Document]]:
        """All quiesced objects, each with its document.

        Raises:
            TemporaryError: something can't be listed now.
        """
        found: list[tuple[ObjectRef, Document]] = []
        for kind in WORKLOADS:

            async def of(namespace: str | None, kind: QuiescedKind = kind) -> Iterable[Document]:
                return await self._documents.list(kind, namespace, label_selector=_SELECTOR)

            found += _refs(kind, await self._everywhere.list(kind.kind, of))
        if self._argocd:
            listing = self._documents.list(APPLICATIONS, self._argocd, label_selector=_SELECTOR)
            found += _refs(APPLICATIONS, await where_allowed(listing))
        return found


def _refs(kind: QuiescedKind, documents: Iterable[Document]) -> list[tuple[ObjectRef, Document]]:
    return [(_ref(kind, document), document) for document in documents]


def _ref(kind: QuiescedKind, document: Document) -> ObjectRef:
    metadata = document["metadata"]
    environment = str(metadata["namespace"])
    if kind.kind == APPLICATION:
        destination = (document.get("spec") or {}).get("destination") or {}
        environment = str(destination.get("namespace") or metadata["name"])
    return ObjectRef(environment=environment, kind=kind.kind, name=str(metadata["name"]))
