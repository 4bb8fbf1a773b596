"""The order of a reset's states by the docs alone (shared interfaces, section 3): which state may be told after which.

It is written from the description of the product, and not from its tables: a judge that asks the accused is none.
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
"""The working states, which follow one another; a reset leaves none out."""
FIRST = frozenset({"planning", "rejected"})
"""The states that a reset may begin with: it is accepted, or refused at once."""
AT_REST = frozenset(
    {"done", "planned", "rejected", "denied", "rolled-back", "failed", "needs-operator", "cancelled"}
)
"""The states in which nothing goes on by itself."""
OVER = frozenset({"done", "planned", "rejected", "denied", "rolled-back"})
"""The states in which nothing ever goes on."""
WITHOUT_LOCKS = OVER | {"failed", "cancelled", "planning", "awaiting-approval"}
"""The states in which a reset has let its resources go; in `needs-operator` it keeps them."""
STOPPED = frozenset({"failed", "needs-operator", "cancelled"})
"""The states in which a reset stopped. With a stop consents that were used end, and dumps are too old."""
_ANYTIME = frozenset({"failed", "needs-operator", "cancelling"})
_AT_WORK = _ANYTIME | {"awaiting-approval", "queued", "paused"}
"""From work a reset goes back before it destroyed anything: to ask where its consent got too old, to the queue where
somebody froze its environment. Later such a freeze may pause it."""

_NEXT: Mapping[str, frozenset[str]] = {
    "planning": frozenset({"planned", "rejected", "awaiting-approval", "queued"}) | _ANYTIME,
    "awaiting-approval": frozenset({"queued", "denied", "cancelled"}) | _ANYTIME,
    "queued": frozenset({"queued", "awaiting-approval", WORKING[0]}) | _ANYTIME,
    "paused": frozenset({"queued"}) | _ANYTIME,
    "cancelling": frozenset({"cancelled", "needs-operator"}),
    "rolling-back": frozenset({"rolled-back", "failed", "needs-operator"}),
    # A person goes on with a stopped reset by the old plan (queued) or a new one (planning), or gives it up.
    "failed": frozenset({"queued", "planning", "cancelling", "rolling-back"}),
    "needs-operator": frozenset({"queued", "planning", "failed", "cancelling", "rolling-back"}),
    "cancelled": frozenset({"queued", "planning", "rolling-back"}),
    **{now: frozenset({then}) | _AT_WORK for now, then in zip(WORKING, (*WORKING[1:], "done"), strict=True)},
    **dict.fromkeys(OVER, frozenset[str]()),
}


def may_follow(now: str, then: str) -> bool:
    """Whether a reset in the state `now` may next be told to be in the state `then`."""
    return then in _NEXT.get(now, frozenset())


def impossible(states: Sequence[str]) -> tuple[str, str] | None:
    """The first two states in a row that can't follow one another; ("", X) when a reset can't begin with X."""
    if states and states[0] not in FIRST:
        return "", states[0]
    for now, then in itertools.pairwise(states):
        if not may_follow(now, then):
            return now, then
    return None


def is_known(state: str) -> bool:
    """Whether there is a state of this name."""
    return state in _NEXT
