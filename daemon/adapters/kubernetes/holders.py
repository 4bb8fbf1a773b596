"""Holder pods in the cluster: made once for a reset and a service, used again, listed, removed.

A name is decided by reset and service, so whoever makes it again finds it. Each use writes the attempt into the pod
before anything is launched in it, which changes its version: removing it as it was listed before is then refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

from kubernetes_asyncio.client import (
    ApiException,
    AppsV1Api,
    CoreV1Api,
    V1DeleteOptions,
    V1Pod,
    V1Preconditions,
)

from daemon.adapters.kubernetes import pod_selection
from daemon.adapters.kubernetes.client import Kubernetes
from daemon.adapters.kubernetes.errors import is_missing, translated
from daemon.adapters.kubernetes.holder_pod import (
    ATTEMPT,
    LIFE,
    RESET_LABEL,
    USE,
    holder_name,
    holder_pod,
    reset_of,
)
from daemon.ports.errors import PermanentError, TemporaryError
from daemon.ports.pods.cluster import Pod
from daemon.ports.pods.holders import Holder, Need
from schemas.reasons import Reason
from schemas.wire import ResetId

_SECONDS = 15.0
_LOOK_EVERY = 0.2
_UP_WITHIN = 60.0
_PAGE = 500
_CONFLICT = 409
_OVER = frozenset({"Succeeded", "Failed"})
_MERGE: Mapping[str, Any] = {"_content_type": "application/merge-patch+json"}


class Holders:
    """The part of `daemon.ports.pods.Pods` that is about holders."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self._rest = kubernetes.rest
        self._core = CoreV1Api(kubernetes.rest)
        self._apps = AppsV1Api(kubernetes.rest)

    async def hold(self, environment: str, selector: str, container: str | None, need: Need) -> Pod:
        """See `Pods.hold`."""
        name = holder_name(need.service, need.attempt)
        state = "it was not made yet"
        try:
            async with asyncio.timeout(_UP_WITHIN):
                while True:
                    pod = await self._use(environment, name, need)
                    if pod is None:
                        await self._create(environment, selector, container, need)
                    elif pod.status.phase in _OVER:
                        # With its container all that ever ran in it is dead, so its name may be used again.
                        await self._delete(environment, name, uid=pod.metadata.uid)
                    elif pod.metadata.deletion_timestamp:
                        state = "a former one is going away"
                    elif (ready := _running(environment, pod)) is not None:
                        _check_life(pod, need.seconds)
                        return ready
                    else:
                        state = _waits_for(pod)
                    if pod is not None:
                        await asyncio.sleep(_LOOK_EVERY)
        except TimeoutError as error:
            raise TemporaryError(
                Reason.POD_NOT_READY,
                f"{environment}/{name} does not run after {_UP_WITHIN:g} s: {state}",
                hint="Look at the pod's events: image, quota, volumes.",
            ) from error

    async def holders(self) -> tuple[Holder, ...]:
        """See `Pods.holders`."""
        found: list[Holder] = []
        after = ""
        while True:
            with translated("list holders", "list pods in every namespace"):
                page = await self._core.list_pod_for_all_namespaces(
                    label_selector=RESET_LABEL, limit=_PAGE, _continue=after, _request_timeout=_SECONDS
                )
            found += [_holder(one) for one in page.items if not one.metadata.deletion_timestamp]
            after = page.metadata._continue or ""  # noqa: SLF001 - the client's name for `continue`
            if not after:
                return tuple(found)

    async def remove_holder(self, holder: Holder) -> bool:
        """See `Pods.remove_holder`."""
        return await self._delete(holder.environment, holder.name, uid=holder.uid, version=holder.version)

    async def _use(self, environment: str, name: str, need: Need) -> V1Pod | None:
        """The pod as it is, with this attempt written into it; None where there is none."""
        body = {"metadata": {"annotations": {ATTEMPT: need.attempt, USE: str(uuid4())}}}
        with translated(f"use pod {environment}/{name}", f"patch pods in {environment}"):
            try:
                pod = await self._core.patch_namespaced_pod(
                    name, environment, body, _request_timeout=_SECONDS, **_MERGE
                )
            except ApiException as error:
                if is_missing(error):
                    return None
                raise
        if (pod.metadata.labels or {}).get(RESET_LABEL) != reset_of(need.attempt):
            raise PermanentError(Reason.POD_NOT_FOUND, f"{environment}/{name} is no holder of ours")
        return pod

    async def _create(self, environment: str, selector: str, container: str | None, need: Need) -> None:
        """Make it, unless somebody has just done so."""
        deployment = await self._deployment(environment, selector, need.service)
        body = holder_pod(deployment, container, need.service, need.attempt)
        name = body["metadata"]["name"]
        with translated(f"create pod {environment}/{name}", f"create pods in {environment}"):
            try:
                await self._core.create_namespaced_pod(
                    environment, cast("Any", body), _request_timeout=_SECONDS
                )
            except ApiException as error:
                if error.status != _CONFLICT:
                    raise

    async def _deployment(self, environment: str, selector: str, service: str) -> dict[str, Any]:
        """The service's Deployment as JSON.

        Raises:
            PermanentError: `pod-not-found`: none, or several of which none has the service's name.
        """
        with translated(f"list deployments of {environment}", f"list deployments.apps in {environment}"):
            answer = await self._apps.list_namespaced_deployment(environment, _request_timeout=_SECONDS)
        found: list[dict[str, Any]] = self._rest.sanitize_for_serialization(
            pod_selection.makers(answer.items, selector)
        )
        named = [one for one in found if one["metadata"]["name"] == service]
        if len(found) == 1 or len(named) == 1:
            return (named or found)[0]
        raise PermanentError(
            Reason.POD_NOT_FOUND,
            f"{environment}: {len(found) or 'no'} deployments match {selector}; one was to be copied",
            hint="Give the service a narrower selector in the catalog." if found else None,
        )

    async def _delete(self, environment: str, name: str, *, uid: str, version: str | None = None) -> bool:
        options = V1DeleteOptions(preconditions=V1Preconditions(uid=uid, resource_version=version))
        with translated(f"delete pod {environment}/{name}", f"delete pods in {environment}"):
            try:
                await self._core.delete_namespaced_pod(
                    name, environment, body=options, _request_timeout=_SECONDS
                )
            except ApiException as error:
                if is_missing(error) or error.status == _CONFLICT:
                    return False
                raise
        return True


def _holder(pod: V1Pod) -> Holder:
    metadata = pod.metadata
    return Holder(
        environment=str(metadata.namespace),
        name=str(metadata.name),
        uid=str(metadata.uid),
        version=str(metadata.resource_version),
        reset_id=ResetId(metadata.labels[RESET_LABEL]),
        ended=pod.status.phase in _OVER,
    )


def _running(environment: str, pod: V1Pod) -> Pod | None:
    status = pod_selection.status_of(pod, pod.spec.containers[0].name)
    if status is None or not status.state or not status.state.running:
        return None
    return pod_selection.pod_of(environment, pod, status)


def _waits_for(pod: V1Pod) -> str:
    """Why it does not run yet, for people."""
    status = pod_selection.status_of(pod, pod.spec.containers[0].name)
    waiting = status.state.waiting if status and status.state else None
    if waiting:
        return f"{waiting.reason}: {waiting.message or ''}"[:300].rstrip(": ")
    for condition in pod.status.conditions or ():
        if condition.status == "False" and condition.message:
            return str(condition.message)[:300]
    return f"its phase is {pod.status.phase}"


def _check_life(pod: V1Pod, seconds: float) -> None:
    started = cast("datetime | None", pod.status.start_time)
    end = (started or datetime.now(UTC)) + timedelta(seconds=pod.spec.active_deadline_seconds or LIFE)
    if datetime.now(UTC) + timedelta(seconds=seconds) > end:
        raise PermanentError(
            Reason.POD_NOT_READY,
            f"Kubernetes ends {pod.metadata.name} at {end:%H:%M}, before the step's time limit",
            hint="`resetd resume ID` makes a new one once this one is removed.",
        )
