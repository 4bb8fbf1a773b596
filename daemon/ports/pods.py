"""Pods: which one to use, and commands in it that outlive the stream and the daemon.

The protocol of a command: `prepare` makes the attempt's control directory and answers what has to be recorded;
once that is durable, `launch` starts it detached, at most once for a control directory; `follow` watches it from
any byte offset, as often as needed; `give_up` is the tombstone that makes "it never started" true for ever.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from schemas.resets import Control
from schemas.wire import AttemptId, ResetId


@dataclass(frozen=True)
class Pod:
    """A pod and the one container of it that commands run in."""

    environment: str
    name: str
    uid: str
    container: str
    container_id: str
    image_digest: str
    restart_count: int


@dataclass(frozen=True)
class Result:
    """Of a short command that changes nothing; its stream was whole and ended with a Status."""

    exit_code: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True)
class Observation:
    """What was seen of a launched command, in one look.

    `exit_code` is set only when the command wrote one. `alive` was looked at BEFORE the exit code, so
    `claimed and not alive and exit_code is None` is conclusive: interrupted.
    """

    claimed: bool
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


class Claim(StrEnum):
    """The answer of a tombstone."""

    GIVEN_UP = "given-up"  # it never started, and now never will
    STARTED = "started"  # it did start: follow it


@dataclass(frozen=True)
class Need:
    """What a holder is asked for."""

    service: str
    """The catalog's name of the service whose commands run in it."""
    attempt: AttemptId
    """The attempt that is about to act; its reset owns the holder."""
    seconds: float
    """How long that may take at most."""


@dataclass(frozen=True)
class Holder:
    """A holder as it was listed."""

    environment: str
    name: str
    uid: str
    version: str
    """Changes with every attempt that uses the holder."""
    reset_id: ResetId
    ended: bool
    """Whether nothing can run in it any more."""


class Pods(Protocol):
    """Every method raises TemporaryError or PermanentError; none blocks past its own time limit, once it is its turn.

    So many run at once, in all and in one pod; the others wait.
    """

    async def environments(self) -> tuple[str, ...]:
        """Names of all namespaces that are not being deleted, sorted."""
        ...

    async def consumers(self, environment: str, selectors: Sequence[str]) -> Mapping[str, int]:
        """Which services run there: selector -> pods asked for by Deployments (0 is kept), or there without one.

        Only pods' labels count, in Deployments' templates too: nobody promises others. A selector that matches
        neither a template nor a pod is left out; of all others somebody may use the service's databases.
        """
        ...

    async def choose(self, environment: str, selector: str, container: str | None) -> Pod:
        """The pod to use: not deleting, Running, Ready, owned by a ReplicaSet; newest ReplicaSet, then oldest ready.

        Raises:
            TemporaryError: `pod-not-ready` (a rollout is under way, nothing is ready yet).
            PermanentError: `pod-not-found` (nothing matches), or an ambiguous container.
        """
        ...

    async def hold(self, environment: str, selector: str, container: str | None, need: Need) -> Pod:
        """The holder of the attempt's reset for a service: made from the Deployment's template, or found again.

        It has the template's image, variables, volumes and account, sleeps, belongs to nobody else (no label of the
        service, no probe, no hook), and the service need not run for it. Repeating it is harmless. Waits,
        bounded, until it runs.

        Raises:
            TemporaryError: `pod-not-ready`: it does not run yet.
            PermanentError: `pod-not-found` (no one Deployment, or an ambiguous container), `pod-not-ready` (it is too
                old to live as long as is needed), `kubernetes-forbidden`.
        """
        ...

    async def holders(self) -> tuple[Holder, ...]:
        """Every holder of every environment that is not going away already."""
        ...

    async def remove_holder(self, holder: Holder) -> bool:
        """Remove it as it was listed; False, and nothing happens, where it was used since or is gone."""
        ...

    async def read(
        self, pod: Pod, argv: Sequence[str], *, timeout: float, stdin: bytes | None = None
    ) -> Result:
        """Run a short command that changes nothing, attached. A stream without a Status raises TemporaryError."""
        ...

    async def variables(self, pod: Pod, names: Sequence[str]) -> Mapping[str, str]:
        """The values of environment variables as the container's processes see them; absent ones are left out."""
        ...

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

    async def give_up(self, control: Control) -> Claim:
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

    async def last_log(self, environment: str, selector: str, lines: int) -> str:
        """The last lines of the service's own log; empty where there is none."""
        ...
