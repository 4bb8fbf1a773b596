"""Makes pods real: one worker for each pod of the store, fed with the pod's changes.

The kubelet survives nothing and needs nothing: what it knows is in the pods' statuses and in the containers'
directories, so a restarted server finds its running containers and goes on.
"""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.kubernetes.node.containers import Container, Runtime
from sandbox.kubernetes.node.pod_specs import Witness
from sandbox.kubernetes.node.pod_worker import PodWorker
from sandbox.kubernetes.objects.kinds import PODS
from sandbox.kubernetes.objects.objects import Object, Objects


@dataclass
class Kubelet:
    """All workers. `starts` bounds how many start scripts run at the same time."""

    objects: Objects
    runtime: Runtime
    witness: Witness
    starts: asyncio.Semaphore
    containers: dict[str, Container] = field(default_factory=dict)
    _workers: dict[str, tuple[PodWorker, asyncio.Task[None]]] = field(default_factory=dict)

    async def run(self) -> None:
        """Serves for ever; cancelled, it leaves the containers running."""
        known = {
            status.get("containerID", "").rpartition("/")[2]
            for pod in self.objects.every(PODS)
            for status in (pod.get("status") or {}).get("containerStatuses") or []
        }
        self.runtime.sweep(known)
        queue = self.objects.subscribe()
        try:
            for pod in self.objects.every(PODS):
                self._work_on(pod)
            while True:
                change = await queue.get()
                if change.kind is PODS:
                    self._work_on(change.latest, removed=change.after is None)
        finally:
            self.objects.unsubscribe(queue)
            tasks = [task for _, task in self._workers.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def kill_everything(self) -> None:
        """Ends every container, for the end of the whole sandbox."""
        for container in self.containers.values():
            container.signal(signal.SIGKILL)

    def evict(self, pod: Object) -> None:
        """Fail the pod at once, as a kubelet does whose node is short of memory; its object stays."""
        worker = self._workers.get(pod["metadata"]["uid"])
        if worker is not None:
            worker[0].evicted.set()

    def container_of(self, pod: Object, name: str) -> Container | None:
        """The running container of that name; None when there is none."""
        for status in (pod.get("status") or {}).get("containerStatuses") or []:
            if status["name"] == name and "running" in status["state"]:
                found = self.containers.get(status["containerID"].rpartition("/")[2])
                return found if found and found.alive else None
        return None

    def pod_directory(self, pod: Object) -> Path:
        """What belongs to the pod rather than to one container."""
        return self.runtime.directory / "pods" / str(pod["metadata"]["uid"])

    def log_path(self, pod: Object, name: str, restart: int) -> Path:
        """Where a container's output of that start lies."""
        return self.pod_directory(pod) / "logs" / f"{name}.{restart}.log"

    def _work_on(self, pod: Object, *, removed: bool = False) -> None:
        uid = pod["metadata"]["uid"]
        if uid in self._workers:
            self._workers[uid][0].touched.set()
        elif not removed:
            worker = PodWorker(self, pod)
            task = asyncio.create_task(worker.run(), name=f"pod {pod['metadata']['name']}")
            self._workers[uid] = worker, task
            task.add_done_callback(lambda done: self._finished(uid, done))

    def _finished(self, uid: str, task: asyncio.Task[None]) -> None:
        del self._workers[uid]
        if not task.cancelled() and (error := task.exception()):
            handler = {"message": f"{task.get_name()} failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(handler)
