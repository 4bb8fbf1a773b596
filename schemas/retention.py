"""How long the daemon keeps what is over, what a pruning removed, and what is left of requests that were refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from schemas.reasons import Reason
from schemas.resets import Channel
from schemas.wire import ResetId, Time, Wire

GROWING = (
    "acts",
    "attempts",
    "audit",
    "backups",
    "dead_letters",
    "environments",
    "history",
    "idempotency_keys",
    "joined_requesters",
    "learned",
    "lock_history",
    "outbox",
    "pending_acts",
    "plans",
    "refusals",
    "resets",
    "seen_events",
    "steps",
)
"""The tables of the state database that grow with time or with what others send."""


@dataclass(frozen=True)
class Retention:
    """How long each kind of row is kept. None keeps it for good; then its `most_` does not count either."""

    resets: timedelta | None = timedelta(days=400)
    """Resets that are over and that worked, with all that belongs to them but their audit; and what was learned of
    images that others followed."""
    records: timedelta | None = timedelta(days=30)
    """Events that were handled, idempotency keys, published messages, dead letters, acts that wait for a request."""
    answers: timedelta | None = timedelta(days=30)
    """Resets that were rejected or only planned, and the names of environments for which requests were refused."""
    audit: timedelta | None = None
    """Chains of the audit whose reset is not there any more."""
    unknown: timedelta = timedelta(minutes=10)
    """Requests that were refused because there is no such environment; then one row for each name is left."""
    most_unknown: int = 100
    """How many of those stay that long. The oldest go first."""
    most_answers: int = 1000
    """How many rejected or planned resets stay. The oldest go first."""
    most_names: int = 1000
    """How many names of refused environments stay. Those that were not asked for longest go first."""
    most_letters: int = 1000
    """How many dead letters stay that nobody waits to publish. The oldest go first."""
    most_pending: int = 1000
    """How many acts may wait for their request. The oldest go first."""


@dataclass(frozen=True)
class Pruned:
    """What one pruning removed."""

    rows: Mapping[str, int] = field(default_factory=dict)
    """Table -> how many of its rows; tables without any are left out."""
    resets: tuple[ResetId, ...] = ()
    """The resets among them."""


class Refusal(Wire):
    """What is left of the requests that were refused for one environment."""

    environment: str
    count: int
    """How many requests whose own rows are gone."""
    first_at: Time
    last_at: Time
    reason: Reason
    """Why the last one was refused."""
    reset_id: ResetId
    """The id under which the last refusal was told."""
    channel: Channel
    requested_by: str
    """Who asked last. By Kafka it is a claim."""
    event_source: str | None = None
    """With `event_id`: the event of the last one."""
    event_id: str | None = None
    unknown_until: Time | None = None
    """When the last request came for which the cluster was asked and had no such environment. An event from before
    that is refused again, whatever there is since."""
