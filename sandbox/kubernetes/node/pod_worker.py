"""The worker of one pod: it runs the pod's containers until the pod is deleted, over, or past its deadline."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.kubernetes.node import pod_status
from sandbox.kubernetes.node.container_loop import ContainerLoop
from sandbox.kubernetes.node.node import Node
from sandbox.kubernetes.node.pod_status import ContainerState
from sandbox.kubernetes.objects.kinds import PODS
from sandbox.kubernetes.objects.objects import Object

OVER = {"Succeeded", "Failed"}
_EXCEEDED = "Pod was active on the node longer than the specified deadline"
_EVICTED = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 87Mi."


class PodWorker:
    """Owns the status of its pod.

    Set `touched` whenever the pod was written or removed, and `evicted` to evict the pod.
    """

    def __init__(self, node: Node, pod: Object) -> None:
        self.node = node
        self.pod = pod
        self.touched = asyncio.Event()
        self.evicted = asyncio.Event()
        self.directory = node.pod_directory(pod)
        (self.directory / "logs").mkdir(parents=True, exist_ok=True)
        held = {status["name"]: status for status in pod["status"].get("containerStatuses") or []}
        specs = pod["spec"]["containers"]
        self.states = [ContainerState.of(spec, held.get(spec["name"])) for spec in specs]
        self._loops = [
            ContainerLoop(node, self, spec, state) for spec, state in zip(specs, self.states, strict=True)
        ]

    async def run(self) -> None:
        """Work until the pod is deleted; removes the pod's object at the end."""
        running: asyncio.Future[list[None]] | None = None
        tasks: list[asyncio.Task[None]] = []
        if self.pod["status"].get("phase") not in OVER:
            tasks = [asyncio.create_task(loop.run()) for loop in self._loops]
            running = asyncio.gather(*tasks)
        try:
            await self._until_deleted(tasks, running)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if running is not None:
                await asyncio.gather(running, return_exceptions=True)
        for loop in self._loops:
            loop.forget()
        meta = self.pod["metadata"]
        self.node.objects.remove(PODS, meta["namespace"], meta["name"], meta["uid"])

    async def _until_deleted(
        self, tasks: list[asyncio.Task[None]], running: asyncio.Future[list[None]] | None
    ) -> None:
        deleted = asyncio.create_task(self._deleted())
        evicted = asyncio.create_task(self.evicted.wait())
        try:
            if running is not None:
                ends: set[asyncio.Future[Any]] = {deleted, evicted, running}
                await asyncio.wait(ends, timeout=self._deadline(), return_when="FIRST_COMPLETED")
                if running.done():
                    running.result()
                elif evicted.done():
                    await self._kill(tasks)
                    self._fail("Evicted", _EVICTED)
                elif not deleted.done():
                    await self._stop(tasks)
                    self._fail("DeadlineExceeded", _EXCEEDED)
            await deleted
            await self._stop([task for task in tasks if not task.done()])
        finally:
            deleted.cancel()
            evicted.cancel()

    async def _deleted(self) -> None:
        while (pod := self.current()) is not None and "deletionTimestamp" not in pod["metadata"]:
            self.touched.clear()
            await self.touched.wait()

    def current(self) -> Object | None:
        """The pod as it is stored; None when it is gone, or when another pod has its name."""
        meta = self.pod["metadata"]
        pod = self.node.objects.find(PODS, meta["namespace"], meta["name"])
        if pod is None or pod["metadata"]["uid"] != meta["uid"]:
            return None
        self.pod = pod
        return pod

    def publish(self) -> None:
        """Write the states of the containers into the pod's status."""
        self._write(lambda pod: pod_status.fill(pod["status"], pod, self.states))

    def _write(self, change: Callable[[Object], None]) -> None:
        if self.current() is not None:
            meta = self.pod["metadata"]
            self.node.objects.update(PODS, meta["namespace"], meta["name"], change)

    def _deadline(self) -> float | None:
        seconds = self.pod["spec"].get("activeDeadlineSeconds")
        if seconds is None:
            return None
        started = self.pod["status"].get("startTime") or self.pod["metadata"]["creationTimestamp"]
        end = datetime.fromisoformat(started) + timedelta(seconds=seconds)
        return max(0.0, (end - datetime.now(UTC)).total_seconds())

    def _fail(self, reason: str, message: str) -> None:
        def change(pod: Object) -> None:
            pod_status.fill(pod["status"], pod, self.states)
            pod["status"] |= {"phase": "Failed", "reason": reason, "message": message}

        self._write(change)

    def _grace(self) -> float:
        pod = self.current()
        if pod is None:
            return 0.0
        own = pod["spec"].get("terminationGracePeriodSeconds", 30)
        return float(pod["metadata"].get("deletionGracePeriodSeconds", own))

    async def _stop(self, tasks: list[asyncio.Task[None]]) -> None:
        """Send SIGTERM, wait for the grace period, which a second delete may shorten, and send SIGKILL."""
        for loop in self._loops:
            loop.stop(signal.SIGTERM)
        clock = asyncio.get_running_loop().time
        began = clock()
        while any(not task.done() for task in tasks) and clock() < began + self._grace():
            self.touched.clear()
            changed = asyncio.create_task(self.touched.wait())
            left = began + self._grace() - clock()
            await asyncio.wait({changed, *tasks}, timeout=left, return_when="FIRST_COMPLETED")
            changed.cancel()
            tasks = [task for task in tasks if not task.done()]
        await self._kill(tasks)

    async def _kill(self, tasks: list[asyncio.Task[None]]) -> None:
        for loop in self._loops:
            loop.stop(signal.SIGKILL)
        await asyncio.gather(*tasks, return_exceptions=True)
