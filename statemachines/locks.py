"""The order of locks: a reset gets all its resources at once or none, first come first served by ticket.

A reset that waits keeps its place on every resource that it asked for, also on those that are free: a later ticket
passes it only where the two share no resource. So many small requests cannot starve a large one. And since no reset
holds some resources while it waits for others, no circle of waiting resets can form.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.quiescing import WORKLOAD_KEY
from schemas.wire import ResetId, ResourceKey


def supersedes(key: ResourceKey) -> bool:
    """Whether a later holder of this resource supersedes an earlier one. Of a workload nothing is left behind."""
    return not key.startswith(WORKLOAD_KEY)


@dataclass(frozen=True)
class Ask:
    """All locks of one reset: held, or asked for together under one ticket."""

    reset_id: ResetId
    ticket: int
    """The place in the queue; the database gives each number once."""
    keys: frozenset[ResourceKey]
    granted: bool = False


@dataclass(frozen=True)
class Blocked:
    """What a reset waits for: the resources, and the resets before it, in the order of their tickets."""

    resources: tuple[ResourceKey, ...]
    held_by: tuple[ResetId, ...]


def blocked(mine: Ask, others: Iterable[Ask]) -> Blocked | None:
    """Return what stands in the way of granting `mine` now, or None where it may be granted or is granted already.

    In the way are resets that hold one of its resources, and resets with an earlier ticket that wait for one.
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
