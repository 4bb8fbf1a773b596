"""The cluster: which services run where, which pod to use, and short questions asked in it.

The facts of a plan, handshakes, checks and the doctor are read through this part of the pods port.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Pod:
    """A pod, and the one container of it that commands run in."""

    environment: str
    name: str
    uid: str
    container: str
    container_id: str
    image_digest: str
    restart_count: int


@dataclass(frozen=True)
class Result:
    """The result of a short command that changes nothing. Its stream was whole and ended with a Status."""

    exit_code: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True)
class Addresses:
    """Addresses from which the pods of an environment may reach a database."""

    pods: frozenset[str]
    """The pods' own."""
    nodes: frozenset[str]
    """Those of the nodes that they run on: a cluster may hide pods behind their nodes."""


class Cluster(Protocol):
    """Reads a cluster, and changes nothing in it. Every method raises TemporaryError or PermanentError."""

    async def environments(self) -> tuple[str, ...]:
        """Return the names of all namespaces that are not being deleted, sorted."""
        ...

    async def consumers(self, environment: str, selectors: Sequence[str]) -> Mapping[str, int]:
        """Return which services run in an environment, and may use the services' databases: selector -> pods.

        - The number is what Deployments ask for, and a 0 is kept; where there is no Deployment it is that of the pods.
        - Labels of pods decide, and those of Deployments' templates. Nobody promises any other label.
        - A selector that matches neither a template nor a pod is left out.
        """
        ...

    async def addresses(self, environment: str) -> Addresses:
        """Return the addresses of all pods of an environment that have one."""
        ...

    async def choose(self, environment: str, selector: str, container: str | None) -> Pod:
        """Return the pod of a service to use: the oldest ready one of the newest ReplicaSet.

        - It is owned by a ReplicaSet, Running and Ready, and not being deleted.
        - Its container is the configured one, else the annotated default, else the only one.

        Raises:
            TemporaryError: `pod-not-ready`: a rollout is under way, nothing is ready yet.
            PermanentError: `pod-not-found`: nothing matches, or the container is ambiguous.
        """
        ...

    async def read(
        self, pod: Pod, argv: Sequence[str], *, timeout: float, stdin: bytes | None = None
    ) -> Result:
        """Run a short command that changes nothing, attached, for at most `timeout` seconds.

        Raises:
            TemporaryError: the stream ended without a Status, so that nothing is known of the command's end.
        """
        ...

    async def variables(self, pod: Pod, names: Sequence[str]) -> Mapping[str, str]:
        """Return the values of environment variables as the container's processes see them, without absent ones."""
        ...

    async def last_log(self, environment: str, selector: str, lines: int) -> str:
        """Return the last lines of the service's own log; empty where there is none."""
        ...
