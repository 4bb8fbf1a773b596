"""The meta.k8s.io/v1 Tables that `kubectl get` asks for, so that it prints the columns that people know."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from sandbox.kubernetes.objects.kinds import APPLICATIONS, DEPLOYMENTS, NAMESPACES, PODS, REPLICA_SETS, Kind
from sandbox.kubernetes.objects.objects import Object

Cells = Callable[[Object], list[Any]]


def wanted(accept: str) -> bool:
    """Whether the first choice of an Accept header is a Table."""
    return "as=Table" in accept.partition(",")[0]


def age(since: str) -> str:
    """`42s`, `5m`, `3h`, `2d`."""
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{max(0, seconds)}s"


def _pod(pod: Object) -> list[Any]:
    containers = pod["status"].get("containerStatuses") or []
    shown = pod["status"].get("reason") or pod["status"].get("phase", "Unknown")
    for one in containers:
        state = one["state"]
        shown = (state.get("waiting") or state.get("terminated") or {}).get("reason") or shown
    if "deletionTimestamp" in pod["metadata"]:
        shown = "Terminating"
    total = len(pod["spec"]["containers"])
    ready = sum(one["ready"] for one in containers)
    restarts = sum(one["restartCount"] for one in containers)
    wide = [pod["status"].get("podIP", "<none>"), pod["spec"].get("nodeName", "<none>")]
    return [f"{ready}/{total}", shown, restarts, _age(pod), *wide]


def _deployment(one: Object) -> list[Any]:
    status = one.get("status") or {}
    ready = f"{status.get('readyReplicas', 0)}/{one['spec'].get('replicas', 1)}"
    return [ready, status.get("updatedReplicas", 0), status.get("availableReplicas", 0), _age(one)]


def _replica_set(one: Object) -> list[Any]:
    status = one.get("status") or {}
    counts = [status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [one["spec"].get("replicas", 1), *counts, _age(one)]


def _application(one: Object) -> list[Any]:
    status = one.get("status") or {}
    return [
        (status.get("sync") or {}).get("status", ""),
        (status.get("health") or {}).get("status", ""),
    ]


def _age(one: Object) -> str:
    return age(one["metadata"]["creationTimestamp"])


_COLUMNS: dict[Kind, tuple[list[str], Cells]] = {
    PODS: (["Ready", "Status", "Restarts", "Age", "*IP", "*Node"], _pod),
    DEPLOYMENTS: (["Ready", "Up-to-date", "Available", "Age"], _deployment),
    REPLICA_SETS: (["Desired", "Current", "Ready", "Age"], _replica_set),
    NAMESPACES: (["Status", "Age"], lambda one: [one["status"]["phase"], _age(one)]),
    APPLICATIONS: (["Sync Status", "Health Status"], _application),
}


def table(kind: Kind, objects: Iterable[Object], metadata: Object) -> Object:
    """The objects as a Table; each row carries the object's metadata, as kubectl needs for `-A`."""
    names, cells = _COLUMNS.get(kind, (["Age"], lambda one: [_age(one)]))
    columns = [{"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}]
    columns += [
        {
            "name": name.lstrip("*"),
            "type": "string",
            "format": "",
            "description": "",
            "priority": int(name.startswith("*")),
        }
        for name in names
    ]
    rows = [
        {
            "cells": [one["metadata"]["name"], *cells(one)],
            "object": {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": one["metadata"],
            },
        }
        for one in objects
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": columns,
        "rows": rows,
    }
