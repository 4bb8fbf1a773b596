"""The state database. One writer for each reset: the holder of its lease, by compare-and-set.

Obligations of every store: a method is one transaction; what it returned is durable; time for leases is the
database's own; ids of acts, outbox rows and tickets grow in the order in which they became visible.

Over 300 lines: one contract and the shapes that its methods take; split, they could not be read together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from daemon.ports.bus import Message
from daemon.ports.databases import Backup
from schemas.audit import AuditEntry
from schemas.marks import Position
from schemas.plan import Plan
from schemas.reasons import Reason
from schemas.requests import RequestReference, ResetRequested
from schemas.resets import Act, Attempt, Channel, HistoryEntry, Reset, ResetState, Step
from schemas.wire import ResetId, ResourceKey, Time

LONGEST_SLEEP = timedelta(minutes=10)
"""For which a reset that waits is left alone. `wake_at` is by its holder's clock, which may be wrong by hours."""


@dataclass(frozen=True)
class NewRequest:
    """A readable request out of an event or a call."""

    id: ResetId
    """For the reset, should it be accepted or rejected."""
    request: ResetRequested
    channel: Channel
    source: str | None
    event_id: str | None
    content_hash: str
    """Over the request without who asked; equal content under one idempotency key is the same reset."""
    trace_parent: str | None = None
    refused: Reason | None = None
    """Set where the intake refuses it (`too-old`, `unknown-service`, ...): stored in state `rejected`."""
    refused_detail: str | None = None


@dataclass(frozen=True)
class NewAct:
    """An act for a reset that is named by id, by its request's event, or by its idempotency key.

    One that arrives before its request waits for it. `source` and `event_id` are those of the act's own event.
    """

    act: Act
    """`act.reset_id` is empty where the reset is named otherwise."""
    environment: str
    request: RequestReference | None = None
    idempotency_key: str | None = None
    source: str | None = None
    event_id: str | None = None


@dataclass(frozen=True)
class Deprovision:
    """All that waits for this environment is to be cancelled (an act `cancel` for each)."""

    environment: str
    actor: str
    source: str | None
    event_id: str | None
    at: Time


@dataclass(frozen=True)
class DeadLetter:
    """A record that can't be read, with the message that carries it on."""

    message: Message
    reason: Reason
    detail: str
    topic: str
    partition: int
    offset: int


Entry = NewRequest | NewAct | Deprovision | DeadLetter


@dataclass(frozen=True)
class Batch:
    """What was made of consecutive records of one partition; ignored records leave no entry."""

    topic: str
    partition: int
    first: int
    """Offset of the first record; compared with the stored position where `expected` is not given."""
    next: int
    """Offset to store."""
    entries: tuple[Entry, ...]
    expected: int | None = None
    """The stored position to compare with, where that is not `first`: offsets were skipped (compaction, transaction
    markers), or the topic was made anew."""


@dataclass(frozen=True)
class StatusTopics:
    """Where the status events go that a store makes of history entries."""

    status: str = "fuse.environment-resets.status.v1"
    public_url: str = ""
    """In front of the links in events; relative links where empty."""


@dataclass(frozen=True)
class Admission:
    """What became of a request."""

    reset: Reset
    """The one that was made, or the one that it is equal to or was joined to."""
    created: bool
    joined: bool = False
    conflict: bool = False
    """The idempotency key was used with other content; `reset` is the rejection."""


@dataclass(frozen=True)
class Lease:
    """A claim of a reset; `fence` is checked in every write."""

    reset_id: ResetId
    owner: str
    fence: int


@dataclass(frozen=True)
class Claimed:
    """A reset with all that the driver needs to go on, read in the claim's transaction."""

    reset: Reset
    lease: Lease
    plan: Plan | None
    steps: tuple[Step, ...]
    open_attempts: tuple[Attempt, ...]
    """Those without an outcome."""
    acts: tuple[Act, ...]
    """Unread ones: id above `reset.acts_seen`."""


@dataclass(frozen=True)
class Change:
    """One commit of the lease holder: all of it or nothing.

    `reset` is the row as it is to become, its `version` the one that was read; the store compares
    version and fence, stores version + 1 and answers the stored row.
    """

    reset: Reset
    lease: Lease
    plan: Plan | None = None
    """A new plan: replaces steps, too."""
    steps: tuple[Step, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    """Each is stored and put into the outbox as a status event, in order; sequences are the reset's own."""
    backups: tuple[Backup, ...] = ()
    audit: tuple[AuditEntry, ...] = ()
    """Appended to the reset's chain, in order."""
    release_locks: bool = False
    release_lease: bool = False
    """Let the lease go; the reset is claimed again at `reset.wake_at` or when an act comes."""


@dataclass(frozen=True)
class LockAnswer:
    """Whether all locks are held now; if not, who holds or stands before us on which resources."""

    granted: bool
    ticket: int
    resources: tuple[ResourceKey, ...] = ()
    held_by: tuple[ResetId, ...] = ()


@dataclass(frozen=True)
class LockRow:
    """A lock that is held or asked for."""

    key: ResourceKey
    reset_id: ResetId
    environment: str
    ticket: int
    granted: bool
    since: Time
    """When it was granted, or asked for where it is not."""


@dataclass(frozen=True)
class OutboxRow:
    """A message that waits to be published."""

    id: int
    message: Message


@dataclass(frozen=True)
class Lost:
    """What is known of a state that was lost, to the one that takes its place."""

    statuses: int
    """It told at most so many, of no more resets; who listens drops those with lower sequences of their environment."""
    environments: frozenset[str]
    """Some that it knew, besides those that are known here."""
    resets: frozenset[ResetId]
    """They launched what is not recorded here, on resources that nobody here can name: perhaps on all."""


class Store(Protocol):
    """Raises TemporaryError (`unavailable`) when the database does not answer."""

    # -- intake ---------------------------------------------------------------------------------------------------
    async def positions(self, partitions: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], int]:
        """Stored next offsets; absent where none."""
        ...

    async def take_in(self, batch: Batch, *, now: Time, limit_waiting: int) -> tuple[Admission, ...]:
        """Store a batch with its offset, in one transaction: deduplicated by (source, id) and by idempotency key,
        joined where an identical request waits, `environment-busy` past `limit_waiting` waiting ones.
        Each new or rejected reset gets its number and its first status event.

        Raises:
            LeaseLostError: the stored offset is not `batch.first`: another consumer has the partition.
            PortError: nothing can be stored just now. Whatever else it raises is the fault of an entry.
        """
        ...

    async def admit(self, new: NewRequest, *, now: Time, limit_waiting: int) -> Admission:
        """The same for a request that did not come by Kafka."""
        ...

    async def append_act(self, act: Act) -> Act:
        """Append; answers it with its id.

        Raises:
            PermanentError: `unknown-reset`.
        """
        ...

    async def append_audit(self, entry: AuditEntry) -> None:
        """Append a line to its chain: for what no other transaction tells, such as an act that is refused at once."""
        ...

    # -- engine ---------------------------------------------------------------------------------------------------
    async def claim(
        self, owner: str, *, ttl: float, limit: int, excluding: frozenset[ResetId]
    ) -> tuple[Claimed, ...]:
        """Claim up to `limit` resets that are due: not at rest, lease free or expired, `wake_at` reached or further
        away than LONGEST_SLEEP; or with unread acts, whatever their state. Oldest first. The fence grows with each
        claim.
        """
        ...

    async def renew(self, leases: Sequence[Lease], *, ttl: float) -> frozenset[ResetId]:
        """Renew; answers those that are still ours."""
        ...

    async def release_all(self) -> int:
        """Release every lease at once, that of the outbox too.

        For the embedded database only, whose file lock proves the former holder dead.
        """
        ...

    async def seize(self, owner: str, reset_ids: Sequence[ResetId], *, ttl: float) -> tuple[Claimed, ...]:
        """Claim exactly these, whatever their state and whoever holds them: only where nobody may drive anything,
        for adopting a restored state.
        """
        ...

    async def save(self, change: Change) -> Reset:
        """Compare and set.

        Raises:
            LeaseLostError: version or fence is another one; nothing was written.
        """
        ...

    async def keep_log_offset(self, lease: Lease, attempt: Attempt) -> None:
        """Store how much of the attempt's log was kept, without a new version (no progress either)."""
        ...

    async def unread_acts(self, reset_id: ResetId, after: int) -> tuple[Act, ...]:
        """Acts with a larger id, in order."""
        ...

    async def lock(self, lease: Lease, keys: Sequence[ResourceKey]) -> LockAnswer:
        """All keys or none, first come first served by ticket; the first call draws the ticket.

        Raises:
            LeaseLostError: as `save`.
        """
        ...

    async def remember_protected(self, keys: Mapping[ResourceKey, str], *, now: Time) -> None:
        """Remember that a protected environment (the value) was seen to use each resource."""
        ...

    async def protected(self) -> Mapping[ResourceKey, str]:
        """All remembered ones, with the environment that was seen first."""
        ...

    # -- the state as a whole -------------------------------------------------------------------------------------
    async def state_id(self) -> str:
        """This state database's own id; drawn when it is first asked for."""
        ...

    async def position(self) -> Position:
        """The newest row of the outbox. Whatever was committed before this was asked is at it or before it."""
        ...

    async def contains(self, position: Position) -> bool:
        """Whether the outbox has that very row; always for number 0."""
        ...

    async def adopt(
        self, entry: AuditEntry, events: Sequence[tuple[str, str]], lost: Lost, *, now: Time
    ) -> None:
        """Write down that the state was adopted, and that these events (source, id) were handled, though not here.

        The sequences of its environments, and the numbers of their resets, go on above what was told, and resets that
        had begun are superseded by each of `lost.resets` but themselves.
        """
        ...

    # -- outbox ---------------------------------------------------------------------------------------------------
    async def may_publish(self, owner: str, *, ttl: float) -> bool:
        """Take or renew the right to publish for `ttl` seconds; whether `owner` has it now. One has it at a time."""
        ...

    async def unpublished(self, limit: int) -> tuple[OutboxRow, ...]:
        """The oldest rows that are neither published nor refused, in order."""
        ...

    async def published(self, ids: Sequence[int], refused: Mapping[int, str], *, now: Time) -> None:
        """Mark; a refused row stays, with why, and is never tried again by itself."""
        ...

    # -- reading --------------------------------------------------------------------------------------------------
    async def find(self, reference: str) -> Reset | None:
        """By id, `ENV/NUMBER` or `ENV/@latest`."""
        ...

    async def resets(
        self,
        *,
        environment: str | None = None,
        states: Sequence[ResetState] | None = None,
        limit: int = 50,
        before: tuple[str, str] | None = None,
    ) -> tuple[Reset, ...]:
        """Newest first by id; `before` is the (created_at, id) of the last one of the former page."""
        ...

    async def plan(self, reset_id: ResetId) -> Plan | None:
        """Its present plan."""
        ...

    async def steps(self, reset_id: ResetId) -> tuple[Step, ...]:
        """In order."""
        ...

    async def attempts(self, reset_id: ResetId) -> tuple[Attempt, ...]:
        """In the order of their start."""
        ...

    async def history(self, reset_id: ResetId, *, after: int = 0) -> tuple[HistoryEntry, ...]:
        """By sequence."""
        ...

    async def audit(
        self,
        *,
        environment: str | None = None,
        actor: str | None = None,
        since: Time | None = None,
        limit: int = 100,
    ) -> tuple[AuditEntry, ...]:
        """The audit, newest first."""
        ...

    async def locks(self) -> tuple[LockRow, ...]:
        """Held and asked for, by key and ticket."""
        ...

    async def backups(self, *, reset_id: ResetId | None = None) -> tuple[Mapping[str, Any], ...]:
        """Recorded backups, newest first, with the reset that took each."""
        ...

    async def dead_letters(self, *, limit: int = 50) -> tuple[Mapping[str, Any], ...]:
        """Newest first, with reason, detail, topic, partition, offset and whether they were published."""
        ...

    async def superseded_by(self, reset_id: ResetId) -> ResetId | None:
        """A later reset that held a lock on one of this one's resources after it let them go."""
        ...

    async def ping(self) -> None:
        """Answers when the database does."""
        ...

    async def close(self) -> None:
        """Let connections go."""
        ...
