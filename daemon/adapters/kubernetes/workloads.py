"""Lists the workloads of a namespace: whatever has pods there, or would have them if it were not scaled to 0.

Each kind is listed by itself, since an account may have the right to one and not to another. Argo Rollouts come from a
custom resource: where the cluster does not have it, there are none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubernetes_asyncio.client import (
    ApiClient,
    ApiException,
    AppsV1Api,
    CoreV1Api,
    CustomObjectsApi,
    V1ObjectMeta,
    V1OwnerReference,
    V1Pod,
    V1ReplicaSet,
)

from daemon.adapters.kubernetes.client import PAGE_SIZE, REQUEST_TIMEOUT_SECONDS
from daemon.adapters.kubernetes.errors import is_missing, translated
from daemon.ports.errors import PermanentError
from daemon.ports.pods.cluster import Workload, Workloads

_ROLLOUTS = ("argoproj.io", "v1alpha1")
_HASHES = frozenset({"pod-template-hash", "rollouts-pod-template-hash"})
"""Labels that a controller adds to a template's own."""
_List = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class _Lists:
    pods: Sequence[V1Pod]
    deployments: Sequence[Any]
    stateful_sets: Sequence[Any]
    replica_sets: Sequence[V1ReplicaSet]
    rollouts: Sequence[Mapping[str, Any]]
    unread: tuple[PermanentError, ...]


class WorkloadLists:
    """Lists the workloads of one namespace after another, over one connection."""

    def __init__(self, rest: ApiClient) -> None:
        self._core = CoreV1Api(rest)
        self._apps = AppsV1Api(rest)
        self._objects = CustomObjectsApi(rest)

    async def read(self, environment: str) -> Workloads:
        """See `daemon.ports.pods.cluster.Cluster.workloads`."""
        lists = await self._lists(environment)
        return Workloads(tuple(_workloads(lists)), lists.unread)

    async def _lists(self, environment: str) -> _Lists:
        found = await asyncio.gather(
            self._list(environment, "pods", self._core.list_namespaced_pod),
            self._list(environment, "deployments.apps", self._apps.list_namespaced_deployment),
            self._list(environment, "statefulsets.apps", self._apps.list_namespaced_stateful_set),
            self._list(environment, "replicasets.apps", self._apps.list_namespaced_replica_set),
            self._rollouts(environment),
            return_exceptions=True,
        )
        unread: list[PermanentError] = []
        for each in found:
            if isinstance(each, PermanentError):
                unread.append(each)
            elif isinstance(each, BaseException):
                raise each
        pods, deployments, stateful_sets, replica_sets, rollouts = (
            [] if isinstance(each, BaseException) else each for each in found
        )
        return _Lists(pods, deployments, stateful_sets, replica_sets, rollouts, tuple(unread))

    async def _list(self, environment: str, resource: str, ask: _List) -> list[Any]:
        items: list[Any] = []
        token = ""
        while True:
            with translated(
                f"list {resource.partition('.')[0]} of {environment}", f"list {resource} in {environment}"
            ):
                page = await ask(
                    environment,
                    limit=PAGE_SIZE,
                    _continue=token,
                    _request_timeout=REQUEST_TIMEOUT_SECONDS,
                )
            items += page.items
            token = page.metadata._continue or ""  # noqa: SLF001 - the client's name for `continue`
            if not token:
                return items

    async def _rollouts(self, environment: str) -> list[Mapping[str, Any]]:
        items: list[Mapping[str, Any]] = []
        token = ""
        while True:
            right = f"list rollouts.argoproj.io in {environment}"
            with translated(f"list rollouts of {environment}", right):
                try:
                    page = await self._objects.list_namespaced_custom_object(
                        *_ROLLOUTS,
                        environment,
                        "rollouts",
                        limit=PAGE_SIZE,
                        _continue=token,
                        _request_timeout=REQUEST_TIMEOUT_SECONDS,
                    )
                except ApiException as error:
                    if is_missing(error):
                        return []
                    raise
            items += page.get("items") or ()
            token = (page.get("metadata") or {}).get("continue") or ""
            if not token:
                return items


def _workloads(lists: _Lists) -> Iterator[Workload]:
    owners: set[str] = set()
    for kind, listed in (("Deployment", lists.deployments), ("StatefulSet", lists.stateful_sets)):
        for each in listed:
            owners.add(str(each.metadata.uid))
            yield Workload(kind, str(each.metadata.name), _labels(each), _asked_for(each.spec.replicas))
    for rollout in lists.rollouts:
        metadata = rollout.get("metadata") or {}
        owners.add(str(metadata.get("uid")))
        replicas = (rollout.get("spec") or {}).get("replicas")
        yield Workload(
            "Rollout", str(metadata.get("name")), _of_rollout(rollout, lists), _asked_for(replicas)
        )
    for replica_set in lists.replica_sets:
        owner = _controller(replica_set.metadata)
        if owner is None or str(owner.uid) not in owners:
            # Whoever owns it can't be listed, and is known by this alone.
            kind, name = (owner.kind, owner.name) if owner else ("ReplicaSet", replica_set.metadata.name)
            labels = _without_hash(_labels(replica_set))
            yield Workload(str(kind), str(name), labels, _asked_for(replica_set.spec.replicas))
    owners |= {str(each.metadata.uid) for each in lists.replica_sets}
    for pod in lists.pods:
        owner = _controller(pod.metadata)
        if owner is None or str(owner.uid) not in owners:
            kind, name = (owner.kind, owner.name) if owner else ("Pod", pod.metadata.name)
            yield Workload(str(kind), str(name), dict(pod.metadata.labels or {}), 1, templated=False)


def _of_rollout(rollout: Mapping[str, Any], lists: _Lists) -> Mapping[str, str]:
    """The labels of a Rollout's pods: by its template, by the Deployment that it refers to, or by its ReplicaSets."""
    spec = rollout.get("spec") or {}
    template = spec.get("template")
    if template:
        return (template.get("metadata") or {}).get("labels") or {}
    reference = spec.get("workloadRef") or {}
    if reference.get("kind") == "Deployment":
        for deployment in lists.deployments:
            if deployment.metadata.name == reference.get("name"):
                return _labels(deployment)
    uid = (rollout.get("metadata") or {}).get("uid")
    return _labels_of_owned(lists.replica_sets, uid)


def _labels_of_owned(replica_sets: Iterable[V1ReplicaSet], uid: object) -> Mapping[str, str]:
    for each in replica_sets:
        owner = _controller(each.metadata)
        if owner is not None and owner.uid == uid:
            return _without_hash(_labels(each))
    return {}


def _labels(workload: Any) -> Mapping[str, str]:  # noqa: ANN401 - a Deployment, StatefulSet or ReplicaSet
    template = workload.spec.template
    return dict((template.metadata.labels if template and template.metadata else None) or {})


def _without_hash(labels: Mapping[str, str]) -> Mapping[str, str]:
    return {label: value for label, value in labels.items() if label not in _HASHES}


def _asked_for(replicas: int | None) -> int:
    """The replicas that a `spec` asks for. One that says nothing asks for one."""
    return 1 if replicas is None else int(replicas)


def _controller(metadata: V1ObjectMeta) -> V1OwnerReference | None:
    return next((each for each in metadata.owner_references or () if each.controller), None)
