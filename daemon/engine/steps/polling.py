"""Looks again and again at what has to come to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from daemon.ports.clock import Clock

POLL = 0.5
"""Seconds between two looks."""
Seen = TypeVar("Seen")


async def wait_while(look: Callable[[], Awaitable[Seen]], clock: Clock, seconds: float) -> Seen:
    """Look until nothing is seen, for so many seconds at most. Return what was seen last: nothing, or the rest."""
    until = clock.now() + timedelta(seconds=seconds)
    while (seen := await look()) and clock.now() < until:
        await clock.sleep(POLL)
    return seen
