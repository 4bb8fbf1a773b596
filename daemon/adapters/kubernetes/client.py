"""The connection to one cluster, shared by all that talks to it."""

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

# More execs at once in one pod stall its container runtime: 20 take 0.7 s, 50 take most of a minute.
EXECS_PER_POD = 8
EXECS = 32
# Each TLS stream takes 0.3 MB and more; a command beyond these is looked at by short execs.
STREAMS_PER_POD = 8
STREAMS = 32
# Load balancers cut what is silent for a minute.
_HEARTBEAT_SECONDS = 20.0


@dataclass(frozen=True)
class KubernetesSettings:
    """Which cluster: an explicit kubeconfig; else the pod's own account; else the usual kubeconfig rules."""

    kubeconfig: str | None = None
    context: str | None = None


class Turns:
    """So many at once in all, and so many in one pod."""

    def __init__(self, at_once: int, in_one_pod: int) -> None:
        self._all = asyncio.Semaphore(at_once)
        self._in_one_pod = in_one_pod
        # Pods come and go by the thousand: those that nobody waits for are forgotten.
        self._pods: WeakValueDictionary[tuple[str, str], asyncio.Semaphore] = WeakValueDictionary()

    def free(self, environment: str, pod: str) -> bool:
        """Whether a turn can be had without waiting."""
        return not (self._all.locked() or self._of(environment, pod).locked())

    @asynccontextmanager
    async def turn(self, environment: str, pod: str) -> AsyncIterator[None]:
        """Wait for a turn in this pod; it lasts as long as the block."""
        async with self._of(environment, pod), self._all:
            yield

    def _of(self, environment: str, pod: str) -> asyncio.Semaphore:
        return self._pods.setdefault((environment, pod), asyncio.Semaphore(self._in_one_pod))


@dataclass(frozen=True)
class Kubernetes:
    """Clients and limits for one cluster."""

    rest: client.ApiClient
    websocket: WsApiClient
    execs: Turns = field(default_factory=lambda: Turns(EXECS, EXECS_PER_POD))
    streams: Turns = field(default_factory=lambda: Turns(STREAMS, STREAMS_PER_POD))
    """For execs that stay: they must not keep the short ones waiting."""


@asynccontextmanager
async def open_kubernetes(settings: KubernetesSettings) -> AsyncIterator[Kubernetes]:
    """Connect; the clients are closed with the block.

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
    # The client's pool counts streams as well, so that a hundred of them would stop every other call.
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
        # Their messages may quote the file, and it holds tokens.
        raise _unusable(f"{settings.kubeconfig or 'kubeconfig'} can't be read as one") from error
    return configuration


def _unusable(because: str) -> PermanentError:
    return PermanentError(
        Reason.KUBERNETES_UNREACHABLE,
        f"no usable Kubernetes configuration: {because}",
        hint="Set RESETD_KUBECONFIG, or run the daemon in a pod with a service account.",
    )
