"""The status of a pod, made from the states of its containers."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

from sandbox.kubernetes.objects.conditions import set_condition
from sandbox.kubernetes.objects.objects import Object, now


@dataclass
class ContainerState:
    """One entry of `containerStatuses`. `state` and `last` are v1.ContainerState dicts."""

    name: str
    image: str
    state: dict[str, Any] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)
    ready: bool = False
    restarts: int = 0
    container_id: str = ""
    image_id: str = ""

    @classmethod
    def of(cls, spec: Object, status: Object | None) -> ContainerState:
        """The state of a container by its spec and, after a restart of the server, by its stored status."""
        fresh = {"waiting": {"reason": "ContainerCreating"}}
        status = status or {}
        return cls(
            spec["name"],
            spec["image"],
            state=status.get("state") or fresh,
            last=status.get("lastState") or {},
            ready=status.get("ready", False),
            restarts=status.get("restartCount", 0),
            container_id=status.get("containerID", "").rpartition("/")[2],
            image_id=status.get("imageID", ""),
        )

    def waits(self, reason: str, message: str = "") -> None:
        """The container does not run, for this reason."""
        self.state = {"waiting": {"reason": reason} | ({"message": message} if message else {})}
        self.ready = False

    def runs(self) -> None:
        """The container starts now."""
        self.state = {"running": {"startedAt": now()}}

    def ended(self, code: int, reason: str) -> None:
        """The container ends now."""
        started = (self.state.get("running") or {}).get("startedAt", now())
        self.state = {
            "terminated": {
                "exitCode": code,
                "reason": reason,
                "startedAt": started,
                "finishedAt": now(),
                "containerID": f"sandbox://{self.container_id}",
            }
        }
        self.ready = False

    def as_status(self) -> Object:
        """The v1.ContainerStatus."""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": self.image_id,
            "containerID": f"sandbox://{self.container_id}" if self.container_id else "",
            "ready": self.ready,
            "started": "running" in self.state,
            "restartCount": self.restarts,
            "state": self.state,
            "lastState": self.last,
        }


def phase(spec: Object, states: list[ContainerState]) -> str:
    """The pod's phase as the kubelet decides: Pending, Running, Succeeded or Failed."""
    policy = spec.get("restartPolicy", "Always")
    ended = [state.state["terminated"] for state in states if "terminated" in state.state]
    if len(ended) == len(states) and policy != "Always":
        if all(end["exitCode"] == 0 for end in ended):
            return "Succeeded"
        if policy == "Never":
            return "Failed"
    if any("waiting" in state.state and not state.last for state in states):
        return "Pending"
    return "Running"


def fill(status: Object, pod: Object, states: list[ContainerState]) -> None:
    """Write phase, conditions and containerStatuses into a pod's status."""
    current = phase(pod["spec"], states)
    status["phase"] = current
    over = current in {"Succeeded", "Failed"}
    ready = all(state.ready for state in states) and not over
    unready = {"reason": "PodCompleted"} if over else _unready(states)
    initialized = {"reason": "PodCompleted"} if current == "Succeeded" else {}
    set_condition(status, "PodReadyToStartContainers", value=not over)
    set_condition(status, "Initialized", value=True, **initialized)
    set_condition(status, "Ready", value=ready, **({} if ready else unready))
    set_condition(status, "ContainersReady", value=ready, **({} if ready else unready))
    set_condition(status, "PodScheduled", value=True)
    status.setdefault("startTime", now())
    status["hostIP"] = "127.0.0.1"
    status.setdefault("podIP", address(pod["metadata"]["uid"]))
    status["podIPs"] = [{"ip": status["podIP"]}]
    status["qosClass"] = "BestEffort"
    status["containerStatuses"] = [state.as_status() for state in states]


def _unready(states: list[ContainerState]) -> dict[str, str]:
    names = " ".join(state.name for state in states if not state.ready)
    return {
        "reason": "ContainersNotReady",
        "message": f"containers with unready status: [{names}]",
    }


def address(uid: str) -> str:
    """The pod's IP. Nothing listens there: the services of the sandbox open no port."""
    number = zlib.crc32(uid.encode())
    return f"10.244.{number >> 8 & 255}.{number & 255}"
