"""What a person's hold keeps away, and what keeps a hold away. Pure.

1. A hold takes an environment's locks for a person. It keeps away every reset of that environment, every reset that
   concerns it, and every reset that asks for one of its resources, of whatever environment.
2. It never takes a lock from a reset that has it. Such a reset is at work, and the hold is granted after it.
3. A hold that waits for that keeps newcomers away already, so that the person's turn comes.
4. Two people never hold what the other one holds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from schemas.holds import Follower, Hold
from schemas.resets import Reset
from schemas.wire import ResetId, ResourceKey

TOLD_BEFORE = timedelta(minutes=15)
"""How long before its end a hold's end is told."""


@dataclass(frozen=True)
class Held:
    """A lock of a reset: granted, or asked for."""

    key: ResourceKey
    reset_id: ResetId
    environment: str
    ticket: int


def keeps_away(hold: Hold, environments: Collection[str], keys: Collection[ResourceKey]) -> bool:
    """Tell whether the hold keeps away a reset that concerns these environments and asks for these resources."""
    return hold.environment in environments or not set(hold.keys).isdisjoint(keys)


def holding(
    holds: Iterable[Hold], environments: Collection[str], keys: Collection[ResourceKey]
) -> Hold | None:
    """Return the hold that keeps such a reset away for longest; None where none does."""
    found = (each for each in holds if keeps_away(each, environments, keys))
    return max(found, key=lambda each: (each.expires_at, each.id), default=None)


def at_work(hold: Hold, granted: Iterable[Held]) -> tuple[ResetId, ...]:
    """List the resets that have a lock which the hold takes: it is granted once there are none."""
    mine = (lock for lock in granted if keeps_away(hold, (lock.environment,), (lock.key,)))
    return tuple(sorted({lock.reset_id for lock in mine}))


def contradicts(hold: Hold, others: Iterable[Hold]) -> Hold | None:
    """Return another person's hold of something that this one would take; None where there is none."""
    theirs = (each for each in others if each.holder != hold.holder)
    return holding(theirs, (hold.environment,), hold.keys)


def followers(hold: Hold, queued: Iterable[Reset], asked: Iterable[Held]) -> tuple[Follower, ...]:
    """List the queued resets that the hold keeps away, in the order in which they asked for their locks."""
    keys: dict[ResetId, set[ResourceKey]] = {}
    for lock in asked:
        keys.setdefault(lock.reset_id, set()).add(lock.key)
    kept = [each for each in queued if keeps_away(hold, (each.environment,), keys.get(each.id, ()))]
    kept.sort(key=lambda each: (each.ticket is None, each.ticket or 0, each.id))
    return tuple(
        Follower(reset_id=each.id, environment=each.environment, number=each.number) for each in kept
    )


def sentence(hold: Hold) -> str:
    """Say for people who holds what, until when and why."""
    return f"{hold.holder} holds {hold.environment} until {hold.expires_at.isoformat()}: {hold.reason}"
