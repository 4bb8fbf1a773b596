"""The meta.k8s.io/v1 Tables that `kubectl get` asks for: with them it prints the columns that people know."""

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
    """How long ago that was, as kubectl writes it: `42s`, `5m`, `3h`, `2d`."""
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{max(0, seconds)}s"


def _pod(pod: Object) -> list[Any]:
    containers = pod["status"].get("containerStatuses") or []
    shown = pod["status"].get("reason") or pod["status"].get("phase", "Unknown")
    for container in containers:
        state = container["state"]
        shown = (state.get("waiting") or state.get("terminated") or {}).get("reason") or shown
    if "deletionTimestamp" in pod["metadata"]:
        shown = "Terminating"
    total = len(pod["spec"]["containers"])
    ready = sum(container["ready"] for container in containers)
    restarts = sum(container["restartCount"] for container in containers)
    wide = [pod["status"].get("podIP", "<none>"), pod["spec"].get("nodeName", "<none>")]
    return [f"{ready}/{total}", shown, restarts, _age(pod), *wide]


def _deployment(deployment: Object) -> list[Any]:
    status = deployment.get("status") or {}
    ready = f"{status.get('readyReplicas', 0)}/{deployment['spec'].get('replicas', 1)}"
    return [ready, status.get("updatedReplicas", 0), status.get("availableReplicas", 0), _age(deployment)]


def _replica_set(replica_set: Object) -> list[Any]:
    status = replica_set.get("status") or {}
    counts = [status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [replica_set["spec"].get("replicas", 1), *counts, _age(replica_set)]


def _application(application: Object) -> list[Any]:
    status = application.get("status") or {}
    return [
        (status.get("sync") or {}).get("status", ""),
        (status.get("health") or {}).get("status", ""),
    ]


def _age(shown: Object) -> str:
    return age(shown["metadata"]["creationTimestamp"])


_COLUMNS: dict[Kind, tuple[list[str], Cells]] = {
    PODS: (["Ready", "Status", "Restarts", "Age", "*IP", "*Node"], _pod),
    DEPLOYMENTS: (["Ready", "Up-to-date", "Available", "Age"], _deployment),
    REPLICA_SETS: (["Desired", "Current", "Ready", "Age"], _replica_set),
    NAMESPACES: (["Status", "Age"], lambda namespace: [namespace["status"]["phase"], _age(namespace)]),
    APPLICATIONS: (["Sync Status", "Health Status"], _application),
}


def table(kind: Kind, objects: Iterable[Object], metadata: Object) -> Object:
    """Show objects as a Table; each row carries its object's metadata, which kubectl needs for `-A`."""
    names, cells = _COLUMNS.get(kind, (["Age"], lambda shown: [_age(shown)]))
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
            "cells": [shown["metadata"]["name"], *cells(shown)],
            "object": {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": shown["metadata"],
            },
        }
        for shown in objects
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": columns,
        "rows": rows,
    }
