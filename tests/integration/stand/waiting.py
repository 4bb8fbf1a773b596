"""Waiting for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LOOK_EVERY = 0.02


def wait_for(look: Callable[[], T | None], what: str, *, within: float, every: float = LOOK_EVERY) -> T:
    """What `look` answers once that is true; looks that cost something can be made fewer (`every`, seconds).

    Raises:
        AssertionError: it was not within so many seconds.
    """
    until = time.monotonic() + within
    while time.monotonic() < until:
        found = look()
        if found:
            return found
        time.sleep(every)
    raise AssertionError(f"not within {within:g} s: {what}")
