"""Disruptions of a pod in the middle of a command: deleted, lost, rolled out, restarted, out of memory, evicted.

A disruption waits for its moment. An exec of the daemon makes it look at the container, and it happens when a command
that was launched there is running. When it sees none, the fault stays armed for the next exec.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence

from sandbox.faults.armoury import Armed, Armoury
from sandbox.faults.kinds import FaultKind
from sandbox.kubernetes.faults.background import Background
from sandbox.kubernetes.node.containers import Container
from sandbox.kubernetes.node.kubelet import Kubelet
from sandbox.kubernetes.node.proc import children, environment_of
from sandbox.kubernetes.objects import deletion
from sandbox.kubernetes.objects.kinds import DEPLOYMENTS, PODS, REPLICA_SETS
from sandbox.kubernetes.objects.objects import Object, now
from sandbox.polling import until

_READY_WITHIN = 5.0
_EVICTED_POD_STAYS = 30.0
_RESTARTED = "kubectl.kubernetes.io/restartedAt"
_MARKER = "RESETD_ATTEMPT="


class PodDisruptions:
    """Disrupts pods, each while a command runs in it."""

    def __init__(self, armoury: Armoury, kubelet: Kubelet, background: Background) -> None:
        self._armoury = armoury
        self._kubelet = kubelet
        self._background = background
        self._watched: set[tuple[str, str]] = set()

    def watch(self, armed: Armed, pod: Object, container: Container) -> None:
        """Look at this container for a while, and disrupt its pod once a command runs there."""
        key = armed.id, container.id
        if key not in self._watched:
            self._watched.add(key)
            self._background.start(self._disrupt(armed, pod, container))

    async def _disrupt(self, armed: Armed, pod: Object, container: Container) -> None:
        def ready() -> bool:
            return not self._armoury.is_armed(armed) or runs_a_command(container)

        try:
            if not await until(ready, within=_READY_WITHIN):
                return
            wait = armed.fault.seconds_or(0.0)
            await until(lambda: not runs_a_command(container), within=wait)
            if runs_a_command(container) and self._armoury.hit(armed):
                self._happen(armed.fault.kind, pod, container)
                if armed.fault.kind is FaultKind.EVICTED:
                    await self._collect(armed, pod)
        finally:
            self._watched.discard((armed.id, container.id))

    def _happen(self, kind: FaultKind, pod: Object, container: Container) -> None:
        match kind:
            case FaultKind.POD_DELETED:
                deletion.delete(self._kubelet.node.objects, PODS, pod)
            case FaultKind.POD_LOST:
                deletion.delete(self._kubelet.node.objects, PODS, pod, {"gracePeriodSeconds": 0})
            case FaultKind.POD_ROLLED_OUT:
                self._roll_out(pod)
            case FaultKind.CONTAINER_RESTARTED:
                container.signal(signal.SIGKILL)
            case FaultKind.OOM_KILLED:
                container.kill_for("OOMKilled")
            case FaultKind.EVICTED:
                self._kubelet.evict(pod)
            case _:
                raise ValueError(f"{kind} is no disruption of pods")

    async def _collect(self, armed: Armed, pod: Object) -> None:
        """Delete the object of an evicted pod after a while, as a garbage collector does."""
        meta = pod["metadata"]
        with self._armoury.lasting(armed, f"{meta['namespace']}/{meta['name']}") as is_to_end:
            await until(is_to_end, within=_EVICTED_POD_STAYS)
            self._remove(meta["namespace"], meta["name"])

    def _remove(self, namespace: str, name: str) -> None:
        pod = self._kubelet.node.objects.find(PODS, namespace, name)
        if pod is not None:
            deletion.delete(self._kubelet.node.objects, PODS, pod)

    def recover(self) -> None:
        """Delete the evicted pods that a server which was killed left."""
        for effect, made in self._armoury.effects({FaultKind.EVICTED}).items():
            self._remove(*made.split("/"))
            self._armoury.forget(effect)

    def _roll_out(self, pod: Object) -> None:
        """Restart the pod's Deployment as `kubectl rollout restart` does; a pod without a Deployment is left alone."""
        objects, namespace = self._kubelet.node.objects, pod["metadata"]["namespace"]
        for owner in pod["metadata"].get("ownerReferences") or []:
            if owner["kind"] == "ReplicaSet":
                replica_set = objects.get(REPLICA_SETS, namespace, owner["name"])
                (deployment,) = replica_set["metadata"]["ownerReferences"]
                objects.update(DEPLOYMENTS, namespace, deployment["name"], _restart)


def _restart(deployment: Object) -> None:
    meta = deployment["spec"]["template"].setdefault("metadata", {})
    meta.setdefault("annotations", {})[_RESTARTED] = now()


def runs_a_command(container: Container) -> bool:
    """Whether a command that the daemon launched runs in the container; the daemon marks its environment."""
    return any(
        value.startswith(_MARKER.encode())
        for child in children(container.pid)
        for value in environment_of(child)
    )


def is_a_launch(argv: Sequence[str]) -> bool:
    """Whether an exec of this command line launches a command of the daemon."""
    return any(word.startswith(_MARKER) for word in argv)
