"""Rows to values and back: the one place that knows how a reset and its parts are laid out in columns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

from pydantic import BaseModel
from sqlalchemy import RowMapping

from schemas.audit import AuditEntry
from schemas.intake import DeadLetter, NewAct, NewRequest
from schemas.requests import RequestReference
from schemas.resets import Act, Attempt, HistoryEntry, Reset, Step
from schemas.tables import (
    ActRow,
    AttemptRow,
    AuditHeadRow,
    AuditRow,
    BackupRow,
    CounterRow,
    DeadLetterRow,
    EnvironmentRow,
    HistoryRow,
    IdempotencyKeyRow,
    JoinedRow,
    LockHistoryRow,
    LockRow,
    OutboxRow,
    PendingActRow,
    PlanRow,
    PositionRow,
    ProtectedRow,
    PublisherRow,
    ResetRow,
    SeenEventRow,
    StateRow,
    StepRow,
    storable,
    table_of,
)
from statemachines.commits import LEASE_HOLDER_FIELDS
from statemachines.lifecycle import AT_REST

RESETS = table_of(ResetRow)
PLANS = table_of(PlanRow)
STEPS = table_of(StepRow)
ATTEMPTS = table_of(AttemptRow)
BACKUPS = table_of(BackupRow)
ENVIRONMENTS = table_of(EnvironmentRow)
POSITIONS = table_of(PositionRow)
SEEN_EVENTS = table_of(SeenEventRow)
IDEMPOTENCY_KEYS = table_of(IdempotencyKeyRow)
JOINED = table_of(JoinedRow)
ACTS = table_of(ActRow)
PENDING_ACTS = table_of(PendingActRow)
DEAD_LETTERS = table_of(DeadLetterRow)
AUDIT = table_of(AuditRow)
AUDIT_HEADS = table_of(AuditHeadRow)
HISTORY = table_of(HistoryRow)
OUTBOX = table_of(OutboxRow)
PUBLISHERS = table_of(PublisherRow)
COUNTERS = table_of(CounterRow)
LOCKS = table_of(LockRow)
LOCK_HISTORY = table_of(LockHistoryRow)
PROTECTED = table_of(ProtectedRow)
STATE = table_of(StateRow)

_AS_JSON = ("approvals", "waiting_for")
_FIXED = (
    "id",
    "number",
    "environment",
    "channel",
    "event_source",
    "event_id",
    "trace_parent",
    "ticket",
    "claims_without_progress",
    "version",
    "fence",
    "created_at",
)
"""Those that the store sees to."""


def _bare(row: dict[str, Any]) -> dict[str, Any]:
    """Words for enum members: drivers disagree on what a member is."""
    return {name: value.value if isinstance(value, StrEnum) else value for name, value in row.items()}


def plain(model: BaseModel) -> dict[str, Any]:
    """A model as JSON, in the wire's names."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def changing(reset: Reset) -> dict[str, Any]:
    """The columns that the holder of the lease writes."""
    return _bare({name: getattr(reset, name) for name in LEASE_HOLDER_FIELDS if name not in _AS_JSON}) | {
        "detail": storable(reset.detail),
        "hint": storable(reset.hint),
        "live": reset.state not in AT_REST or reset.wake_at is not None,
        "approvals": [plain(approval) for approval in reset.approvals],
        "waiting_for": plain(reset.waiting_for) if reset.waiting_for else None,
    }


def reset_row(reset: Reset, new: NewRequest) -> dict[str, Any]:
    """A whole new row."""
    return changing(reset) | {
        "id": reset.id,
        "number": reset.number,
        "environment": reset.environment,
        "request": plain(reset.request),
        "content_hash": new.content_hash,
        "channel": reset.channel.value,
        "event_source": reset.event_source,
        "event_id": reset.event_id,
        "trace_parent": reset.trace_parent,
        "ticket": None,
        "claims_without_progress": 0,
        "version": 0,
        "fence": 0,
        "created_at": reset.created_at,
    }


def reset_of(row: RowMapping, joined: Sequence[str]) -> Reset:
    """A reset, with those who joined it in their order."""
    values = {name: row[name] for name in (*_FIXED, *LEASE_HOLDER_FIELDS)}
    request = row["request"]
    return Reset.model_validate(
        values
        | {
            "request": request,
            "requested_by": (request["requestedBy"], *joined),
        }
    )


def step_row(reset_id: str, step: Step) -> dict[str, Any]:
    """A step of a reset."""
    return {
        "reset_id": reset_id,
        "name": step.name,
        "position": step.index,
        "state": step.state.value,
        "attempts": step.attempts,
        "attempts_before": step.attempts_before,
        "not_before": step.not_before,
        "outcome": plain(step.outcome) if step.outcome else None,
    }


def step_of(row: RowMapping) -> Step:
    """A step."""
    return Step.model_validate(
        {
            name: row[name]
            for name in ("name", "state", "attempts", "attempts_before", "not_before", "outcome")
        }
        | {"index": row["position"]}
    )


def attempt_row(attempt: Attempt) -> dict[str, Any]:
    """An attempt."""
    return {
        "id": attempt.id,
        "reset_id": attempt.reset_id,
        "step": attempt.step,
        "number": attempt.number,
        "started_at": attempt.started_at,
        "control": plain(attempt.control) if attempt.control else None,
        "finished_at": attempt.finished_at,
        "outcome": plain(attempt.outcome) if attempt.outcome else None,
        "log_offset": attempt.log_offset,
    }


def attempt_of(row: RowMapping) -> Attempt:
    """An attempt."""
    return Attempt.model_validate(dict(row))


def act_row(act: Act) -> dict[str, Any]:
    """An act that nobody has read yet."""
    return _bare(act.model_dump(exclude={"id"})) | {"seen": False}


def act_of(row: RowMapping) -> Act:
    """An act."""
    return Act.model_validate({name: value for name, value in row.items() if name != "seen"})


def history_row(entry: HistoryEntry, line_hash: str) -> dict[str, Any]:
    """A line of history."""
    return {
        "reset_id": entry.reset_id,
        "sequence": entry.sequence,
        "at": entry.at,
        "type": entry.type,
        "data": entry.data,
        "hash": line_hash,
    }


def history_of(row: RowMapping) -> HistoryEntry:
    """A line of history."""
    return HistoryEntry.model_validate({name: value for name, value in row.items() if name != "hash"})


def audit_row(entry: AuditEntry) -> dict[str, Any]:
    """A line of the audit."""
    return _bare(entry.model_dump())


def audit_of(row: RowMapping) -> AuditEntry:
    """A line of the audit."""
    return AuditEntry.model_validate(dict(row))


def dead_letter_row(letter: DeadLetter, outbox_id: int, at: datetime) -> dict[str, Any]:
    """A dead letter whose message is in the outbox."""
    return {
        "reason": letter.reason.value,
        "detail": letter.detail,
        "topic": letter.topic,
        "partition": letter.partition,
        "record_offset": letter.offset,
        "outbox_id": outbox_id,
        "at": at,
    }


def event_key(source: str, event_id: str) -> str:
    """A digest that is another one for any other pair."""
    return sha256(f"{len(source)}:{source}{event_id}".encode()).hexdigest()


def pending_row(new: NewAct) -> dict[str, Any]:
    """An act that waits for its request."""
    return {
        "environment": new.environment,
        "reset_id": new.act.reset_id or None,
        "event_key": event_key(new.request.source, new.request.id) if new.request else None,
        "event_source": new.request.source if new.request else None,
        "event_id": new.request.id if new.request else None,
        "idempotency_key": new.idempotency_key,
        "act": plain(new.act),
    }


def pending_of(row: RowMapping) -> NewAct:
    """An act that waits for its request."""
    named = row["event_source"] is not None
    return NewAct(
        act=Act.model_validate(row["act"]),
        environment=row["environment"],
        request=RequestReference(source=row["event_source"], id=row["event_id"]) if named else None,
        idempotency_key=row["idempotency_key"],
    )
