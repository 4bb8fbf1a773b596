"""Reads what a Kafka record asks for: a request, an act, or a dead letter. Pure: record in, entry out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter, ValidationError

from daemon.intake.cloudevent import Event, UnreadableError, read
from schemas.intake import DeadLetter, Deprovision, Entry, NewAct, NewRequest
from schemas.reasons import Reason
from schemas.records import Message, Record
from schemas.requests import (
    CANCEL_REQUESTED,
    ENVIRONMENT_DEPROVISIONED,
    ENVIRONMENT_PROVISIONED,
    RESET_REQUESTED,
    RESUME_REQUESTED,
    CancelRequested,
    EnvironmentDeprovisioned,
    EnvironmentProvisioned,
    Mode,
    ResetRequested,
    ResumeRequested,
)
from schemas.resets import Act, ActKind, Channel
from schemas.wire import EnvironmentText, ResetId, Text
from statemachines.intake.content_hash import content_hash

_ENVIRONMENT: TypeAdapter[str] = TypeAdapter(EnvironmentText)
_TEXT: TypeAdapter[str] = TypeAdapter(Text)


@dataclass(frozen=True)
class IntakeRules:
    """What decides about a record besides its own content."""

    requests_topic: str
    environments_topic: str
    dead_letters_topic: str
    max_age: timedelta
    max_bytes: int = 256 * 1024


def entry_of(record: Record, rules: IntakeRules, *, now: datetime, new_id: ResetId) -> Entry | None:
    """What to store for a record; None for an event of the environments' topic that is meant for others.

    Never raises: a record that can't be handled is a dead letter. The next start would read it again otherwise.
    """
    try:
        return _entry_of(record, rules, now, new_id)
    except Exception as error:  # noqa: BLE001 - no record may stop the intake
        return mishap(record, rules, error)


def mishap(record: Record, rules: IntakeRules, error: Exception) -> DeadLetter:
    """The dead letter of a record that made our own code fail, or that the state database refuses."""
    # Only the kind of the error is told: its text may hold what was sent.
    return _dead_letter(record, rules, UnreadableError(Reason.INTERNAL, f"unexpected {type(error).__name__}"))


def _entry_of(record: Record, rules: IntakeRules, now: datetime, new_id: ResetId) -> Entry | None:
    try:
        event = _read(record, rules)
        if event is None:
            return None
        environment = _environment(event.data)
    except UnreadableError as unreadable:
        return _dead_letter(record, rules, unreadable)
    try:
        return _READERS[event.type](event, rules, now, new_id)
    except ValidationError as error:
        if event.type in (RESET_REQUESTED, ENVIRONMENT_PROVISIONED):
            return _rejection(event, environment, new_id, Reason.SCHEMA_VIOLATION, _fields(error))
        return _dead_letter(record, rules, UnreadableError(Reason.SCHEMA_VIOLATION, _fields(error)))


def _read(record: Record, rules: IntakeRules) -> Event | None:
    size = len(record.value or b"")
    if size > rules.max_bytes:
        raise UnreadableError(Reason.TOO_LARGE, f"{size} bytes; at most {rules.max_bytes} are read")
    event = read(record)
    environments = record.topic == rules.environments_topic
    if event.type in _TYPES[environments]:
        return event
    if environments:
        return None
    raise UnreadableError(Reason.UNKNOWN_TYPE, f"type {event.type[:200]}")


def _request(event: Event, rules: IntakeRules, now: datetime, new_id: ResetId) -> Entry:
    request = ResetRequested.model_validate(event.data)
    if (refused := _refused_for_its_time(event, rules, now)) is not None:
        return _rejection(event, request.environment, new_id, *refused)
    return _new(event, request, Channel.KAFKA, new_id)


def _provisioned(event: Event, rules: IntakeRules, now: datetime, new_id: ResetId) -> Entry:
    data = EnvironmentProvisioned.model_validate(event.data)
    request = ResetRequested(
        environment=data.environment,
        requested_by=data.provisioned_by,
        mode=Mode.REFRESH,
        reason="the environment was provisioned",
    )
    return _new(event, request, Channel.PROVISIONING, new_id, _refused_for_its_time(event, rules, now))


def _refused_for_its_time(event: Event, rules: IntakeRules, now: datetime) -> tuple[Reason, str] | None:
    """Refuse an event that is too old, or as far ahead of its time.

    So an event that was handled and comes again is either known still, or too old.
    """
    if now - event.time > rules.max_age:
        return Reason.TOO_OLD, f"the event is from {event.time.isoformat()}"
    if event.time - now > rules.max_age:
        return Reason.SCHEMA_VIOLATION, f"time: {event.time.isoformat()} is too far in the future"
    return None


def _new(
    event: Event,
    request: ResetRequested,
    channel: Channel,
    new_id: ResetId,
    refused: tuple[Reason, str] | None = None,
) -> NewRequest:
    return NewRequest(
        id=new_id,
        request=request,
        channel=channel,
        source=event.source,
        event_id=event.id,
        content_hash=content_hash(request),
        trace_parent=event.trace_parent,
        refused=refused[0] if refused else None,
        refused_detail=refused[1] if refused else None,
        at=event.time,
    )


def _deprovisioned(event: Event, _rules: IntakeRules, now: datetime, _new_id: ResetId) -> Entry:
    data = EnvironmentDeprovisioned.model_validate(event.data)
    actor = data.deprovisioned_by or data.provisioned_by or event.source
    return Deprovision(data.environment, actor, event.source, event.id, now)


def _resume(event: Event, _rules: IntakeRules, now: datetime, _new_id: ResetId) -> Entry:
    data = ResumeRequested.model_validate(event.data)
    return _act(event, data, ActKind.RESUME, now, data.sequence)


def _cancel(event: Event, _rules: IntakeRules, now: datetime, _new_id: ResetId) -> Entry:
    data = CancelRequested.model_validate(event.data)
    return _act(event, data, ActKind.CANCEL, now, None)


def _act(
    event: Event, data: ResumeRequested | CancelRequested, kind: ActKind, now: datetime, sequence: int | None
) -> NewAct:
    act = Act(
        reset_id=data.reset_id or ResetId(""),
        kind=kind,
        actor=data.requested_by,
        channel=Channel.KAFKA,
        reason=data.reason,
        sequence=sequence,
        at=now,
    )
    return NewAct(act, data.environment, data.request, data.idempotency_key, event.source, event.id)


_READERS = {
    RESET_REQUESTED: _request,
    RESUME_REQUESTED: _resume,
    CANCEL_REQUESTED: _cancel,
    ENVIRONMENT_PROVISIONED: _provisioned,
    ENVIRONMENT_DEPROVISIONED: _deprovisioned,
}
_TYPES = {
    False: frozenset({RESET_REQUESTED, RESUME_REQUESTED, CANCEL_REQUESTED}),
    True: frozenset({ENVIRONMENT_PROVISIONED, ENVIRONMENT_DEPROVISIONED}),
}


def _environment(data: object) -> str:
    if not isinstance(data, dict):
        raise UnreadableError(Reason.ENVIRONMENT_MISSING, "its data is not a JSON object")
    try:
        return _ENVIRONMENT.validate_python(data.get("environment"), strict=True)
    except ValidationError as error:
        raise UnreadableError(
            Reason.ENVIRONMENT_MISSING, "data.environment is no text of 1 to 253 characters"
        ) from error


def _rejection(event: Event, environment: str, new_id: ResetId, reason: Reason, detail: str) -> NewRequest:
    """A readable request that is refused. Only its well-formed parts are kept."""
    try:
        claimed = event.data.get("requestedBy") if isinstance(event.data, dict) else None
        requested_by = _TEXT.validate_python(claimed, strict=True)
    except ValidationError:
        requested_by = "unknown"
    request = ResetRequested(environment=environment, requested_by=requested_by)
    return _new(event, request, Channel.KAFKA, new_id, (reason, detail))


def _fields(error: ValidationError) -> str:
    """The wrong fields and what is wrong with each, without the values that were sent."""
    wrong = [
        f"{'.'.join(str(part) for part in flaw['loc'])[:100] or 'data'}: {flaw['msg'][:200]}"
        for flaw in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    text = "; ".join(wrong[:10])
    return "".join(each if each.isprintable() else "?" for each in text)


def _dead_letter(record: Record, rules: IntakeRules, unreadable: UnreadableError) -> DeadLetter:
    detail = "".join(each if each.isprintable() else "?" for each in unreadable.detail)
    added = (
        ("resetd-reason", unreadable.reason.value.encode()),
        ("resetd-detail", detail.encode()),
        ("resetd-topic", record.topic.encode()),
        ("resetd-partition", str(record.partition).encode()),
        ("resetd-offset", str(record.offset).encode()),
    )
    message = Message(rules.dead_letters_topic, record.key, record.value, (*record.headers, *added))
    return DeadLetter(message, unreadable.reason, detail, record.topic, record.partition, record.offset)
