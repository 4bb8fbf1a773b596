"""Holder pods in the cluster: made once for a reset and a service, used again, listed, removed.

Reset and service decide a holder's name, so whoever makes it again finds it. Each use writes the attempt into the pod
before anything is launched in it. That changes the pod's version, and Kubernetes then refuses to delete the version
that was listed before.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, cast
from uuid import uuid4

from kubernetes_asyncio.client import (
    ApiException,
    CoreV1Api,
    V1DeleteOptions,
    V1Pod,
    V1Preconditions,
)

from daemon.adapters.kubernetes import holder_container, pod_selection
from daemon.adapters.kubernetes.client import MERGE_PATCH, PAGE_SIZE, REQUEST_TIMEOUT_SECONDS, Kubernetes
from daemon.adapters.kubernetes.errors import is_conflict, is_missing, translated
from daemon.adapters.kubernetes.everywhere import Everywhere
from daemon.adapters.kubernetes.holder_pod import (
    ATTEMPT_ANNOTATION,
    CHECK,
    LIFETIME_SECONDS,
    RESET_LABEL,
    USE_ANNOTATION,
    holder_name,
    holder_pod,
    reset_of,
)
from daemon.adapters.kubernetes.holder_templates import HolderTemplates
from daemon.ports.errors import PermanentError, TemporaryError
from daemon.ports.pods.cluster import Pod
from daemon.ports.pods.holders import Holder, Need
from schemas.reasons import Reason
from schemas.wire import ResetId

_PHASE_POLL_SECONDS = 0.2
"""How often a pod that does not run yet is read again."""
_START_TIMEOUT_SECONDS = 60.0


class KubernetesHolders:
    """Implements `daemon.ports.pods.holders.Holders`."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self._core = CoreV1Api(kubernetes.rest)
        self._templates = HolderTemplates(kubernetes.rest)
        self._everywhere = Everywhere(self._core)

    async def hold(self, environment: str, selector: str, container: str | None, need: Need) -> Pod:
        """See the port."""
        name = holder_name(need.service, need.attempt)
        state = "it was not made yet"
        try:
            async with asyncio.timeout(_START_TIMEOUT_SECONDS):
                while True:
                    pod = await self._record_use(environment, name, need)
                    if pod is None:
                        await self._create(environment, selector, container, need)
                    elif holder_container.has_ended(pod):
                        # Everything that ran in it is dead, as its container is: its name may be used again.
                        await self._delete(environment, name, uid=pod.metadata.uid)
                    elif pod.metadata.deletion_timestamp:
                        state = "a former one is going away"
                    elif (running := _running_pod(environment, pod, container)) is not None:
                        _check_lifetime(pod, need.seconds)
                        return running
                    else:
                        state = holder_container.why_not_running(pod, container)
                    if pod is not None:
                        await asyncio.sleep(_PHASE_POLL_SECONDS)
        except TimeoutError as error:
            raise TemporaryError(
                Reason.POD_NOT_READY,
                f"{environment}/{name} does not run after {_START_TIMEOUT_SECONDS:g} s: {state}",
                hint="Look at the pod's events: image, quota, volumes.",
            ) from error

    async def holder_refusals(
        self, environment: str, selector: str, container: str | None, service: str
    ) -> tuple[PermanentError, ...]:
        """See the port. The API server is asked by dry runs."""
        found: list[PermanentError] = []
        for ask in (
            partial(self._try_create, environment, selector, container, service),
            partial(self._try_use, environment, service),
            partial(self._try_delete, environment, service),
        ):
            try:
                await ask()
            except PermanentError as error:
                found.append(error)
        return tuple(found)

    async def holders(self) -> tuple[Holder, ...]:
        """See the port. Without the right to all namespaces, those that the account may read are asked one by one."""
        return tuple(_holder(pod) for pod in await self._everywhere.list("pods", self._labelled))

    async def _labelled(self, environment: str | None) -> list[V1Pod]:
        """List the holders of one namespace, or of all, that are not going away already."""
        pods: list[V1Pod] = []
        token = ""
        where = f"in {environment}" if environment else "in every namespace"
        while True:
            wanted: Any = {
                "label_selector": RESET_LABEL,
                "limit": PAGE_SIZE,
                "_continue": token,
                "_request_timeout": REQUEST_TIMEOUT_SECONDS,
            }
            with translated(f"list holders {where}", f"list pods {where}"):
                if environment is None:
                    page = await self._core.list_pod_for_all_namespaces(**wanted)
                else:
                    page = await self._core.list_namespaced_pod(environment, **wanted)
            pods += [pod for pod in page.items if not pod.metadata.deletion_timestamp]
            token = page.metadata._continue or ""  # noqa: SLF001 - the client's name for `continue`
            if not token:
                return pods

    async def remove_holder(self, holder: Holder) -> bool:
        """See the port."""
        return await self._delete(holder.environment, holder.name, uid=holder.uid, version=holder.version)

    async def _record_use(self, environment: str, name: str, need: Need) -> V1Pod | None:
        """Write the attempt into the pod and return the pod as it is then; None where there is none."""
        annotations = {ATTEMPT_ANNOTATION: need.attempt, USE_ANNOTATION: str(uuid4())}
        body = {"metadata": {"annotations": annotations}}
        with translated(f"use pod {environment}/{name}", f"patch pods in {environment}"):
            try:
                pod = await self._core.patch_namespaced_pod(
                    name, environment, body, _request_timeout=REQUEST_TIMEOUT_SECONDS, **MERGE_PATCH
                )
            except ApiException as error:
                if is_missing(error):
                    return None
                raise
        if (pod.metadata.labels or {}).get(RESET_LABEL) != reset_of(need.attempt):
            raise PermanentError(Reason.POD_NOT_FOUND, f"{environment}/{name} is no holder of ours")
        return pod

    async def _create(self, environment: str, selector: str, container: str | None, need: Need) -> None:
        """Create the holder. That somebody else has just created it is no error."""
        workload = await self._templates.find(environment, selector, need.service)
        body = holder_pod(workload, container, need.service, need.attempt)
        name = body["metadata"]["name"]
        with translated(f"create pod {environment}/{name}", f"create pods in {environment}"):
            try:
                await self._core.create_namespaced_pod(
                    environment, cast("Any", body), _request_timeout=REQUEST_TIMEOUT_SECONDS
                )
            except ApiException as error:
                if not is_conflict(error):
                    raise

    async def _try_create(self, environment: str, selector: str, container: str | None, service: str) -> None:
        """Let the API server say whether it would admit a holder. What can't be asked by a dry run is not refused.

        Source: Kubernetes reference, Dynamic Admission Control, "Side effects".
        """
        workload = await self._templates.find(environment, selector, service)
        body = holder_pod(workload, container, service, CHECK)
        name = body["metadata"]["name"]
        with translated(f"create pod {environment}/{name}", f"create pods in {environment}"):
            try:
                await self._core.create_namespaced_pod(
                    environment, cast("Any", body), dry_run="All", _request_timeout=REQUEST_TIMEOUT_SECONDS
                )
            except ApiException as error:
                if not is_conflict(error) and not _knows_no_dry_run(error):
                    raise

    async def _try_use(self, environment: str, service: str) -> None:
        """Ask for the right to use a holder: of a pod that is not there, only that is answered."""
        name = holder_name(service, CHECK)
        with translated(f"use pod {environment}/{name}", f"patch pods in {environment}"):
            try:
                await self._core.patch_namespaced_pod(
                    name,
                    environment,
                    {"metadata": {"annotations": {ATTEMPT_ANNOTATION: CHECK}}},
                    dry_run="All",
                    _request_timeout=REQUEST_TIMEOUT_SECONDS,
                    **MERGE_PATCH,
                )
            except ApiException as error:
                if not is_missing(error):
                    raise

    async def _try_delete(self, environment: str, service: str) -> None:
        """Ask for the right to remove a holder, as `_try_use`."""
        name = holder_name(service, CHECK)
        with translated(f"delete pod {environment}/{name}", f"delete pods in {environment}"):
            try:
                await self._core.delete_namespaced_pod(
                    name, environment, dry_run="All", _request_timeout=REQUEST_TIMEOUT_SECONDS
                )
            except ApiException as error:
                if not is_missing(error):
                    raise

    async def _delete(self, environment: str, name: str, *, uid: str, version: str | None = None) -> bool:
        """Delete the pod of this uid, and of this version where one is given; tell whether it was deleted."""
        options = V1DeleteOptions(preconditions=V1Preconditions(uid=uid, resource_version=version))
        with translated(f"delete pod {environment}/{name}", f"delete pods in {environment}"):
            try:
                await self._core.delete_namespaced_pod(
                    name, environment, body=options, _request_timeout=REQUEST_TIMEOUT_SECONDS
                )
            except ApiException as error:
                if is_missing(error) or is_conflict(error):
                    return False
                raise
        return True


def _knows_no_dry_run(error: ApiException) -> bool:
    """Tell whether a webhook of the cluster can't be asked by a dry run."""
    return error.status == HTTPStatus.BAD_REQUEST and "dry run" in str(error.body or "")


def _holder(pod: V1Pod) -> Holder:
    metadata = pod.metadata
    return Holder(
        environment=str(metadata.namespace),
        name=str(metadata.name),
        uid=str(metadata.uid),
        version=str(metadata.resource_version),
        reset_id=ResetId(metadata.labels[RESET_LABEL]),
        ended=holder_container.has_ended(pod),
    )


def _running_pod(environment: str, pod: V1Pod, configured: str | None) -> Pod | None:
    """Return the pod as the port names it, once its container runs."""
    status = pod_selection.container_status(pod, holder_container.name_of(pod, configured))
    if status is None or not status.state or not status.state.running:
        return None
    return pod_selection.port_pod(environment, pod, status)


def _check_lifetime(pod: V1Pod, seconds: float) -> None:
    """Raise PermanentError `pod-not-ready` where Kubernetes ends the pod within these seconds."""
    started = cast("datetime | None", pod.status.start_time)
    end = (started or datetime.now(UTC)) + timedelta(
        seconds=pod.spec.active_deadline_seconds or LIFETIME_SECONDS
    )
    if datetime.now(UTC) + timedelta(seconds=seconds) > end:
        raise PermanentError(
            Reason.POD_NOT_READY,
            f"Kubernetes ends {pod.metadata.name} at {end:%H:%M}, before the step's time limit",
            hint="`resetd resume ID` makes a new one once this one is removed.",
        )
