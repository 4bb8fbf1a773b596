"""Quiesces and releases objects in the cluster: each change is one patch, of the version that was read."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from kubernetes_asyncio.client import CoreV1Api

from daemon.adapters.kubernetes.argocd import is_syncing, was_asked
from daemon.adapters.kubernetes.client import REQUEST_TIMEOUT_SECONDS, Kubernetes
from daemon.adapters.kubernetes.documents import Document, Documents
from daemon.adapters.kubernetes.errors import translated
from daemon.adapters.kubernetes.quiescing import health
from daemon.adapters.kubernetes.quiescing.kinds import APPLICATIONS, KINDS, QuiescedKind
from daemon.adapters.kubernetes.quiescing.listing import Listing
from daemon.adapters.kubernetes.quiescing.selectors import selector_text
from daemon.adapters.kubernetes.quiescing.undoers import Undoers
from daemon.adapters.kubernetes.workloads.memory import (
    ANNOTATION,
    FORGET,
    Memory,
    UnreadableMemoryError,
    memory_of,
)
from daemon.adapters.kubernetes.workloads.pod_templates import read_template, template_variables
from daemon.ports.errors import PermanentError, TemporaryError
from daemon.ports.quiescing import Obstacles, Quiesced
from schemas.quiescing import APPLICATION, ObjectRef
from schemas.reasons import Reason
from schemas.wire import ResetId, ResourceKey

_TRIES = 5
"""Tries at a change while others change the same object: controllers write its status all the time."""
_OVER = frozenset({"Succeeded", "Failed"})
"""Phases of pods in which nothing runs."""


class KubernetesQuiescing:
    """Implements `daemon.ports.quiescing.Quiescing`.

    Args:
        kubernetes: The connection, from `open_kubernetes`.
        argocd_namespace: Where Applications live; empty where there is no ArgoCD.
    """

    def __init__(self, kubernetes: Kubernetes, argocd_namespace: str) -> None:
        self._argocd = argocd_namespace
        self._rest = kubernetes.rest
        self._core = CoreV1Api(kubernetes.rest)
        self._documents = Documents(kubernetes.rest)
        self._undoers = Undoers(self._documents, argocd_namespace)
        self._listing = Listing(self._documents, self._core, argocd_namespace)

    async def applications(self, environment: str) -> tuple[ObjectRef, ...]:
        """See the port: those that deploy to the namespace."""
        if not self._argocd:
            return ()
        found = await self._documents.list(APPLICATIONS, self._argocd)
        names = (
            str(each["metadata"]["name"])
            for each in found
            if (((each.get("spec") or {}).get("destination") or {}).get("namespace")) == environment
        )
        return tuple(
            ObjectRef(environment=environment, kind=APPLICATION, name=name) for name in sorted(names)
        )

    async def obstacles(self, target: ObjectRef) -> Obstacles:
        """See the port. The API server is asked by a dry run of the very change."""
        try:
            kind = _kind(target)
            document = await self._get(kind, target)
            if document is None:
                return Obstacles((f"there is no {target}",))
            undone_by = tuple(await self._undoers.of(target, document))
            memory = _read(target, document)
            memory = memory or self._remember(kind, target, document)
            patch = {**kind.to_rest(document), "metadata": memory.to_patch()}
            await self._patch(kind, target, patch, document, dry_run=True)
        except PermanentError as error:
            if error.reason is Reason.KUBERNETES_FORBIDDEN:
                return Obstacles(missing_rights=(error.detail.rpartition("missing right: ")[2],))
            return Obstacles((f"{target}: {error.detail}",))
        return Obstacles(undone_by)

    async def quiesce(
        self, target: ObjectRef, reset_id: ResetId, uses: Collection[ResourceKey] = (), *, status: int
    ) -> Quiesced:
        """See the port."""
        kind = _kind(target)
        for _ in range(_TRIES):
            document = await self._get(kind, target)
            if document is None:
                raise PermanentError(Reason.QUIESCE_REFUSED, f"there is no {target}")
            memory = _read(target, document) or self._remember(kind, target, document)
            patch = {
                **kind.to_rest(document),
                "metadata": memory.joined(reset_id, status, uses).to_patch(),
            }
            changed = await self._patch(kind, target, patch, document)
            if changed is None:
                continue
            if not kind.rests(changed) and (otherwise := kind.to_rest_otherwise()):
                changed = await self._patch(kind, target, otherwise, changed)
            # What an admission webhook or another controller made of it is read, rather than what was sent.
            read = await self._get(kind, target) if changed is not None else None
            if read is not None and kind.rests(read) and (found := _quiesced(kind, target, read)):
                return found
        raise TemporaryError(
            Reason.QUIESCE_UNDONE,
            f"{target} did not stay as it was quiesced",
            hint="Look at who writes it: an autoscaler, an operator, ArgoCD, a person.",
        )

    async def find(self, target: ObjectRef) -> Quiesced | None:
        """See the port."""
        kind = _kind(target)
        document = await self._get(kind, target)
        return None if document is None else _quiesced(kind, target, document)

    async def running(self, target: ObjectRef) -> tuple[str, ...]:
        """See the port: for a workload the pods that its selector matches, as they may still be ending."""
        kind = _kind(target)
        document = await self._get(kind, target)
        if document is None:
            return ()
        if target.kind == APPLICATION:
            return (f"the sync of {target}",) if is_syncing(document) else ()
        selector = selector_text((document.get("spec") or {}).get("selector") or {})
        if not selector:
            raise PermanentError(Reason.QUIESCE_REFUSED, f"{target} has no selector that can be read")
        what = f"list pods of {target.environment}"
        with translated(what, f"list pods in {target.environment}"):
            pods = await self._core.list_namespaced_pod(
                target.environment, label_selector=selector, _request_timeout=REQUEST_TIMEOUT_SECONDS
            )
        found = [
            f"pod {pod.metadata.name}"
            for pod in pods.items
            if not pod.status or pod.status.phase not in _OVER
        ]
        # Without its pods yet to come: what made the last one may not have seen that none is asked for.
        return tuple(found) or ((f"the controller of {target}",) if health.is_behind(document) else ())

    async def release(self, target: ObjectRef, reset_id: ResetId, *, status: int) -> Quiesced | None:
        """See the port. Who has changed the object since knows better than what is remembered: that stays."""
        kind = _kind(target)
        for _ in range(_TRIES):
            document = await self._get(kind, target)
            memory = None if document is None else _read(target, document)
            if document is None or memory is None:
                return None
            if memory.resets.get(reset_id, 0) > status:
                return _quiesced(kind, target, document)
            changed = await self._patch(kind, target, _without(kind, document, memory, (reset_id,)), document)
            if changed is not None:
                return _quiesced(kind, target, changed)
        raise TemporaryError(Reason.QUIESCE_UNDONE, f"{target} is changed by others all the time")

    async def quiesced(self) -> tuple[Quiesced, ...]:
        """See the port. One whose annotation a person has edited is left out: nobody knows what it was."""
        found = []
        for target, document in await self._listing.all():
            try:
                read = _quiesced(KINDS[target.kind], target, document)
            except PermanentError:
                continue
            if read is not None:
                found.append(read)
        return tuple(found)

    async def release_listed(self, listed: Quiesced, resets: Collection[ResetId]) -> bool:
        """See the port."""
        kind = _kind(listed.object)
        document = await self._get(kind, listed.object)
        if document is None or str(document["metadata"]["resourceVersion"]) != listed.version:
            return False
        memory = _read(listed.object, document)
        if memory is None:
            return False
        patch = _without(kind, document, memory, resets)
        return await self._patch(kind, listed.object, patch, document) is not None

    async def unhealthy(self, targets: Collection[ObjectRef], since: datetime) -> str:
        """See the port."""
        for target in targets:
            kind = _kind(target)
            document = await self._get(kind, target)
            if document is None:
                return f"{target} is gone"
            memory = _read(target, document)
            if memory is not None and memory.resets:
                continue  # it stays at rest for another reset, which is said where it is released
            if target.kind != APPLICATION:
                why = health.why_not_running(target, document)
            else:
                why = health.why_not_believed(document, since)
                if why and not was_asked(document):
                    await self._patch(kind, target, health.ASK, document)
            if why:
                return why
        return ""

    def _remember(self, kind: QuiescedKind, target: ObjectRef, document: Document) -> Memory:
        template = read_template(self._rest, (document.get("spec") or {}).get("template"))
        return Memory(kind.original(document), {}, variables=template_variables(template, target.name))

    async def _get(self, kind: QuiescedKind, target: ObjectRef) -> Document | None:
        return await self._documents.get(kind, self._namespace(target), target.name)

    async def _patch(
        self,
        kind: QuiescedKind,
        target: ObjectRef,
        patch: Document,
        document: Document,
        *,
        dry_run: bool = False,
    ) -> Document | None:
        return await self._documents.patch(
            kind,
            self._namespace(target),
            target.name,
            patch,
            version=str(document["metadata"]["resourceVersion"]),
            dry_run=dry_run,
        )

    def _namespace(self, target: ObjectRef) -> str:
        return self._argocd if target.kind == APPLICATION else target.environment


def _kind(target: ObjectRef) -> QuiescedKind:
    kind = KINDS.get(target.kind)
    if kind is None:
        raise PermanentError(
            Reason.QUIESCE_REFUSED,
            f"{target} can't be scaled to 0",
            hint="Give its pods to a Deployment, or take them away for the time of the reset.",
        )
    return kind


def _read(target: ObjectRef, document: Document) -> Memory | None:
    try:
        return memory_of(document)
    except UnreadableMemoryError as error:
        raise PermanentError(
            Reason.QUIESCE_REFUSED,
            f"the annotation {ANNOTATION} of {target} can't be read",
            hint="Give the object the values that it should have, and remove the annotation.",
        ) from error


def _quiesced(kind: QuiescedKind, target: ObjectRef, document: Document) -> Quiesced | None:
    memory = _read(target, document)
    if memory is None:
        return None
    return Quiesced(
        object=target,
        version=str(document["metadata"]["resourceVersion"]),
        resets=tuple(memory.resets),
        original=kind.said(memory.original),
        uses=memory.uses,
        held=kind.rests(document),
    )


def _without(
    kind: QuiescedKind, document: Document, memory: Memory, resets: Collection[ResetId]
) -> dict[str, Any]:
    """The patch that takes resets off the list, and undoes the change with the last of them."""
    left = memory.without(resets)
    if left.resets:
        return {"metadata": left.to_patch()}
    undo = kind.to_undo(memory.original) if kind.rests(document) else {}
    return {**undo, "metadata": dict(FORGET)}
