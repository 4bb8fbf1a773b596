"""A service in memory: its Deployment, its one pod, and the program that its commands run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from daemon.ports.pods.cluster import Pod
from schemas.wire import ResetId, ResourceKey
from tests.memory.processes import Command, Process

Program = Callable[[Process], Awaitable[int]]
"""What a command does: it writes to its process, and returns the exit code."""


async def succeed(process: Process) -> int:  # noqa: ARG001 - a program takes its process
    """Do nothing: the program of containers that were given none."""
    return 0


@dataclass
class MemoryService:
    """A service's Deployment with its one pod, or a holder."""

    environment: str
    name: str
    program: Program
    variables: dict[str, str]
    replicas: int = 1
    owned: bool = True
    """Whether a ReplicaSet made its pod."""
    label: str = ""
    """The value of its pods' label; the service's name unless given."""
    ready: bool = True
    restarts: int = 0
    replaced: int = 0
    """How many pods there were before the present one."""
    image_digest: str = "sha256:0"
    address: str | None = None
    """Where its pod's connections come from."""
    log: str = ""
    last_reason: str | None = None
    """Why the former container ended."""
    commands: dict[str, Command] = field(default_factory=dict)
    """The commands of the present container, by control directory."""
    pod_name: str = ""
    """A holder's name. A service's own pod is named after the service."""
    uid: str = ""
    """A holder's uid. A service's own pod has one of its name."""
    reset_id: ResetId | None = None
    """The reset that owns a holder."""
    uses: int = 0
    """A holder's version."""
    quiesced_by: tuple[ResetId, ...] = ()
    used: tuple[ResourceKey, ...] = ()
    """What the Deployment remembers while it is quiesced."""

    @property
    def incarnation(self) -> str:
        """Return the incarnation of the present container."""
        return f"{self.uid or self.name}-{self.replaced}/{self.restarts}"

    def pod(self) -> Pod:
        """Return the pod as it is now."""
        return Pod(
            environment=self.environment,
            name=self.pod_name or f"{self.name}-{self.replaced}",
            uid=self.uid or f"uid-{self.environment}-{self.name}-{self.replaced}",
            container=self.name,
            container_id=f"memory://{self.environment}/{self.incarnation}",
            image_digest=self.image_digest,
            restart_count=self.restarts,
            maker=self.name,
        )
