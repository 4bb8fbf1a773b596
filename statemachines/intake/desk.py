"""The desk of the intake: entries are decided about in order, each in sight of what those before it led to. No I/O.

A store reads what the entries refer to and lays it on the desk, has the desk take each entry, and then writes all
that is new. Every store does it by this module, so that all of them come to the same decisions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from schemas.audit import AuditEntry
from schemas.intake import Admission, DeadLetter, Deprovision, Entry, NewAct, NewRequest
from schemas.reasons import Reason
from schemas.resets import Act, ActKind, Channel, HistoryEntry, Reset
from schemas.wire import ResetId
from statemachines.history.audit import request_entry
from statemachines.history.status import next_status
from statemachines.intake.admission import ENDING, KeyUse, decide_admission, new_reset
from statemachines.intake.references import EventId, ScopedKey, key_of
from statemachines.intake.requesters import Requester, with_requester
from statemachines.lifecycle import WAITING
from statemachines.retention import WAITS_FOR_ITS_ENVIRONMENT

_NOT_SEEN = ResetId("")
MOST_CLAIMED = 100
"""Names of people who asked for one reset by claims alone that are kept. The requests of others join without a name."""


@dataclass
class PendingAct:
    """An act that waits for its request."""

    new: NewAct
    id: int | None = None
    """The store's id; None for an act of this very batch."""


@dataclass
class Desk:
    """What a store has read, and what it is to write (`new_...`, `bound_acts`) once all entries are taken."""

    now: datetime
    limit_waiting: int
    """How many resets may wait for one environment."""
    last_numbers: dict[str, int]
    """Environment -> number of its newest reset; grows with each new one."""
    seen_events: dict[EventId, ResetId | None]
    """Event -> the reset that it led to; None where it led to none that is known here."""
    key_uses: dict[ScopedKey, KeyUse]
    """Idempotency key -> its first use."""
    resets: dict[ResetId, Reset]
    """All resets that wait for these environments, and all that the entries refer to."""
    pending_acts: list[PendingAct]
    """Acts that still wait for their request."""
    ending: set[ResetId]
    """Resets that somebody asked to cancel or denied, by an act that the lease holder has yet to read."""
    unknown_until: Mapping[str, datetime] = field(default_factory=dict)
    """Environment -> until when it was known not to be there, where requests for it were refused and forgotten."""
    new_resets: list[tuple[Reset, NewRequest]] = field(default_factory=list)
    new_events: dict[EventId, ResetId | None] = field(default_factory=dict)
    """As `seen_events`."""
    new_keys: dict[ScopedKey, KeyUse] = field(default_factory=dict)
    """As `key_uses`."""
    new_requesters: list[tuple[ResetId, Requester]] = field(default_factory=list)
    """People whose request a waiting reset absorbed."""
    new_acts: list[Act] = field(default_factory=list)
    """Acts to append to their resets."""
    bound_acts: list[int] = field(default_factory=list)
    """Ids of acts in the store that have met their request and are pending no more."""
    new_statuses: list[tuple[Reset, HistoryEntry]] = field(default_factory=list)
    new_dead_letters: list[DeadLetter] = field(default_factory=list)
    new_audit_entries: list[AuditEntry] = field(default_factory=list)

    @property
    def new_pending_acts(self) -> list[NewAct]:
        """Acts of these entries that have to wait for their request."""
        return [pending.new for pending in self.pending_acts if pending.id is None]

    def take(self, entry: Entry) -> Admission | None:
        """Decide about one entry.

        The answer is what became of a request. It is None for any other entry, and for a request whose event was
        handled before without leading to a reset that is known here.
        """
        if isinstance(entry, NewRequest):
            return self._admit(entry)
        if isinstance(entry, DeadLetter):
            self.new_dead_letters.append(entry)
        elif self._first_time(entry.source, entry.event_id, None):
            if isinstance(entry, Deprovision):
                self._cancel_waiting(entry)
            elif (reset := self._named(entry)) is not None:
                self._append(entry.act.model_copy(update={"reset_id": reset.id}))
            else:
                self.pending_acts.append(PendingAct(entry))
        return None

    def _admit(self, new: NewRequest) -> Admission | None:
        seen: ResetId | None = _NOT_SEEN
        if new.source and new.event_id:
            seen = self.seen_events.get((new.source, new.event_id), _NOT_SEEN)
        if seen is None:
            return None  # an act had this source and id, or a state that was lost has handled the event
        key = key_of(new)
        requester = Requester(new.request.requested_by, new.channel)
        environment = new.request.environment
        refused, refused_detail = self._refused(new)
        decision = decide_admission(
            asked=new.content_hash,
            asked_by=requester,
            refused=refused,
            refused_detail=refused_detail,
            seen=seen if seen != _NOT_SEEN else None,
            key_use=self.key_uses.get(key) if key else None,
            waiting=self._waiting(environment),
            ending=self.ending,
            limit_waiting=self.limit_waiting,
        )
        if decision.existing is not None:
            reset = self.resets[decision.existing]
            if decision.joined:
                reset = self._join(reset, requester)
        else:
            self.last_numbers[environment] += 1
            reset = new_reset(
                new.id,
                new.request,
                channel=new.channel,
                source=new.source,
                event_id=new.event_id,
                trace_parent=new.trace_parent,
                number=self.last_numbers[environment],
                decision=decision,
                now=self.now,
            )
            reset, status = next_status(reset, at=self.now)
            self.resets[reset.id] = reset
            self.new_resets.append((reset, new))
            self.new_statuses.append((reset, status))
            self.new_audit_entries.append(request_entry(reset, at=self.now))
        self._first_time(new.source, new.event_id, reset.id)
        if key is not None and key not in self.key_uses and decision.binds_key:
            self.key_uses[key] = self.new_keys[key] = KeyUse(new.content_hash, reset.id)
        self._bind_pending_acts()
        return Admission(
            reset,
            created=decision.existing is None,
            joined=decision.joined,
            conflict=decision.conflict,
        )

    def _refused(self, new: NewRequest) -> tuple[Reason | None, str | None]:
        """Return why the intake refuses the request.

        An event from before its environment was there may be one that was refused, and of which no more is known. It
        is refused again, although the environment may be there by now.
        """
        until = self.unknown_until.get(new.request.environment)
        waits = new.channel is WAITS_FOR_ITS_ENVIRONMENT
        if new.refused is not None or new.at is None or until is None or new.at > until or waits:
            return new.refused, new.refused_detail
        detail = (
            f"the event is from {new.at.isoformat()}; there was no such environment until {until.isoformat()}"
        )
        return Reason.UNKNOWN_ENVIRONMENT, detail

    def _join(self, reset: Reset, requester: Requester) -> Reset:
        joined = with_requester(reset, requester)
        one_name_too_many = not requester.is_known and len(reset.claimed_by) >= MOST_CLAIMED
        if joined == reset or one_name_too_many:
            return reset
        self.new_requesters.append((reset.id, requester))
        self.resets[reset.id] = joined
        entry = request_entry(joined, at=self.now, joined_by=requester.name, joined_over=requester.channel)
        self.new_audit_entries.append(entry)
        return joined

    def _waiting(self, environment: str) -> list[Reset]:
        return [
            reset
            for reset in self.resets.values()
            if reset.environment == environment and reset.state in WAITING
        ]

    def _cancel_waiting(self, entry: Deprovision) -> None:
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
        self.new_acts.append(act)
        if act.kind in ENDING:
            self.ending.add(act.reset_id)

    def _named(self, new: NewAct) -> Reset | None:
        """Find the reset that an act names. A reset of another environment than the act says is not meant."""
        reset_id: ResetId | None = new.act.reset_id or None
        if new.request is not None:
            reset_id = self.seen_events.get((new.request.source, new.request.id))
        elif (key := key_of(new)) is not None:
            use = self.key_uses.get(key)
            reset_id = use.reset_id if use else None
        reset = self.resets.get(reset_id) if reset_id else None
        return reset if reset is not None and reset.environment == new.environment else None

    def _bind_pending_acts(self) -> None:
        still_pending: list[PendingAct] = []
        for pending in self.pending_acts:
            reset = self._named(pending.new)
            if reset is None:
                still_pending.append(pending)
                continue
            self._append(pending.new.act.model_copy(update={"reset_id": reset.id}))
            if pending.id is not None:
                self.bound_acts.append(pending.id)
        self.pending_acts = still_pending

    def _first_time(self, source: str | None, event_id: str | None, reset_id: ResetId | None) -> bool:
        """Remember the event, and say whether this is the first time that it is seen."""
        if source is None or event_id is None:
            return True
        if (source, event_id) in self.seen_events:
            return False
        self.seen_events[source, event_id] = self.new_events[source, event_id] = reset_id
        return True
