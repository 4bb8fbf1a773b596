"""Time that only passes when nothing else is left to do: sixty seconds of patience cost nothing."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import TypeVar

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_LONGEST = 86_400.0
"""Seconds; a test that waits longer waits for ever."""
Answer = TypeVar("Answer")


class _Jumping(selectors.DefaultSelector):
    """Does not wait for time to pass, but lets it."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None or self.passed > _LONGEST:
                raise AssertionError("nothing will ever happen any more")
            self.passed += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.passed


class LoopClock:
    """The running loop's time as a clock."""

    def now(self) -> datetime:
        """See the port."""
        return BEGAN + timedelta(seconds=asyncio.get_running_loop().time())

    async def sleep(self, seconds: float) -> None:
        """See the port."""
        await asyncio.sleep(seconds)


def run(main: Coroutine[None, None, Answer]) -> Answer:
    """What `main` answers, in a loop of its own."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(main)
