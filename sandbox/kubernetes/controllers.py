"""Runs the controllers: after each change in the namespaces that it touched, ArgoCD twice a second."""

from __future__ import annotations

import asyncio

from sandbox.kubernetes import deletion, environments, workloads
from sandbox.kubernetes.argocd import ArgoCD
from sandbox.kubernetes.kinds import APPLICATIONS, NAMESPACES
from sandbox.kubernetes.objects import Change, Objects

TICK = 0.5


async def run(objects: Objects, argocd: ArgoCD) -> None:
    """Serves for ever."""
    queue = objects.subscribe()
    try:
        touched = {one["metadata"]["name"] for one in objects.list(NAMESPACES)}
        while True:
            environments.default_account(objects)
            for namespace in sorted(touched):
                workloads.reconcile(objects, namespace)
            deletion.empty_namespaces(objects)
            touched = await _next(queue, argocd)
    finally:
        objects.unsubscribe(queue)


async def _next(queue: asyncio.Queue[Change], argocd: ArgoCD) -> set[str]:
    """The namespaces of the changes that came, at the earliest when there is one or ArgoCD's time has come."""
    changes = []
    try:
        changes.append(await asyncio.wait_for(queue.get(), TICK))
    except TimeoutError:
        argocd.reconcile()
    while not queue.empty():
        changes.append(queue.get_nowait())
    relevant = [change for change in changes if change.kind is not APPLICATIONS]
    return {change.latest["metadata"].get("namespace", "") for change in relevant} - {""}
