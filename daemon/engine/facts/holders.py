"""Reads why services could not have the holders that their commands run in while they rest."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from daemon.ports.errors import PermanentError
from daemon.ports.pods.holders import Holders
from schemas.catalog.catalog import Service
from schemas.facts import HolderRefusal
from schemas.wire import ServiceName


class HolderReader:
    """Reads it through the port. Nothing is made."""

    def __init__(self, holders: Holders) -> None:
        self._holders = holders

    async def read(
        self, environment: str, services: Sequence[Service], slots: asyncio.Semaphore
    ) -> tuple[HolderRefusal, ...]:
        """Read it of these services of an environment, in their order.

        Raises:
            TemporaryError: the cluster can't be asked now.
        """

        async def refusals(service: Service) -> tuple[PermanentError, ...]:
            async with slots:
                return await self._holders.holder_refusals(
                    environment, service.selector_text, service.container, service.name
                )

        found = await asyncio.gather(*map(refusals, services))
        return tuple(
            HolderRefusal(service=ServiceName(service.name), reason=error.reason, detail=error.detail)
            for service, errors in zip(services, found, strict=True)
            for error in errors
        )
