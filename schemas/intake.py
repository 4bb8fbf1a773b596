"""What the intake stores: requests, acts and dead letters, in batches; and what became of a request."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.reasons import Reason
from schemas.records import LastRecord, Message
from schemas.requests import RequestReference, ResetRequested
from schemas.resets import Act, Channel, Reset
from schemas.wire import ResetId, Time


@dataclass(frozen=True)
class NewRequest:
    """A request that could be read from an event or an API call."""

    id: ResetId
    """The id that the reset gets, if the request leads to a new one."""
    request: ResetRequested
    channel: Channel
    source: str | None
    event_id: str | None
    content_hash: str
    """Hash of what the request asks for. Equal content under one idempotency key is the same reset."""
    trace_parent: str | None = None
    refused: Reason | None = None
    """Why the intake refuses the request (`too-old`, `schema-violation`); it is then stored in state `rejected`."""
    refused_detail: str | None = None
    at: Time | None = None
    """When its event was made, as the event says; None for a request that is no event."""


@dataclass(frozen=True)
class NewAct:
    """An act for a reset that is named by its id, by the event of its request, or by its idempotency key.

    An act that arrives before the request waits for it.
    """

    act: Act
    """The act; its `reset_id` is empty where the reset is not named by id."""
    environment: str
    """The environment that the act is for. A reset of another environment is not meant."""
    request: RequestReference | None = None
    """The event of the request that led to the reset."""
    idempotency_key: str | None = None
    """The idempotency key of that request."""
    source: str | None = None
    """Source of the act's own event."""
    event_id: str | None = None
    """Id of the act's own event."""


@dataclass(frozen=True)
class Deprovision:
    """The end of an environment: each reset that waits for it gets an act `cancel`."""

    environment: str
    actor: str
    source: str | None
    event_id: str | None
    at: Time


@dataclass(frozen=True)
class DeadLetter:
    """A record that cannot be read, with the message that carries it on to the dead letter topic."""

    message: Message
    reason: Reason
    detail: str
    topic: str
    partition: int
    offset: int


Entry = NewRequest | NewAct | Deprovision | DeadLetter


@dataclass(frozen=True)
class Batch:
    """The entries that consecutive records of one partition led to. Ignored records lead to none."""

    topic: str
    partition: int
    first: int
    """Offset of the first record. It has to be the stored position, unless `expected` is given."""
    next: int
    """The offset to store: that of the record to read next."""
    entries: tuple[Entry, ...]
    expected: int | None = None
    """What the stored position has to be where it is not `first`: offsets were skipped (compaction, transaction
    markers), or the topic was made anew."""
    last: LastRecord | None = None
    """The last of the records, ignored ones included."""


@dataclass(frozen=True)
class Admission:
    """What became of a request."""

    reset: Reset
    """The reset that was made for the request, or the existing one that answers or absorbs it."""
    created: bool
    joined: bool = False
    conflict: bool = False
    """Whether the idempotency key was used before with other content; `reset` is the rejected one then."""
