"""The state that the store in memory keeps, and the work on it that concerns several of its parts at once."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from uuid import uuid4

from pydantic import BaseModel

from daemon.ports.backups import Backup
from daemon.ports.store.outbox import StatusTopics
from daemon.ports.store.queries import LockRow
from schemas.audit import AuditEntry
from schemas.freezes import KeptFreeze
from schemas.holds import KeptHold
from schemas.intake import DeadLetter, NewAct
from schemas.learned import Learned, LearnedKey
from schemas.plan import Plan
from schemas.protection import KeptWord, RememberedUse
from schemas.records import LogPosition, Message
from schemas.resets import Act, Attempt, HistoryEntry, Reset, Step
from schemas.retention import Refusal
from schemas.wire import ResetId, ResourceKey
from statemachines.history.audit import chained
from statemachines.history.status_record import Subject, committed, status_record
from statemachines.intake.admission import ENDING, KeyUse
from statemachines.intake.desk import Desk, PendingAct
from statemachines.intake.references import EventId, References, ScopedKey
from statemachines.intake.requesters import with_requester
from statemachines.lifecycle import AT_REST, WAITING

Model = TypeVar("Model", bound=BaseModel)


@dataclass
class Entry:
    """A reset with its lease."""

    reset: Reset
    owner: str | None = None
    until: datetime | None = None
    claimed_version: int | None = None

    @property
    def live(self) -> bool:
        """Tell whether a claim considers it: it is not at rest, or asked to be woken."""
        return self.reset.state not in AT_REST or self.reset.wake_at is not None


@dataclass
class OutboxMessage:
    """A message in the outbox, and what became of it."""

    id: int
    message: Message
    reset_id: ResetId | None = None
    published_at: datetime | None = None
    refused: str | None = None


@dataclass
class LockGrant:
    """A lock that was granted once."""

    key: ResourceKey
    reset_id: ResetId
    released: bool = False


@dataclass
class State:
    """The whole state. No method awaits anything, so that each is whole before the next one begins."""

    topics: StatusTopics
    id: str = field(default_factory=lambda: str(uuid4()))
    entries: dict[ResetId, Entry] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    sequences: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    learned: dict[LearnedKey, Learned] = field(default_factory=dict)
    positions: dict[tuple[str, int], LogPosition] = field(default_factory=dict)
    seen: dict[EventId, ResetId | None] = field(default_factory=dict)
    seen_at: dict[EventId, datetime] = field(default_factory=dict)
    keys: dict[ScopedKey, KeyUse] = field(default_factory=dict)
    pending: dict[int, NewAct] = field(default_factory=dict)
    pending_count: int = 0
    plans: dict[tuple[ResetId, str], Plan] = field(default_factory=dict)
    steps: dict[ResetId, dict[str, Step]] = field(default_factory=lambda: defaultdict(dict))
    attempts: dict[str, Attempt] = field(default_factory=dict)
    acts: list[Act] = field(default_factory=list)
    act_count: int = 0
    history: dict[ResetId, list[HistoryEntry]] = field(default_factory=lambda: defaultdict(list))
    publisher: tuple[str, datetime] | None = None
    """Who may publish the outbox, and until when."""
    outbox: list[OutboxMessage] = field(default_factory=list)
    outbox_count: int = 0
    outbox_pruned: int = 0
    """The state had come further than all messages below this id, which may be gone."""
    dead_letters: dict[int, tuple[DeadLetter, OutboxMessage, datetime]] = field(default_factory=dict)
    letter_count: int = 0
    refusals: dict[str, Refusal] = field(default_factory=dict)
    forgotten: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Environment without a reset -> its counters, while its refusals are remembered."""
    floors: tuple[int, int] = (0, 0)
    """Counters that an environment begins above which nothing here knows."""
    backups: dict[str, tuple[ResetId, Backup]] = field(default_factory=dict)
    tickets: int = 0
    locks: list[LockRow] = field(default_factory=list)
    grants: list[LockGrant] = field(default_factory=list)
    protected: dict[tuple[str, str, str, ResourceKey], RememberedUse] = field(default_factory=dict)
    """By environment, service, database and key."""
    words: dict[str, KeptWord] = field(default_factory=dict)
    freezes: dict[str, KeptFreeze] = field(default_factory=dict)
    holds: dict[str, KeptHold] = field(default_factory=dict)
    audit: list[AuditEntry] = field(default_factory=list)
    audit_heads: dict[str, tuple[int, str]] = field(default_factory=dict)

    def load_desk(self, refer: References, *, now: datetime, limit_waiting: int) -> Desk:
        """Make a desk with what is known of these references."""
        seen = {event: self.seen[event] for event in refer.events if event in self.seen}
        keys = {key: self.keys[key] for key in refer.keys if key in self.keys}
        for name in refer.environments:
            self.know(name)
        ids = {*refer.resets, *(use.reset_id for use in keys.values()), *filter(None, seen.values())}
        return Desk(
            now=now,
            limit_waiting=limit_waiting,
            last_numbers={name: self.numbers[name] for name in refer.environments},
            seen_events=seen,
            key_uses=keys,
            resets={
                reset_id: entry.reset
                for reset_id, entry in sorted(self.entries.items())
                if reset_id in ids
                or (entry.reset.environment in refer.environments and entry.reset.state in WAITING)
            },
            pending_acts=[PendingAct(new, number) for number, new in self.pending.items()],
            ending={
                act.reset_id
                for act in self.acts
                if act.kind in ENDING and act.id > self.entries[act.reset_id].reset.acts_seen
            },
            unknown_until={
                name: until
                for name in refer.environments
                if name in self.refusals and (until := self.refusals[name].unknown_until) is not None
            },
        )

    def know(self, name: str) -> None:
        """Give an environment its counters, above those that it had before it was forgotten."""
        if name not in self.numbers:
            self.numbers[name], self.sequences[name] = self.forgotten.get(name, self.floors)

    def store_desk(self, desk: Desk) -> None:
        """Store what a desk decided."""
        for reset, _ in desk.new_resets:
            self.entries[reset.id] = Entry(copied(reset))
            self.numbers[reset.environment] = reset.number
        for reset_id, requester in desk.new_requesters:
            entry = self.entries[reset_id]
            entry.reset = with_requester(entry.reset, requester)
        self.seen |= desk.new_events
        self.seen_at |= dict.fromkeys(desk.new_events, desk.now)
        self.keys |= desk.new_keys
        for number in desk.bound_acts:
            del self.pending[number]
        for new in desk.new_pending_acts:
            self.pending_count += 1
            self.pending[self.pending_count] = new
        self.append_acts(desk.new_acts)
        self.append_history(desk.new_statuses)
        self.append_audit(desk.new_audit_entries)
        for letter in desk.new_dead_letters:
            self.letter_count += 1
            self.dead_letters[self.letter_count] = (letter, self.append_message(letter.message), desk.now)

    def append_acts(self, acts: Iterable[Act]) -> list[Act]:
        """Append acts, and return them with their ids."""
        stored = [
            act.model_copy(update={"id": number, "last_status": self.entries[act.reset_id].reset.sequence})
            for number, act in enumerate(acts, self.act_count + 1)
        ]
        self.acts += stored
        self.act_count += len(stored)
        return stored

    def append_audit(self, entries: Sequence[AuditEntry]) -> None:
        """Append lines of the audit, each to its chain."""
        self.audit += chained([copied(entry) for entry in entries], self.audit_heads)

    def append_history(self, entries: Sequence[tuple[Reset, HistoryEntry]]) -> None:
        """Append lines of history, with their status events."""
        for reset, entry in entries:
            self.sequences[reset.environment] += 1
            number = self.sequences[reset.environment]
            whole = committed(entry, environment_sequence=number, public_url=self.topics.public_url)
            whole = whole.model_copy(update={"data": json.loads(json.dumps(whole.data))})
            self.history[reset.id].append(whole)
            record = status_record(Subject.of(reset), whole)
            message = Message(self.topics.status, record.key, record.value, record.headers)
            self.append_message(message, reset.id)

    def append_message(self, message: Message, reset_id: ResetId | None = None) -> OutboxMessage:
        """Put a message into the outbox; `reset_id` is that of a status."""
        self.outbox_count += 1
        waiting = OutboxMessage(self.outbox_count, message, reset_id)
        self.outbox.append(waiting)
        return waiting

    def supersede(self, by: Iterable[ResetId]) -> None:
        """Record that each of these lost resets may have touched every resource that was ever locked here."""
        keys = {grant.key for grant in self.grants}
        if lost := [LockGrant(key, reset_id, released=True) for reset_id in by for key in keys]:
            for grant in self.grants:
                grant.released = True
            self.grants += lost

    def release_locks(self, reset_id: ResetId) -> None:
        """Release all locks of a reset, granted or asked for."""
        for grant in self.grants:
            grant.released = grant.released or grant.reset_id == reset_id
        self.locks = [row for row in self.locks if row.reset_id != reset_id]


def copied(model: Model) -> Model:
    """Return a model as it comes back from a database: through JSON, and sharing nothing with the original."""
    return type(model).model_validate_json(model.model_dump_json(by_alias=True))
