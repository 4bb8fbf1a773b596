"""Lists the workloads of a namespace: whatever has pods there, or would have them if it were not scaled to 0.

Each kind is listed by itself, since an account may have the right to one and not to another. Argo Rollouts come from a
custom resource: where the cluster does not have it, there are none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from kubernetes_asyncio.client import (
    ApiClient,
    AppsV1Api,
    CoreV1Api,
)

from daemon.adapters.kubernetes.client import PAGE_SIZE, REQUEST_TIMEOUT_SECONDS
from daemon.adapters.kubernetes.documents import ROLLOUT_KIND, Documents, ObjectKind
from daemon.adapters.kubernetes.errors import translated
from daemon.adapters.kubernetes.workloads.documents import Lists, workloads
from daemon.adapters.kubernetes.workloads.pod_templates import read_template
from daemon.ports.errors import PermanentError
from daemon.ports.pods.cluster import Workloads

_ROLLOUTS = ObjectKind(*ROLLOUT_KIND)
_List = Callable[..., Awaitable[Any]]


class WorkloadLists:
    """Lists the workloads of one namespace after another, over one connection."""

    def __init__(self, rest: ApiClient) -> None:
        self._rest = rest
        self._core = CoreV1Api(rest)
        self._apps = AppsV1Api(rest)
        self._documents = Documents(rest)

    async def read(self, environment: str) -> Workloads:
        """See `daemon.ports.pods.cluster.Cluster.workloads`."""
        lists = await self._lists(environment)
        return Workloads(tuple(workloads(lists)), lists.unread)

    async def _lists(self, environment: str) -> Lists:
        found = await asyncio.gather(
            self._list(environment, "pods", self._core.list_namespaced_pod),
            self._list(environment, "deployments.apps", self._apps.list_namespaced_deployment),
            self._list(environment, "statefulsets.apps", self._apps.list_namespaced_stateful_set),
            self._list(environment, "replicasets.apps", self._apps.list_namespaced_replica_set),
            self._documents.list(_ROLLOUTS, environment),
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
        return Lists(
            pods,
            deployments,
            stateful_sets,
            replica_sets,
            rollouts,
            {
                str(rollout["metadata"]["name"]): template
                for rollout in rollouts
                if (template := read_template(self._rest, (rollout.get("spec") or {}).get("template")))
                is not None
            },
            tuple(unread),
        )

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
