"""Lists of all namespaces at once, or, without that right, of each one that the account may read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from kubernetes_asyncio.client import CoreV1Api

from daemon.adapters.kubernetes.client import REQUEST_TIMEOUT_SECONDS
from daemon.adapters.kubernetes.errors import translated
from daemon.ports.errors import PermanentError
from schemas.reasons import Reason

_NAMESPACES_AT_ONCE = 8
Item = TypeVar("Item")


class Everywhere:
    """Remembers which kinds the account may not list in all namespaces at once.

    Args:
        core: Lists the namespaces.
        spare: Seconds for which a namespace is not asked again that the account may not list.
    """

    def __init__(self, core: CoreV1Api, spare: float = 0.0) -> None:
        self._core = core
        self._spare = spare
        self._one_by_one: set[str] = set()
        self._closed: dict[tuple[str, str], float] = {}

    async def list(self, kind: str, of: Callable[[str | None], Awaitable[Iterable[Item]]]) -> list[Item]:
        """Return all items of a kind. A namespace where the account has no right has none of ours.

        Args:
            kind: By which it is remembered.
            of: Lists one namespace, or all for None; raises PermanentError `kubernetes-forbidden` without the right.

        Raises:
            PortError: of any other reason.
        """
        if kind not in self._one_by_one:
            try:
                return list(await of(None))
            except PermanentError as error:
                if error.reason is not Reason.KUBERNETES_FORBIDDEN:
                    raise
                self._one_by_one.add(kind)
        with translated("list namespaces", "list namespaces"):
            namespaces = await self._core.list_namespace(_request_timeout=REQUEST_TIMEOUT_SECONDS)
        slots = asyncio.Semaphore(_NAMESPACES_AT_ONCE)
        now = asyncio.get_running_loop().time()
        self._closed = {place: until for place, until in self._closed.items() if until > now}

        async def readable(namespace: str) -> Iterable[Item]:
            async with slots:
                try:
                    return await of(namespace)
                except PermanentError as error:
                    if error.reason is not Reason.KUBERNETES_FORBIDDEN:
                        raise
                    self._closed[kind, namespace] = now + self._spare
                    return ()

        names = (str(each.metadata.name) for each in namespaces.items)
        found = await asyncio.gather(*(readable(name) for name in names if (kind, name) not in self._closed))
        return [item for items in found for item in items]


async def where_allowed(listing: Awaitable[Iterable[Item]]) -> Iterable[Item]:
    """Await a list; nothing where the account has no right to it: nothing of ours is there."""
    try:
        return await listing
    except PermanentError as error:
        if error.reason is not Reason.KUBERNETES_FORBIDDEN:
            raise
        return ()
