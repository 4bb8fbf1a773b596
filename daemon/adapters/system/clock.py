"""The clock of the real world."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime


class SystemClock:
    """Implements `daemon.ports.clock.Clock`."""

    def now(self) -> datetime:
        """See the port. It is the system's time."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """See the port. It waits on the event loop."""
        await asyncio.sleep(seconds)
