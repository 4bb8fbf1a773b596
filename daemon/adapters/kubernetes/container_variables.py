"""The environment variables of a container, and which of them are secret: redaction learns those before anything else.

A container's variables stay the same while it runs, so redaction learns them once for each container.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubernetes_asyncio.client import CoreV1Api

from daemon.adapters.kubernetes.client import REQUEST_TIMEOUT_SECONDS, Kubernetes
from daemon.adapters.kubernetes.errors import translated
from daemon.adapters.kubernetes.exec.short_exec import SCRIPT_TIMEOUT_SECONDS, execute
from daemon.adapters.kubernetes.exec.websocket_stream import ContainerRef
from daemon.ports.errors import TemporaryError
from daemon.redaction.known_values import KNOWN, secret_values
from schemas.reasons import Reason
from schemas.resets import Control

_MOST_CONTAINERS = 10_000


class ContainerVariables:
    """Reads the variables of containers over one connection."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self._kubernetes = kubernetes
        self._core = CoreV1Api(kubernetes.rest)
        self._learned: set[tuple[str, str]] = set()
        """(pod UID, containerID)"""

    async def read(self, container: ContainerRef, uid: str, container_id: str) -> Mapping[str, str]:
        """Return the variables as a command of ours in the container has them; redaction has learned the secret ones.

        Raises:
            TemporaryError: they can't be read now.
            PortError: the pod can't be asked.
        """
        argv = ["cat", "/proc/self/environ"]
        result = await execute(self._kubernetes, container, argv, SCRIPT_TIMEOUT_SECONDS)
        if result.exit_code != 0:
            raise TemporaryError(Reason.EXEC_REFUSED, f"could not read the environment of {container}")
        entries = result.stdout.decode("utf-8", "surrogateescape").split("\0")
        variables = dict(entry.split("=", 1) for entry in entries if "=" in entry)
        from_secrets = await self._from_secrets(container)
        KNOWN.learn(secret_values(variables, from_secrets=from_secrets))
        if len(self._learned) >= _MOST_CONTAINERS:
            self._learned.clear()
        self._learned.add((uid, container_id))
        return variables

    async def learn(self, control: Control) -> None:
        """Let redaction learn the secret values of the container that a command runs in, before its output is read.

        Raises:
            PortError: as `read`.
        """
        if (control.pod_uid, control.container_id) not in self._learned:
            await self.read(ContainerRef.of_control(control), control.pod_uid, control.container_id)

    async def _from_secrets(self, container: ContainerRef) -> frozenset[str]:
        """Names of the variables that the pod's specification takes from a key of a Secret."""
        with translated(f"read pod {container}", f"get pods in {container.environment}"):
            pod = await self._core.read_namespaced_pod(
                container.pod, container.environment, _request_timeout=REQUEST_TIMEOUT_SECONDS
            )
        return frozenset(
            str(variable.name)
            for each in pod.spec.containers
            if each.name == container.container
            for variable in each.env or ()
            if variable.value_from is not None and variable.value_from.secret_key_ref is not None
        )
