"""The loop of each sweeper: sweep, pause, and pause longer while that fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NoReturn

from daemon.ports.backoff import Backoff
from daemon.ports.clock import Clock
from daemon.ports.errors import PortError

LONGEST_PAUSE = 60.0
"""Seconds between two sweeps while they fail."""


async def repeat(
    sweep: Callable[[], Awaitable[float | None]],
    clock: Clock,
    *,
    every: float,
    failed: Callable[[PortError, float], None],
) -> NoReturn:
    """Sweep until cancelled.

    Args:
        sweep: May answer how many seconds to pause, instead of `every`; a PortError is no end.
        clock: Tells how long a pause is.
        every: Seconds between two sweeps; twice that after the first failure, a minute at most.
        failed: Tells the error, and the seconds of the pause that follows.
    """
    backoff = Backoff(clock, shortest=min(2 * every, LONGEST_PAUSE), longest=LONGEST_PAUSE)
    while True:
        try:
            pause = await sweep()
        except PortError as error:
            failed(error, backoff.pause)
            await backoff.wait()
        else:
            backoff.reset()
            await clock.sleep(every if pause is None else pause)
