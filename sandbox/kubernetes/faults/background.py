"""What goes on after the request that began it was answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

_LOOK_EVERY = 0.05


class Background:
    """Tasks of one owner; an error in one is told to the event loop's handler."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Keep it running."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def close(self) -> None:
        """Cancel what is left."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            handler = {"message": "work in the background failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(handler)


async def until(done: Callable[[], bool], *, within: float) -> bool:
    """Whether it came true within so many seconds; looked at often, since nothing tells it."""
    clock = asyncio.get_running_loop().time
    end = clock() + within
    while not (true := done()) and clock() < end:  # noqa: ASYNC110 - the file system's and other processes' state
        await asyncio.sleep(_LOOK_EVERY)
    return true
