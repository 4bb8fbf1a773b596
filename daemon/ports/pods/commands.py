"""Commands in pods that outlive their stream and the daemon. The engine runs the steps of a reset by them.

The protocol of a command:

1. `prepare` makes the attempt's control directory, and returns what has to be recorded.
2. Once that is durable, `launch` starts the command detached, at most once for a control directory.
3. `follow` observes it from any byte of its output on, as often as needed.
4. `give_up` is the tombstone: it makes "it never started" true for ever.
5. `stop` ends what an attempt started, and `gone` tells when nothing of it is left.
6. Once the outcome is durable, `discard` removes the output from the pod. What decides between launches stays.
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
    """What was seen of a command at one moment.

    `alive` was read BEFORE `exit_code`. So `started and not alive and exit_code is None` is conclusive: the command was
    interrupted.
    """

    started: bool
    """Whether a launch committed the one atomic act that decides between launches and the tombstone."""
    given_up: bool
    """Whether the tombstone committed that act."""
    alive: bool
    exit_code: int | None
    """What the command's end wrote down; None where nothing is written."""
    log: bytes = b""
    """Output from `offset` on; bounded."""
    offset: int = 0
    """Where `log` begins in the command's output."""


class Fate(StrEnum):
    """What is known of a container that a command was recorded in."""

    RUNNING = "running"  # the same containerID runs; as far as Kubernetes tells, it is the same incarnation
    TERMINATED = (
        "terminated"  # that containerID has a terminated status, or its pod has restarted the container since
    )
    UNKNOWN = "unknown"  # the pod is gone, or Kubernetes says nothing of that container


@dataclass(frozen=True)
class ContainerFate:
    """A fate, with the kubelet's reason (`OOMKilled`, `Evicted`, ...) and exit code where there are any."""

    fate: Fate
    reason: str | None = None
    exit_code: int | None = None


class Tombstone(StrEnum):
    """What became of putting up a tombstone."""

    PLACED = "given-up"  # the command never started, and never will
    TOO_LATE = "started"  # the command did start: follow it


class PodCommands(Protocol):
    """Runs commands by the protocol above. Every method raises TemporaryError or PermanentError."""

    async def prepare(self, pod: Pod, attempt: AttemptId) -> Control:
        """Make the attempt's control directory (0700), and return where it is, with the container's incarnation."""
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

        - Repeating it is harmless: only the first launch or tombstone of a control directory takes effect.
        - Its return says only that the request was delivered. `follow` tells what became of it.
        - The command's environment has `RESETD_ATTEMPT=<attempt>`. It also has a PGAPPNAME that names the attempt
          (`statemachines.steps.session_names`), unless the container has one of its own.

        Raises:
            TemporaryError: the request may have been delivered or not.
            PermanentError: `command-interrupted`: the container has another incarnation than was recorded.
        """
        ...

    def follow(self, control: Control, *, offset: int) -> AsyncGenerator[Observation, None]:
        """Return observations as they come, each with the output since the last one.

        - A first observation comes at once.
        - Of more than 16 MiB of output its beginning and its end come, and between them a marker (`daemon.ports.logs`).
        - The generator ends after the final observation.
        - It also ends where the stream was cut, without a word. Then nothing is known, and the caller follows again
          from its offset.
        """
        ...

    async def give_up(self, control: Control) -> Tombstone:
        """Put up the tombstone. After PLACED no launch of this control directory can ever start."""
        ...

    async def stop(self, control: Control, attempt: AttemptId, *, force: bool) -> None:
        """Send TERM, or KILL with `force`, to all that the attempt started: its session, group, and marked children."""
        ...

    async def gone(self, control: Control, attempt: AttemptId) -> bool:
        """Tell whether no process of the attempt is left, by session, by process group, or by the marker in `environ`.

        Raises:
            TemporaryError: a process whose environment can't be read might belong to the attempt.
        """
        ...

    async def discard(self, controls: Sequence[Control]) -> None:
        """Remove output and input of commands that are over. Their claims, tombstones and exit codes stay.

        - A command that runs, or one whose container or directory is gone, is left as it is.
        - Repeating it is harmless.
        """
        ...

    async def fate(self, control: Control) -> ContainerFate:
        """Return what Kubernetes says of the container that `control` names."""
        ...
