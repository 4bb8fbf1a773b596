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
    """Remembers which kinds the account may not list in all namespaces at once."""

    def __init__(self, core: CoreV1Api) -> None:
        self._core = core
        self._one_by_one: set[str] = set()

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

        async def readable(namespace: str) -> Iterable[Item]:
            async with slots:
                return await where_allowed(of(namespace))

        found = await asyncio.gather(*(readable(str(each.metadata.name)) for each in namespaces.items))
        return [item for items in found for item in items]


async def where_allowed(listing: Awaitable[Iterable[Item]]) -> Iterable[Item]:
    """Await a list; nothing where the account has no right to it: nothing of ours is there."""
    try:
        return await listing
    except PermanentError as error:
        if error.reason is not Reason.KUBERNETES_FORBIDDEN:
            raise
        return ()
