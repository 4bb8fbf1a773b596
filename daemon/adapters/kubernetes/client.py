"""The connection to one cluster, shared by all that talk to it, with the limits that they share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

import yaml
from kubernetes_asyncio import client, config
from kubernetes_asyncio.stream import WsApiClient

from daemon.ports.errors import PermanentError
from schemas.reasons import Reason

REQUEST_TIMEOUT_SECONDS = 15.0
"""For one request to the API server. The client has no time limit of its own."""
PAGE_SIZE = 500
"""Objects in one answer to a list."""

MAX_EXECS_PER_POD = 8
"""More execs at once in one pod stall its container runtime: 20 take 0.7 s, 50 take most of a minute."""
MAX_EXECS = 32
MAX_STREAMS_PER_POD = 8
MAX_STREAMS = 32
"""Each TLS stream takes 0.3 MB and more. Commands beyond these are polled by short execs."""
_HEARTBEAT_SECONDS = 20.0
"""Load balancers cut a connection that is silent for a minute."""


@dataclass(frozen=True)
class KubernetesSettings:
    """Which cluster: an explicit kubeconfig; else the pod's own account; else the usual kubeconfig rules."""

    kubeconfig: str | None = None
    context: str | None = None


class ExecLimiter:
    """Limits how many execs run at once, in all and in one pod; the others wait."""

    def __init__(self, in_all: int, per_pod: int) -> None:
        self._all = asyncio.Semaphore(in_all)
        self._per_pod = per_pod
        # Pods come and go by the thousand, so those that nobody waits for are forgotten.
        self._pods: WeakValueDictionary[tuple[str, str], asyncio.Semaphore] = WeakValueDictionary()

    def has_free_slot(self, environment: str, pod: str) -> bool:
        """Tell whether `slot` of this pod would not wait."""
        return not (self._all.locked() or self._of(environment, pod).locked())

    @asynccontextmanager
    async def slot(self, environment: str, pod: str) -> AsyncIterator[None]:
        """Wait for a slot in this pod, and hold it for as long as the block runs."""
        async with self._of(environment, pod), self._all:
            yield

    def _of(self, environment: str, pod: str) -> asyncio.Semaphore:
        return self._pods.setdefault((environment, pod), asyncio.Semaphore(self._per_pod))


@dataclass(frozen=True)
class Kubernetes:
    """Clients and limits for one cluster."""

    rest: client.ApiClient
    websocket: WsApiClient
    execs: ExecLimiter = field(default_factory=lambda: ExecLimiter(MAX_EXECS, MAX_EXECS_PER_POD))
    """For short execs."""
    streams: ExecLimiter = field(default_factory=lambda: ExecLimiter(MAX_STREAMS, MAX_STREAMS_PER_POD))
    """For execs that stay, so that they keep no short one waiting."""


@asynccontextmanager
async def open_kubernetes(settings: KubernetesSettings) -> AsyncIterator[Kubernetes]:
    """Connect for as long as the block runs.

    Raises:
        PermanentError: `kubernetes-unreachable`: no usable configuration was found.
    """
    configuration = await _configuration(settings)
    async with AsyncExitStack() as stack:
        rest = await stack.enter_async_context(client.ApiClient(configuration))
        websocket = WsApiClient(configuration, heartbeat=_HEARTBEAT_SECONDS)
        yield Kubernetes(rest, await stack.enter_async_context(websocket))


async def _configuration(settings: KubernetesSettings) -> client.Configuration:
    configuration = client.Configuration()
    # No limit here: the client's pool counts streams as well, and a hundred of them would stop every other call.
    configuration.connection_pool_maxsize = 0
    try:
        if not settings.kubeconfig and not settings.context:
            try:
                config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            except config.ConfigException:
                pass
            else:
                return configuration
        await config.load_kube_config(
            config_file=settings.kubeconfig, context=settings.context, client_configuration=configuration
        )
    except (config.ConfigException, OSError) as error:
        raise _unusable(str(error)) from error
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, KeyError) as error:
        # Messages of these errors may quote the file, which holds tokens.
        raise _unusable(f"{settings.kubeconfig or 'kubeconfig'} can't be read as one") from error
    return configuration


def _unusable(because: str) -> PermanentError:
    return PermanentError(
        Reason.KUBERNETES_UNREACHABLE,
        f"no usable Kubernetes configuration: {because}",
        hint="Set RESETD_KUBECONFIG, or run the daemon in a pod with a service account.",
    )
