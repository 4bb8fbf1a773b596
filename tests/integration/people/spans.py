"""When the commands of a reset ran, as the independent witness saw it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.journal import Journal
from sandbox.journal.records import Marker


@dataclass(frozen=True)
class Span:
    """From the first start to the last end, in the witness's monotonic seconds."""

    begun: float
    ended: float

    def overlaps(self, other: Span) -> bool:
        """Whether there was a moment in both."""
        return self.begun < other.ended and other.begun < self.ended


def spans(journal: Journal, reset_id: str, steps: Iterable[str] | None = None) -> list[Span]:
    """One for each command of a reset, in the order of their starts; `steps` leaves only those of these steps.

    A command lasts until the last of its processes is gone; one that is still running has no end.
    """
    chosen = None if steps is None else set(steps)
    found = []
    for attempt in journal.by_attempt():
        marker = Marker.parse(attempt)
        if marker.reset == reset_id and (chosen is None or marker.step in chosen):
            found.append(Span(*journal.span(attempt)))
    return sorted(found, key=lambda one: one.begun)


def whole(of: Iterable[Span]) -> Span:
    """From the first start of all to the last end.

    Raises:
        ValueError: nothing was launched, or something is still running.
    """
    each = list(of)
    if not each or any(math.isinf(one.ended) for one in each):
        raise ValueError(f"no whole span: {each}")
    return Span(min(one.begun for one in each), max(one.ended for one in each))
