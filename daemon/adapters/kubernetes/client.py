"""The connection to one cluster, shared by all that talk to it, with the limits that they share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

from daemon.adapters.kubernetes.connection.clients import RestClient, WebSocketClient
from daemon.adapters.kubernetes.connection.configuration import KubernetesSettings, load, unusable
from daemon.adapters.kubernetes.connection.credentials import Credentials

__all__ = ["ExecLimiter", "Kubernetes", "KubernetesSettings", "open_kubernetes"]

REQUEST_TIMEOUT_SECONDS = 15.0
"""For one request to the API server. The client has no time limit of its own."""
PAGE_SIZE = 500
"""Objects in one answer to a list."""
MERGE_PATCH: Mapping[str, Any] = {"_content_type": "application/merge-patch+json"}
"""What a call of the client takes to send a merge patch (RFC 7386): it sends a dict alone as a JSON patch."""

MAX_EXECS_PER_POD = 8
"""More execs at once in one pod stall its container runtime: 20 take 0.7 s, 50 take most of a minute."""
MAX_EXECS = 32
MAX_STREAMS_PER_POD = 8
MAX_STREAMS = 32
"""Each TLS stream takes 0.3 MB and more. Commands beyond these are polled by short execs."""


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

    rest: RestClient
    websocket: WebSocketClient
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
    credentials = Credentials(settings, await load(settings))
    async with AsyncExitStack() as stack:
        try:
            rest = await stack.enter_async_context(RestClient(credentials))
            websocket = await stack.enter_async_context(WebSocketClient(credentials))
        except (OSError, ValueError) as error:
            raise unusable(f"its certificates can't be read: {type(error).__name__}") from error
        yield Kubernetes(rest, websocket)
