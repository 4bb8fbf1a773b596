"""Commands in pods that outlive the stream and the daemon.

The protocol of a command: `prepare` makes the attempt's control directory and answers what has to be recorded;
once that is durable, `launch` starts it detached, at most once for a control directory; `follow` watches it from
any byte offset, as often as needed; `give_up` is the tombstone that makes "it never started" true for ever.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from daemon.ports.pods.cluster import Pod
from schemas.resets import Control
from schemas.wire import AttemptId


@dataclass(frozen=True)
class Observation:
    """What was seen of a launched command, in one look.

    `exit_code` is set only when the command wrote one. `alive` was looked at BEFORE the exit code, so
    `started and not alive and exit_code is None` is conclusive: interrupted.
    """

    started: bool
    """Whether the one atomic act that decides "started" was committed by a command."""
    given_up: bool
    alive: bool
    exit_code: int | None
    log: bytes = b""
    """Output from `offset` on; bounded."""
    offset: int = 0
    """Where `log` begins."""


class Fate(StrEnum):
    """What is known of a container that a command was recorded in."""

    RUNNING = "running"  # the very same container, same incarnation as far as Kubernetes tells
    TERMINATED = "terminated"  # a terminated status of that very containerID was seen
    UNKNOWN = "unknown"  # the pod is gone, or nothing is said of that container


@dataclass(frozen=True)
class ContainerFate:
    """`fate` with the kubelet's reason (`OOMKilled`, `Evicted`, ...) where there is one."""

    fate: Fate
    reason: str | None = None
    exit_code: int | None = None


class Tombstone(StrEnum):
    """The answer of a tombstone."""

    PLACED = "given-up"  # it never started, and now never will
    TOO_LATE = "started"  # it did start: follow it


class PodCommands(Protocol):
    """Every method raises TemporaryError or PermanentError."""

    async def prepare(self, pod: Pod, attempt: AttemptId) -> Control:
        """Make the attempt's control directory (0700) and answer where it is, with the container's incarnation."""
        ...

    async def launch(
        self,
        control: Control,
        attempt: AttemptId,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
    ) -> None:
        """Start `argv` detached, in the container's working directory, its output into the control directory.

        Harmless to repeat: only the first launch or tombstone of a control directory takes effect. Refuses
        another incarnation than the recorded one (PermanentError `command-interrupted`). Success says only
        that the request was delivered; `follow` tells what became of it. A TemporaryError may mean either.
        The command's environment holds `RESETD_ATTEMPT=<attempt>`, and unless the container has a PGAPPNAME, one that
        names the attempt (`statemachines.steps.session_names`).
        """
        ...

    def follow(self, control: Control, *, offset: int) -> AsyncGenerator[Observation, None]:
        """Observations as they come, each with the output since the last. Ends after the final one, or
        silently when the stream was cut: then nothing is known, and the caller follows again from its offset.
        A first observation comes at once.
        """
        ...

    async def give_up(self, control: Control) -> Tombstone:
        """Put up the tombstone. After GIVEN_UP no launch of this control directory can ever start."""
        ...

    async def stop(self, control: Control, attempt: AttemptId, *, force: bool) -> None:
        """TERM (or KILL) everything that the attempt started: its session, group, and marked children."""
        ...

    async def gone(self, control: Control, attempt: AttemptId) -> bool:
        """Whether no process of the attempt is left: session, process group, marker in `environ`.

        Raises:
            TemporaryError: a process whose environment can't be read might belong to it.
        """
        ...

    async def fate(self, control: Control) -> ContainerFate:
        """What Kubernetes says of the container that `control` names."""
        ...
