"""The cluster's only node: what its pods share, and the containers that run on it."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.kubernetes.node.containers import Container
from sandbox.kubernetes.node.pod_specs import StandInPaths
from sandbox.kubernetes.node.runtime import Runtime
from sandbox.kubernetes.objects.objects import Object, Objects


@dataclass(frozen=True)
class Node:
    """One machine of the cluster. `starts` bounds how many start scripts run at the same time."""

    objects: Objects
    runtime: Runtime
    stand_ins: StandInPaths
    starts: asyncio.Semaphore
    containers: dict[str, Container] = field(default_factory=dict)
    """The containers that were started or found again, by their ids."""

    def container_of(self, pod: Object, name: str) -> Container | None:
        """The pod's running container of that name; None when none runs."""
        for status in (pod.get("status") or {}).get("containerStatuses") or []:
            if status["name"] == name and "running" in status["state"]:
                found = self.containers.get(status["containerID"].rpartition("/")[2])
                return found if found and found.alive else None
        return None

    def pod_directory(self, pod: Object) -> Path:
        """The directory of what all containers of a pod share."""
        return self.runtime.directory / "pods" / str(pod["metadata"]["uid"])

    def log_path(self, pod: Object, name: str, restart: int) -> Path:
        """The file with the output of one start of a container; `restart` counts the starts from 0."""
        return self.pod_directory(pod) / "logs" / f"{name}.{restart}.log"

    def kill_everything(self) -> None:
        """Kill every container, at the end of the whole sandbox."""
        for container in self.containers.values():
            container.signal(signal.SIGKILL)
