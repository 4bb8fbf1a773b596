"""The life of a reset by docs alone (shared interfaces, section 3): which state may be told after which.

Written from the description of the product and not from its tables; a judge that asks the accused is none.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

WORKING = (
    "quiescing",
    "backing-up",
    "migrating-core",
    "seeding",
    "resetting-git",
    "verifying",
    "releasing",
)
"""One after the other; none is left out."""
FIRST = frozenset({"planning", "rejected"})
"""What a reset may begin with: accepted, or refused at the door."""
AT_REST = frozenset(
    {"done", "planned", "rejected", "denied", "rolled-back", "failed", "needs-operator", "cancelled"}
)
"""Nothing goes on by itself."""
OVER = frozenset({"done", "planned", "rejected", "denied", "rolled-back"})
"""Nothing ever goes on."""
WITHOUT_LOCKS = OVER | {"failed", "cancelled"}
"""Resting states that have let the resources go; `needs-operator` has not."""
_STOPPED = frozenset({"failed", "needs-operator", "cancelled"})
_ANYTIME = frozenset({"failed", "needs-operator", "cancelling"})

_NEXT: Mapping[str, frozenset[str]] = {
    "planning": frozenset({"planned", "rejected", "awaiting-approval", "queued"}) | _ANYTIME,
    "awaiting-approval": frozenset({"queued", "denied", "cancelled"}) | _ANYTIME,
    "queued": frozenset({"queued", "awaiting-approval", WORKING[0]}) | _ANYTIME,
    "cancelling": frozenset({"cancelled", "needs-operator"}),
    "rolling-back": frozenset({"rolled-back", "failed", "needs-operator"}),
    # A person goes on with what stopped, with the old plan (queued) or a new one (planning), or gives it up.
    "failed": frozenset({"queued", "planning", "cancelling", "rolling-back"}),
    "needs-operator": frozenset({"queued", "planning", "failed", "cancelling", "rolling-back"}),
    "cancelled": frozenset({"queued", "planning", "rolling-back"}),
    **{now: frozenset({then}) | _ANYTIME for now, then in zip(WORKING, (*WORKING[1:], "done"), strict=True)},
    **dict.fromkeys(OVER, frozenset[str]()),
}


def may_follow(now: str, then: str) -> bool:
    """Whether a reset that is in one state may next be told to be in another."""
    return then in _NEXT.get(now, frozenset())


def impossible(states: Sequence[str]) -> tuple[str, str] | None:
    """The first two states that can't follow one another; ("", X) where it may not begin with X."""
    if states and states[0] not in FIRST:
        return "", states[0]
    for now, then in itertools.pairwise(states):
        if not may_follow(now, then):
            return now, then
    return None


def is_known(state: str) -> bool:
    """Whether there is such a state at all."""
    return state in _NEXT
