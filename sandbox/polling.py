"""Waiting for what nothing announces: the state of other processes and of the file system.

Both forms ask `look` at once, then every `every` seconds, and a last time when `within` seconds are over. They return
the first true answer, or the last false one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

POLL_SECONDS = 0.05
"""Seconds between two looks, where the caller has no pace of its own."""

T = TypeVar("T")


async def until(look: Callable[[], T], *, within: float, every: float = POLL_SECONDS) -> T:
    """Wait in the event loop until `look` answers something true."""
    clock = asyncio.get_running_loop().time
    end = clock() + within
    while not (seen := look()) and clock() < end:  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(every)
    return seen


def wait_until(look: Callable[[], T], *, within: float, every: float = POLL_SECONDS) -> T:
    """Block the thread until `look` answers something true."""
    end = time.monotonic() + within
    while not (seen := look()) and time.monotonic() < end:
        time.sleep(every)
    return seen
