"""The kubelet: one worker for each stored pod, told of the pod's changes.

The kubelet keeps nothing of its own. All that it knows is in the pods' statuses and in the containers' directories, so
a restarted server finds its running containers and goes on.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from sandbox.kubernetes.node.node import Node
from sandbox.kubernetes.node.pod_worker import PodWorker
from sandbox.kubernetes.objects.kinds import PODS
from sandbox.kubernetes.objects.objects import Object


@dataclass
class Kubelet:
    """The workers of all pods of the node."""

    node: Node
    _workers: dict[str, tuple[PodWorker, asyncio.Task[None]]] = field(default_factory=dict)

    async def run(self) -> None:
        """Work on pods until cancelled; the containers then run on."""
        known = {
            status.get("containerID", "").rpartition("/")[2]
            for pod in self.node.objects.every(PODS)
            for status in (pod.get("status") or {}).get("containerStatuses") or []
        }
        self.node.runtime.sweep(known)
        queue = self.node.objects.subscribe()
        try:
            for pod in self.node.objects.every(PODS):
                self._work_on(pod)
            while True:
                change = await queue.get()
                if change.kind is PODS:
                    self._work_on(change.latest, removed=change.after is None)
        finally:
            self.node.objects.unsubscribe(queue)
            tasks = [task for _, task in self._workers.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def evict(self, pod: Object) -> None:
        """Fail the pod at once, as a kubelet whose node is short of memory does; the pod's object stays."""
        worker = self._workers.get(pod["metadata"]["uid"])
        if worker is not None:
            worker[0].evicted.set()

    def _work_on(self, pod: Object, *, removed: bool = False) -> None:
        uid = pod["metadata"]["uid"]
        if uid in self._workers:
            self._workers[uid][0].touched.set()
        elif not removed:
            worker = PodWorker(self.node, pod)
            task = asyncio.create_task(worker.run(), name=f"pod {pod['metadata']['name']}")
            self._workers[uid] = worker, task
            task.add_done_callback(lambda done: self._finished(uid, done))

    def _finished(self, uid: str, task: asyncio.Task[None]) -> None:
        del self._workers[uid]
        if not task.cancelled() and (error := task.exception()):
            handler = {"message": f"{task.get_name()} failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(handler)
