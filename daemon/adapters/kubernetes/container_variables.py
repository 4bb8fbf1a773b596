"""The environment variables of a container, and which of them are secret: redaction learns those before anything else.

A container's variables stay the same while it runs, so they are read once for each container. Redaction learns the
secret ones each time that the container is used: it may have forgotten them in favour of others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

import structlog
from kubernetes_asyncio.client import CoreV1Api, V1Container

from daemon.adapters.kubernetes.client import REQUEST_TIMEOUT_SECONDS, Kubernetes
from daemon.adapters.kubernetes.errors import translated
from daemon.adapters.kubernetes.exec.short_exec import SCRIPT_TIMEOUT_SECONDS, execute
from daemon.adapters.kubernetes.exec.websocket_stream import ContainerRef
from daemon.ports.errors import TemporaryError
from daemon.redaction.known_values import KNOWN, MOST_VALUES, secret_values
from schemas.reasons import Reason

log = structlog.get_logger()

_MOST_CONTAINERS = 10_000
_OF_EVERY_CONTAINER = frozenset({"HOSTNAME", "HOME", "PATH", "PWD", "SHLVL", "TERM"})
"""Variables that no Secret gives, though the pod's specification does not name them."""


class ContainerVariables:
    """Reads the variables of containers over one connection."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self._kubernetes = kubernetes
        self._core = CoreV1Api(kubernetes.rest)
        self._secrets: dict[tuple[str, str], frozenset[str]] = {}
        """(pod UID, containerID) -> the secret values of the container, the one that was read last at the end"""
        self._told = False
        """Whether it was logged that more values are in use than are remembered of those that are not."""

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
        from_secrets, may_be_secret = await self._from_secrets(container, variables)
        secrets = secret_values(variables, from_secrets=from_secrets, may_be_secret=may_be_secret)
        self._learn(secrets)
        self._secrets.pop((uid, container_id), None)
        self._secrets[uid, container_id] = secrets
        if len(self._secrets) > _MOST_CONTAINERS:
            del self._secrets[next(iter(self._secrets))]
        return variables

    async def learn(self, container: ContainerRef, uid: str, container_id: str) -> None:
        """Let redaction learn the secret values of the container that a command runs in, before its output is read.

        Raises:
            PortError: as `read`.
        """
        if (uid, container_id) not in self._secrets:
            await self.read(container, uid, container_id)
        self._learn(self._secrets[uid, container_id])

    @asynccontextmanager
    async def known(self, container: ContainerRef, uid: str, container_id: str) -> AsyncIterator[None]:
        """As `learn`; within the block redaction forgets none of the values.

        Raises:
            PortError: as `read`.
        """
        await self.learn(container, uid, container_id)
        with KNOWN.in_use(self._secrets[uid, container_id]):
            yield

    def _learn(self, secrets: frozenset[str]) -> None:
        KNOWN.learn(secrets)
        if len(KNOWN) > MOST_VALUES and not self._told:
            self._told = True
            log.warning("redaction.many-secrets", known=len(KNOWN), remembered=MOST_VALUES)

    async def _from_secrets(
        self, container: ContainerRef, variables: Mapping[str, str]
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Names of the variables that a Secret gives, and of those that one may give.

        The pod's specification names a variable that takes a key of a Secret. It does not name those that take all of a
        Secret's keys (`envFrom`): where it has a prefix they are known by that; else each may be one that nothing else
        in the specification names.
        """
        with translated(f"read pod {container}", f"get pods in {container.environment}"):
            pod = await self._core.read_namespaced_pod(
                container.pod, container.environment, _request_timeout=REQUEST_TIMEOUT_SECONDS
            )
        spec = next((each for each in pod.spec.containers if each.name == container.container), None)
        return (frozenset(), frozenset()) if spec is None else given_by_secrets(spec, variables)


def given_by_secrets(spec: V1Container, names: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Return which of a container's variables a Secret gives, and which of the others one may give."""
    env = spec.env or ()
    by_key = {
        str(variable.name)
        for variable in env
        if variable.value_from is not None and variable.value_from.secret_key_ref is not None
    }
    unnamed = set(names) - {str(variable.name) for variable in env} - _OF_EVERY_CONTAINER
    prefixes = [str(each.prefix or "") for each in spec.env_from or () if each.secret_ref is not None]
    prefixed = {name for name in unnamed if any(each and name.startswith(each) for each in prefixes)}
    return frozenset(by_key | prefixed), frozenset(unnamed if "" in prefixes else ())
