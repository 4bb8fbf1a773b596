"""Pauses between tries, by the clock: each twice as long as the one before, up to the longest."""

from __future__ import annotations

from daemon.ports.clock import Clock


class Backoff:
    """One for each loop that tries again. The caller resets it after a try that went well."""

    def __init__(self, clock: Clock, *, shortest: float, longest: float) -> None:
        """`shortest` and `longest`: seconds."""
        self._clock = clock
        self._shortest = shortest
        self._longest = longest
        self.pause = shortest
        """Seconds that the next `wait` takes."""

    def reset(self) -> None:
        """The next pause is the shortest again."""
        self.pause = self._shortest

    async def wait(self, *, at_least: float = 0.0) -> None:
        """Pause, `at_least` so many seconds where the other side asked for that; the next pause is twice as long."""
        pause = max(self.pause, at_least)
        self.pause = min(pause * 2, self._longest)
        await self._clock.sleep(pause)
