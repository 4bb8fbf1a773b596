"""Rows of tables from values, and values from rows: the one place that knows a reset's columns and those of its parts.

`*_row` makes a row to insert, `*_from_row` makes the value of a row that was read.
"""

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
from schemas.resets import Act, Attempt, Channel, HistoryEntry, Reset, Step
from schemas.tables import storable
from statemachines.commits import LEASE_HOLDER_FIELDS
from statemachines.intake.requesters import Requester, asked_by
from statemachines.lifecycle import AT_REST

_JSON_COLUMNS = ("approvals", "waiting_for")
"""Columns of a reset that the lease holder writes as JSON."""
_STORE_COLUMNS = (
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
"""Columns of a reset that the store itself writes."""


def _enums_as_text(row: dict[str, Any]) -> dict[str, Any]:
    """Replace enum members by their text: drivers disagree on what a member is."""
    return {name: value.value if isinstance(value, StrEnum) else value for name, value in row.items()}


def as_document(model: BaseModel) -> dict[str, Any]:
    """Write a model as a JSON column holds it, in the wire's names."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def holder_columns(reset: Reset) -> dict[str, Any]:
    """Return the columns of a reset that the lease holder writes."""
    return _enums_as_text(
        {name: getattr(reset, name) for name in LEASE_HOLDER_FIELDS if name not in _JSON_COLUMNS}
    ) | {
        "detail": storable(reset.detail),
        "hint": storable(reset.hint),
        "live": reset.state not in AT_REST or reset.wake_at is not None,
        "approvals": [as_document(approval) for approval in reset.approvals],
        "waiting_for": as_document(reset.waiting_for) if reset.waiting_for else None,
    }


def reset_row(reset: Reset, new: NewRequest) -> dict[str, Any]:
    """Return the whole row of a new reset."""
    return holder_columns(reset) | {
        "id": reset.id,
        "number": reset.number,
        "environment": reset.environment,
        "request": as_document(reset.request),
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


def reset_from_row(row: RowMapping, joined: Sequence[Requester]) -> Reset:
    """Return the reset of a row; `joined` are those who joined it, in their order."""
    values = {name: row[name] for name in (*_STORE_COLUMNS, *LEASE_HOLDER_FIELDS)}
    request = row["request"]
    return Reset.model_validate(
        values
        | {
            "request": request,
            **asked_by(Requester(request["requestedBy"], Channel(row["channel"])), joined),
        }
    )


def step_row(reset_id: str, step: Step) -> dict[str, Any]:
    """Return the row of a step."""
    return {
        "reset_id": reset_id,
        "name": step.name,
        "position": step.index,
        "state": step.state.value,
        "attempts": step.attempts,
        "attempts_before": step.attempts_before,
        "not_before": step.not_before,
        "outcome": as_document(step.outcome) if step.outcome else None,
    }


def step_from_row(row: RowMapping) -> Step:
    """Return the step of a row."""
    return Step.model_validate(
        {
            name: row[name]
            for name in ("name", "state", "attempts", "attempts_before", "not_before", "outcome")
        }
        | {"index": row["position"]}
    )


def attempt_row(attempt: Attempt) -> dict[str, Any]:
    """Return the row of an attempt."""
    return {
        "id": attempt.id,
        "reset_id": attempt.reset_id,
        "step": attempt.step,
        "number": attempt.number,
        "started_at": attempt.started_at,
        "control": as_document(attempt.control) if attempt.control else None,
        "baseline": attempt.baseline,
        "finished_at": attempt.finished_at,
        "outcome": as_document(attempt.outcome) if attempt.outcome else None,
        "log_offset": attempt.log_offset,
    }


def attempt_from_row(row: RowMapping) -> Attempt:
    """Return the attempt of a row."""
    return Attempt.model_validate(dict(row))


def act_row(act: Act) -> dict[str, Any]:
    """Return the row of an act that nobody has read yet."""
    return _enums_as_text(act.model_dump(exclude={"id"})) | {"seen": False}


def act_from_row(row: RowMapping) -> Act:
    """Return the act of a row."""
    return Act.model_validate({name: value for name, value in row.items() if name != "seen"})


def history_row(entry: HistoryEntry, line_hash: str) -> dict[str, Any]:
    """Return the row of a line of history."""
    return {
        "reset_id": entry.reset_id,
        "sequence": entry.sequence,
        "at": entry.at,
        "type": entry.type,
        "data": entry.data,
        "hash": line_hash,
    }


def history_from_row(row: RowMapping) -> HistoryEntry:
    """Return the line of history of a row."""
    return HistoryEntry.model_validate({name: value for name, value in row.items() if name != "hash"})


def audit_row(entry: AuditEntry) -> dict[str, Any]:
    """Return the row of a line of the audit."""
    return _enums_as_text(entry.model_dump())


def audit_from_row(row: RowMapping) -> AuditEntry:
    """Return the line of the audit of a row."""
    return AuditEntry.model_validate(dict(row))


def dead_letter_row(letter: DeadLetter, outbox_id: int, at: datetime) -> dict[str, Any]:
    """Return the row of a dead letter whose message is the outbox row `outbox_id`."""
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
    """Return a digest of an event's source and id that no other pair has."""
    return sha256(f"{len(source)}:{source}{event_id}".encode()).hexdigest()


def pending_act_row(new: NewAct) -> dict[str, Any]:
    """Return the row of an act that waits for its request."""
    return {
        "environment": new.environment,
        "reset_id": new.act.reset_id or None,
        "event_key": event_key(new.request.source, new.request.id) if new.request else None,
        "event_source": new.request.source if new.request else None,
        "event_id": new.request.id if new.request else None,
        "idempotency_key": new.idempotency_key,
        "at": new.act.at,
        "act": as_document(new.act),
    }


def pending_act_from_row(row: RowMapping) -> NewAct:
    """Return the act of a row that waits for its request."""
    named = row["event_source"] is not None
    return NewAct(
        act=Act.model_validate(row["act"]),
        environment=row["environment"],
        request=RequestReference(source=row["event_source"], id=row["event_id"]) if named else None,
        idempotency_key=row["idempotency_key"],
    )
