"""Lists the quiesced objects of all namespaces."""

from __future__ import annotations

from collections.abc import Iterable

from kubernetes_asyncio.client import CoreV1Api

from daemon.adapters.kubernetes.documents import Document, Documents
from daemon.adapters.kubernetes.everywhere import Everywhere, where_allowed
from daemon.adapters.kubernetes.quiescing.kinds import (
    APPLICATIONS,
    STARTING,
    WORKLOADS,
    QuiescedKind,
)
from daemon.adapters.kubernetes.quiescing.tracking import instance_name
from daemon.adapters.kubernetes.workloads.memory import LABEL
from schemas.quiescing import APPLICATION, ObjectRef

_SPARE_SECONDS = 600.0
"""How long a namespace that the account may not list is spared."""
_SELECTOR = f"{LABEL}=true"


class Listing:
    """Finds quiesced objects by their label."""

    def __init__(self, documents: Documents, core: CoreV1Api, argocd_namespace: str) -> None:
        self._documents = documents
        self._everywhere = Everywhere(core, spare=_SPARE_SECONDS)
        self._argocd = argocd_namespace

    async def all(self, environment: str | None = None) -> list[tuple[ObjectRef, Document]]:
        """All quiesced objects, of one environment or of all, each with its document.

        Raises:
            TemporaryError: something can't be listed now.
        """
        found: list[tuple[ObjectRef, Document]] = []
        for kind in (*WORKLOADS, *STARTING, *((APPLICATIONS,) if self._argocd else ())):

            async def of(namespace: str | None, kind: QuiescedKind = kind) -> Iterable[Document]:
                return await self._documents.list(kind, namespace, label_selector=_SELECTOR)

            if environment is None:
                documents: Iterable[Document] = await self._everywhere.list(kind.kind, of)
            else:
                place = self._argocd if kind is APPLICATIONS else environment
                documents = await where_allowed(of(place))
            refs = [(_ref(kind, document, self._argocd), document) for document in documents]
            found += [each for each in refs if environment in {None, each[0].environment}]
        return found


def _ref(kind: QuiescedKind, document: Document, argocd_namespace: str) -> ObjectRef:
    metadata = document["metadata"]
    environment, name = str(metadata["namespace"]), str(metadata["name"])
    if kind.kind == APPLICATION:
        destination = (document.get("spec") or {}).get("destination") or {}
        environment, name = (
            str(destination.get("namespace") or name),
            instance_name(document, argocd_namespace),
        )
    return ObjectRef(environment=environment, kind=kind.kind, name=name)
