"""The intake's desk, for every store: what is known of the entries at hand, and what follows from each, in order.

A store reads what the entries refer to, puts it on the desk, lets each be taken, and writes what came of it. No I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from schemas.audit import AuditEntry
from schemas.intake import Admission, DeadLetter, Deprovision, Entry, NewAct, NewRequest
from schemas.resets import Act, ActKind, Channel, HistoryEntry, Reset
from schemas.wire import ResetId
from statemachines.history.audit import request_entry
from statemachines.history.status import next_status
from statemachines.intake.admission import ENDING, KeyUse, decide_admission, new_reset
from statemachines.lifecycle import WAITING

Event = tuple[str, str]
"""Source and id."""

_NEVER = ResetId("")


@dataclass
class Pending:
    """An act that waits for its request; `id` is None for one of this very batch."""

    new: NewAct
    id: int | None = None


@dataclass
class Desk:
    """What was read, then what is to be written."""

    now: datetime
    limit_waiting: int
    numbers: dict[str, int]
    """The last number of each environment."""
    seen: dict[Event, ResetId | None]
    keys: dict[str, KeyUse]
    resets: dict[ResetId, Reset]
    """All that wait in these environments, and all that the entries refer to."""
    pending: list[Pending]
    ending: set[ResetId]
    """Those that unread acts ask to end."""
    new_resets: list[tuple[Reset, NewRequest]] = field(default_factory=list)
    newly_seen: dict[Event, ResetId | None] = field(default_factory=dict)
    new_keys: dict[str, KeyUse] = field(default_factory=dict)
    joined: list[tuple[ResetId, str]] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    bound: list[int] = field(default_factory=list)
    """Pending acts that are pending no more."""
    told: list[tuple[Reset, HistoryEntry]] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    audit: list[AuditEntry] = field(default_factory=list)

    @property
    def newly_pending(self) -> list[NewAct]:
        """Acts of these entries whose request is not known yet."""
        return [pending.new for pending in self.pending if pending.id is None]

    def take(self, entry: Entry) -> Admission | None:
        """Decide about one entry; an admission for requests only."""
        if isinstance(entry, NewRequest):
            return self._request(entry)
        if isinstance(entry, DeadLetter):
            self.dead_letters.append(entry)
        elif self._first_time(entry.source, entry.event_id, None):
            if isinstance(entry, Deprovision):
                self._deprovision(entry)
            elif (reset := self._named(entry)) is not None:
                self._append(entry.act.model_copy(update={"reset_id": reset.id}))
            else:
                self.pending.append(Pending(entry))
        return None

    def _request(self, new: NewRequest) -> Admission | None:
        seen = self.seen.get((new.source, new.event_id), _NEVER) if new.source and new.event_id else _NEVER
        if seen is None:
            return None  # an act had this event's source and id: whatever it says now, it was handled
        key = new.request.idempotency_key
        environment = new.request.environment
        decision = decide_admission(
            asked=new.content_hash,
            asked_by=new.request.requested_by,
            refused=new.refused,
            refused_detail=new.refused_detail,
            seen=seen if seen != _NEVER else None,
            key_use=self.keys.get(key) if key else None,
            waiting=self._waiting(environment),
            ending=self.ending,
            limit_waiting=self.limit_waiting,
        )
        if decision.existing is not None:
            reset = self.resets[decision.existing]
            if decision.joined:
                reset = self._join(reset, new.request.requested_by)
        else:
            self.numbers[environment] += 1
            reset = new_reset(
                new.id,
                new.request,
                channel=new.channel,
                source=new.source,
                event_id=new.event_id,
                trace_parent=new.trace_parent,
                number=self.numbers[environment],
                decision=decision,
                now=self.now,
            )
            reset, entry = next_status(reset, at=self.now)
            self.resets[reset.id] = reset
            self.new_resets.append((reset, new))
            self.told.append((reset, entry))
            self.audit.append(request_entry(reset, at=self.now))
        self._first_time(new.source, new.event_id, reset.id)
        if key is not None and key not in self.keys and decision.binds_key:
            self.keys[key] = self.new_keys[key] = KeyUse(new.content_hash, reset.id)
        self._bind()
        return Admission(
            reset,
            created=decision.existing is None,
            joined=decision.joined,
            conflict=decision.conflict,
        )

    def _join(self, reset: Reset, actor: str) -> Reset:
        if actor in reset.requested_by:
            return reset
        self.joined.append((reset.id, actor))
        joined = reset.model_copy(update={"requested_by": (*reset.requested_by, actor)})
        self.resets[reset.id] = joined
        self.audit.append(request_entry(joined, at=self.now, joined_by=actor))
        return joined

    def _waiting(self, environment: str) -> list[Reset]:
        return [
            each for each in self.resets.values() if each.environment == environment and each.state in WAITING
        ]

    def _deprovision(self, entry: Deprovision) -> None:
        for reset in self._waiting(entry.environment):
            self._append(
                Act(
                    reset_id=reset.id,
                    kind=ActKind.CANCEL,
                    actor=entry.actor,
                    channel=Channel.PROVISIONING,
                    reason="the environment was deprovisioned",
                    at=entry.at,
                )
            )

    def _append(self, act: Act) -> None:
        self.acts.append(act)
        if act.kind in ENDING:
            self.ending.add(act.reset_id)

    def _named(self, new: NewAct) -> Reset | None:
        """The reset that an act names; one of another environment than it says is not meant."""
        reset_id: ResetId | None = new.act.reset_id or None
        if new.request is not None:
            reset_id = self.seen.get((new.request.source, new.request.id))
        elif new.idempotency_key is not None:
            use = self.keys.get(new.idempotency_key)
            reset_id = use.reset_id if use else None
        reset = self.resets.get(reset_id) if reset_id else None
        return reset if reset is not None and reset.environment == new.environment else None

    def _bind(self) -> None:
        still: list[Pending] = []
        for pending in self.pending:
            reset = self._named(pending.new)
            if reset is None:
                still.append(pending)
                continue
            self._append(pending.new.act.model_copy(update={"reset_id": reset.id}))
            if pending.id is not None:
                self.bound.append(pending.id)
        self.pending = still

    def _first_time(self, source: str | None, event_id: str | None, reset_id: ResetId | None) -> bool:
        """Whether the event was not seen before; from now on it was."""
        if source is None or event_id is None:
            return True
        if (source, event_id) in self.seen:
            return False
        self.seen[source, event_id] = self.newly_seen[source, event_id] = reset_id
        return True


@dataclass(frozen=True)
class References:
    """What entries refer to: what a store has to read before they are taken."""

    environments: frozenset[str]
    events: frozenset[Event]
    keys: frozenset[str]
    resets: frozenset[ResetId]


def references(entries: Sequence[Entry]) -> References:
    """All that the entries refer to."""
    requests = [entry for entry in entries if isinstance(entry, NewRequest)]
    acts = [entry for entry in entries if isinstance(entry, NewAct)]
    own = {(each.source, each.event_id) for each in entries if not isinstance(each, DeadLetter)}
    named = {(act.request.source, act.request.id) for act in acts if act.request is not None}
    keys = [each.request.idempotency_key for each in requests] + [act.idempotency_key for act in acts]
    return References(
        environments=frozenset(
            [each.request.environment for each in requests]
            + [each.environment for each in entries if isinstance(each, Deprovision)]
        ),
        events=frozenset({(source, event) for source, event in own if source and event} | named),
        keys=frozenset(_given(keys)),
        resets=frozenset(act.act.reset_id for act in acts if act.act.reset_id),
    )


def _given(values: Iterable[str | None]) -> Iterable[str]:
    return (value for value in values if value)
