"""Time, as a port: the engine asks it, and gives the core the time as an argument."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time for records, and sleep for loops."""

    def now(self) -> datetime:
        """Return the time: aware, in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds. The wait can be cancelled."""
        ...
