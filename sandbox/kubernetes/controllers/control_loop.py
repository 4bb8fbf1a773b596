"""Runs the controllers: those of workloads after each change, in the namespaces that changed; others twice a second."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from sandbox.kubernetes.controllers import environments, jobs, workloads
from sandbox.kubernetes.controllers.argocd import ArgoCD
from sandbox.kubernetes.objects import deletion
from sandbox.kubernetes.objects.kinds import APPLICATIONS, CRON_JOBS, NAMESPACES
from sandbox.kubernetes.objects.objects import Change, Objects

TICK = 0.5


async def run(objects: Objects, argocd: ArgoCD) -> None:
    """Run the controllers until cancelled."""
    queue = objects.subscribe()
    clock = asyncio.get_running_loop().time
    look = clock()
    try:
        touched = {namespace["metadata"]["name"] for namespace in objects.every(NAMESPACES)}
        while True:
            environments.default_account(objects)
            for namespace in sorted(touched):
                workloads.reconcile(objects, namespace)
            deletion.empty_namespaces(objects)
            if clock() >= look:
                moment = datetime.now(UTC)
                for cron_job in list(objects.every(CRON_JOBS)):
                    jobs.start_due(objects, cron_job, moment)
                argocd.reconcile()
                look = clock() + TICK
            touched = _namespaces(await _changes(queue, max(0.0, look - clock())))
    finally:
        objects.unsubscribe(queue)


async def _changes(queue: asyncio.Queue[Change], patience: float) -> list[Change]:
    """Take all changes from the queue, after waiting at most `patience` seconds for the first one."""
    changes = []
    try:
        # Not `wait_for`: on Python 3.11 it may swallow a cancellation that meets a change.
        async with asyncio.timeout(patience):
            changes.append(await queue.get())
    except TimeoutError:
        return []
    while not queue.empty():
        changes.append(queue.get_nowait())
    return changes


def _namespaces(changes: list[Change]) -> set[str]:
    relevant = [change for change in changes if change.kind is not APPLICATIONS]
    return {change.latest["metadata"].get("namespace", "") for change in relevant} - {""}
