"""Who may have which resources: first come first served by ticket, all of them at once or none.

An earlier ticket that still waits keeps its place on every resource it asked for, also on those that are
free: later ones pass it only where they want nothing of the same. So a wide request is never starved by
narrow ones, and since nobody holds some while waiting for others, nobody waits in a circle.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.wire import ResetId, ResourceKey


@dataclass(frozen=True)
class Ask:
    """All locks of one reset: held, or asked for together under one ticket."""

    reset_id: ResetId
    ticket: int
    """From the database; it never gives one twice."""
    keys: frozenset[ResourceKey]
    granted: bool = False


@dataclass(frozen=True)
class Blocked:
    """Why somebody waits: for which resources, and behind whom."""

    resources: tuple[ResourceKey, ...]
    held_by: tuple[ResetId, ...]


def blocked(mine: Ask, others: Iterable[Ask]) -> Blocked | None:
    """What stands in the way of granting `mine` now; None: nothing.

    In the way are those that hold one of its resources, and those with an earlier ticket that wait for one.
    """
    before = sorted(
        (
            other
            for other in others
            if other.reset_id != mine.reset_id
            and other.keys & mine.keys
            and (other.granted or other.ticket < mine.ticket)
        ),
        key=lambda other: other.ticket,
    )
    if mine.granted or not before:
        return None
    resources = sorted({key for other in before for key in other.keys & mine.keys})
    return Blocked(tuple(resources), tuple(other.reset_id for other in before))
