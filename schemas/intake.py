"""What the intake stores: a request, an act, a dead letter; a batch of them; and what became of a request."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.reasons import Reason
from schemas.records import Message
from schemas.requests import RequestReference, ResetRequested
from schemas.resets import Act, Channel, Reset
from schemas.wire import ResetId, Time


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
class Admission:
    """What became of a request."""

    reset: Reset
    """The one that was made, or the one that it is equal to or was joined to."""
    created: bool
    joined: bool = False
    conflict: bool = False
    """The idempotency key was used with other content; `reset` is the rejection."""
