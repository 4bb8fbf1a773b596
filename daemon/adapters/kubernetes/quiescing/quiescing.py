"""Quiesces and releases objects in the cluster: each change is one patch, of the version that was read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime

from kubernetes_asyncio.client import CoreV1Api

from daemon.adapters.kubernetes.argocd import REFRESH_ANNOTATION, is_syncing, utc_now
from daemon.adapters.kubernetes.client import REQUEST_TIMEOUT_SECONDS, Kubernetes
from daemon.adapters.kubernetes.documents import Document, Documents
from daemon.adapters.kubernetes.errors import translated
from daemon.adapters.kubernetes.quiescing import health, jobs, missed_runs
from daemon.adapters.kubernetes.quiescing.around import Around
from daemon.adapters.kubernetes.quiescing.kinds import (
    APPLICATIONS,
    KINDS,
    STARTING,
    WORKLOADS,
    QuiescedKind,
    with_metadata,
)
from daemon.adapters.kubernetes.quiescing.listing import Listing
from daemon.adapters.kubernetes.quiescing.remembering import kind_of, quiesced_of, released, remembered
from daemon.adapters.kubernetes.quiescing.selectors import pods_of
from daemon.adapters.kubernetes.quiescing.tracking import place_of
from daemon.adapters.kubernetes.quiescing.undoers import Undoers
from daemon.adapters.kubernetes.workloads.memory import (
    Memory,
)
from daemon.adapters.kubernetes.workloads.pod_templates import read_template, template_variables
from daemon.ports.errors import PermanentError, TemporaryError
from daemon.ports.quiescing import Obstacles, Quiesced
from schemas.quiescing import APPLICATION, CRON_JOB, ObjectRef
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
        now: Tells the time, aware.
    """

    def __init__(
        self, kubernetes: Kubernetes, argocd_namespace: str, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._argocd = argocd_namespace
        self._now = now
        self._rest = kubernetes.rest
        self._core = CoreV1Api(kubernetes.rest)
        self._documents = Documents(kubernetes.rest)
        self._around = Around(self._documents, argocd_namespace, kubernetes.rest.configuration.host or "")
        self._undoers = Undoers(self._documents, argocd_namespace)
        self._listing = Listing(self._documents, self._core, argocd_namespace)

    async def around(
        self, environment: str, workloads: Mapping[ObjectRef, Collection[ResourceKey]]
    ) -> Mapping[ObjectRef, tuple[ResourceKey, ...]]:
        """See the port."""
        return await self._around.of(environment, workloads)

    async def obstacles(self, target: ObjectRef) -> Obstacles:
        """See the port. The API server is asked by a dry run of the very change."""
        try:
            kind = kind_of(target)
            document = await self._get(kind, target)
            if document is None:
                return Obstacles((f"there is no {target}",))
            undone_by = tuple(await self._undoers.of(target, document))
            memory = remembered(target, document)
            memory = memory or self._remember(kind, target, document)
            patch = with_metadata(kind.to_rest(document), memory.to_patch())
            await self._patch(kind, target, patch, document, dry_run=True)
            if kind in WORKLOADS:
                await pods_of(self._documents, target, document)
        except PermanentError as error:
            if error.reason is Reason.KUBERNETES_FORBIDDEN:
                return Obstacles(missing_rights=(error.detail.rpartition("missing right: ")[2],))
            return Obstacles((f"{target}: {error.detail}",))
        return Obstacles(undone_by)

    async def quiesce(
        self, target: ObjectRef, reset_id: ResetId, uses: Collection[ResourceKey] = (), *, status: int
    ) -> Quiesced:
        """See the port."""
        kind = kind_of(target)
        for _ in range(_TRIES):
            document = await self._get(kind, target)
            if document is None:
                raise PermanentError(Reason.QUIESCE_REFUSED, f"there is no {target}")
            memory = remembered(target, document) or self._remember(kind, target, document)
            patch = with_metadata(kind.to_rest(document), memory.joined(reset_id, status, uses).to_patch())
            changed = await self._patch(kind, target, patch, document)
            if changed is None:
                continue
            if not kind.rests(changed) and (otherwise := kind.to_rest_otherwise()):
                changed = await self._patch(kind, target, otherwise, changed)
            # What an admission webhook or another controller made of it is read, rather than what was sent.
            read = await self._get(kind, target) if changed is not None else None
            if read is not None and kind.rests(read) and (found := quiesced_of(kind, target, read)):
                return found
        raise TemporaryError(
            Reason.QUIESCE_UNDONE,
            f"{target} did not stay as it was quiesced",
            hint="Look at who writes it: an autoscaler, an operator, ArgoCD, a person.",
        )

    async def find(self, target: ObjectRef) -> Quiesced | None:
        """See the port."""
        kind = kind_of(target)
        document = await self._get(kind, target)
        return None if document is None else quiesced_of(kind, target, document)

    async def running(self, target: ObjectRef) -> tuple[str, ...]:
        """See the port: for a workload the pods that its selector matches, as they may still be ending."""
        kind = kind_of(target)
        document = await self._get(kind, target)
        if document is None:
            return ()
        if target.kind == APPLICATION:
            return (f"the sync of {target}",) if is_syncing(document) else ()
        if kind not in WORKLOADS:
            return await jobs.unfinished(self._documents, target, document)
        selector = await pods_of(self._documents, target, document)
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
        kind = kind_of(target)
        for _ in range(_TRIES):
            document = await self._get(kind, target)
            memory = None if document is None else remembered(target, document)
            if document is None or memory is None:
                return None
            if memory.resets.get(reset_id, 0) > status:
                return quiesced_of(kind, target, document)
            changed = await self._patch(kind, target, released(kind, document, memory, (reset_id,)), document)
            if changed is not None:
                return quiesced_of(kind, target, changed)
        raise TemporaryError(Reason.QUIESCE_UNDONE, f"{target} is changed by others all the time")

    async def missed(self, target: ObjectRef) -> str:
        """See the port."""
        if target.kind != CRON_JOB:
            return ""
        document = await self._get(kind_of(target), target)
        memory = None if document is None else remembered(target, document)
        if document is None or memory is None:
            return ""
        return missed_runs.text(target, document, memory, self._now())

    async def quiesced(self, environment: str | None = None) -> tuple[Quiesced, ...]:
        """See the port. One whose annotation a person has edited is left out: nobody knows what it was."""
        found = []
        for target, document in await self._listing.all(environment):
            try:
                read = quiesced_of(KINDS[target.kind], target, document)
            except PermanentError:
                continue
            if read is not None:
                found.append(read)
        return tuple(found)

    async def release_listed(self, listed: Quiesced, resets: Collection[ResetId]) -> bool:
        """See the port."""
        kind = kind_of(listed.object)
        document = await self._get(kind, listed.object)
        if document is None or str(document["metadata"]["resourceVersion"]) != listed.version:
            return False
        memory = remembered(listed.object, document)
        if memory is None:
            return False
        patch = released(kind, document, memory, resets)
        return await self._patch(kind, listed.object, patch, document) is not None

    async def ask_to_look(self, targets: Collection[ObjectRef]) -> datetime | None:
        """See the port. ArgoCD removes the annotation once it has looked."""
        asked: list[datetime] = []
        for target in (each for each in targets if each.kind == APPLICATION):
            written = await self._documents.annotate(
                APPLICATIONS, *self._place(target), REFRESH_ANNOTATION, "normal"
            )
            if written is not None:
                asked.append(written)
        return min(asked, default=None)

    async def unhealthy(self, targets: Collection[ObjectRef], since: datetime | None) -> str:
        """See the port."""
        for target in targets:
            kind = kind_of(target)
            if kind in STARTING:
                continue  # it has no pods that have to be there
            document = await self._get(kind, target)
            if document is None:
                return f"{target} is gone"
            memory = remembered(target, document)
            if memory is not None and memory.resets:
                continue  # it stays at rest for another reset, which is said where it is released
            if target.kind != APPLICATION:
                why = health.why_not_running(target, document)
            else:
                why = health.why_not_believed(document, since)
            if why:
                return why
        return ""

    def _remember(self, kind: QuiescedKind, target: ObjectRef, document: Document) -> Memory:
        template = read_template(self._rest, kind.template(document))
        return Memory(
            kind.original(document),
            {},
            variables=template_variables(template, target.name),
            since=self._now().isoformat(timespec="seconds"),
        )

    async def _get(self, kind: QuiescedKind, target: ObjectRef) -> Document | None:
        return await self._documents.get(kind, *self._place(target))

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
            *self._place(target),
            patch,
            version=str(document["metadata"]["resourceVersion"]),
            dry_run=dry_run,
        )

    def _place(self, target: ObjectRef) -> tuple[str, str]:
        """Namespace and name."""
        if target.kind == APPLICATION:
            return place_of(target.name, self._argocd)
        return target.environment, target.name
