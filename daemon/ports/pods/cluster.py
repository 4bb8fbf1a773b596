"""The cluster: which services run where, which pod to use, and short questions asked in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


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


class Cluster(Protocol):
    """Every method raises TemporaryError or PermanentError."""

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

    async def read(
        self, pod: Pod, argv: Sequence[str], *, timeout: float, stdin: bytes | None = None
    ) -> Result:
        """Run a short command that changes nothing, attached. A stream without a Status raises TemporaryError."""
        ...

    async def variables(self, pod: Pod, names: Sequence[str]) -> Mapping[str, str]:
        """The values of environment variables as the container's processes see them; absent ones are left out."""
        ...

    async def last_log(self, environment: str, selector: str, lines: int) -> str:
        """The last lines of the service's own log; empty where there is none."""
        ...
