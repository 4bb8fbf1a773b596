"""A service in memory: its Deployment, its one pod, and the program that its commands run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from daemon.ports.pods.cluster import Pod
from schemas.wire import ResetId
from tests.memory.processes import Command, Process

Program = Callable[[Process], Awaitable[int]]
"""What a command does: writes to its process and answers the exit code."""


async def succeed(process: Process) -> int:  # noqa: ARG001 - a program takes its process
    """The program of containers that were given none."""
    return 0


@dataclass
class MemoryService:
    """One service's Deployment with one pod."""

    environment: str
    name: str
    program: Program
    variables: dict[str, str]
    replicas: int = 1
    owned: bool = True
    """Whether a ReplicaSet made its pod."""
    ready: bool = True
    restarts: int = 0
    replaced: int = 0
    """How many pods came before the present one."""
    image_digest: str = "sha256:0"
    log: str = ""
    last_reason: str | None = None
    """Why its former container ended."""
    commands: dict[str, Command] = field(default_factory=dict)
    """By control directory, of the present container."""
    pod_name: str = ""
    """Of a holder; a service's pod is named after it."""
    uid: str = ""
    reset_id: ResetId | None = None
    """Of a holder: the reset that owns it."""
    uses: int = 0
    """Of a holder: its version."""

    @property
    def incarnation(self) -> str:
        """Of the present container."""
        return f"{self.uid or self.name}-{self.replaced}/{self.restarts}"

    def pod(self) -> Pod:
        """As it is now."""
        return Pod(
            environment=self.environment,
            name=self.pod_name or f"{self.name}-{self.replaced}",
            uid=self.uid or f"uid-{self.environment}-{self.name}-{self.replaced}",
            container=self.name,
            container_id=f"memory://{self.environment}/{self.incarnation}",
            image_digest=self.image_digest,
            restart_count=self.restarts,
        )
