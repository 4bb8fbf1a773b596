"""Requests, acts, plans and changes for the store's tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from uuid_utils import uuid7

from daemon.ports.store.leases import Change, Claimed
from daemon.ports.store.store import Store
from schemas.intake import Admission, Batch, DeadLetter, Entry, NewAct, NewRequest
from schemas.plan import Phase, Plan, PlannedStep, StepKind
from schemas.reasons import Reason
from schemas.records import Message
from schemas.requests import Mode, RequestReference, ResetRequested
from schemas.resets import Act, ActKind, Attempt, Channel, Reset, ResetState
from schemas.wire import AttemptId, ResetId, StepName
from statemachines.history.status import next_status
from statemachines.intake.content_hash import content_hash

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ENVIRONMENT = "qa-sandbox"
NOBODY: frozenset[ResetId] = frozenset()


def asked(
    environment: str = ENVIRONMENT,
    *,
    by: str = "ann",
    event: str | None = None,
    refused: Reason | None = None,
    channel: Channel = Channel.KAFKA,
    **fields: Any,  # noqa: ANN401 - of the request
) -> NewRequest:
    """Make a request, by an event of its own or by the one that is named."""
    request = ResetRequested(environment=environment, requested_by=by, **fields)
    reset_id = ResetId(str(uuid7()))
    return NewRequest(
        id=reset_id,
        request=request,
        channel=channel,
        source="/tests",
        event_id=event or f"event-{reset_id}",
        content_hash=content_hash(request),
        trace_parent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        refused=refused,
        refused_detail="it is old" if refused else None,
    )


def different(number: int) -> dict[str, Any]:
    """Return fields that make a request unlike others."""
    return {"reason": f"number {number}"}


async def admitted(store: Store, new: NewRequest | None = None, *, limit: int = 3) -> Reset:
    """Admit a request and return its reset."""
    return (await store.admit(new or asked(), now=NOW, limit_waiting=limit)).reset


async def taken(store: Store, *entries: Entry, first: int = 0, limit: int = 3) -> tuple[Admission, ...]:
    """Take in a batch of partition 0."""
    batch = Batch("requests", 0, first, first + len(entries), entries)
    return await store.take_in(batch, now=NOW, limit_waiting=limit)


async def claimed(store: Store, reset_id: ResetId, *, owner: str = "one", ttl: float = 30.0) -> Claimed:
    """Claim all that is due, and return this reset."""
    for found in await store.claim(owner, ttl=ttl, limit=100, excluding=NOBODY):
        if found.reset.id == reset_id:
            return found
    raise AssertionError(f"{reset_id} was not due")


async def begun(store: Store, environment: str = ENVIRONMENT, **fields: Any) -> Claimed:  # noqa: ANN401 - of the request
    """Make a reset and claim it."""
    reset = await admitted(store, asked(environment, **fields), limit=1000)
    return await claimed(store, reset.id)


def moved(found: Claimed, state: ResetState | None = None, **fields: Any) -> Change:  # noqa: ANN401 - of the change
    """Make a change to another state, with its line of history."""
    reset = found.reset.model_copy(update={"state": state or found.reset.state})
    reset, entry = next_status(reset, at=NOW)
    return Change(reset=reset, lease=found.lease, history=(entry,), **fields)


def act(
    reset_id: str = "",
    kind: ActKind = ActKind.CANCEL,
    actor: str = "olga",
    channel: Channel = Channel.HTTP,
) -> Act:
    """Make an act."""
    return Act(reset_id=ResetId(reset_id), kind=kind, actor=actor, channel=channel, at=NOW)


def act_by_event(event: str, *, environment: str = ENVIRONMENT, own: str | None = None) -> NewAct:
    """Make an act that names its reset by the request's event."""
    named = RequestReference(source="/tests", id=event)
    return NewAct(act(), environment, request=named, source="/acts", event_id=own or f"act-for-{event}")


def dead(offset: int, value: bytes = b"\x00\xff{") -> DeadLetter:
    """Make the dead letter of a record that could not be read."""
    message = Message("dead-letters", b"key", value, (("resetd-reason", b"malformed-json"), ("x", b"\x80")))
    return DeadLetter(message, Reason.MALFORMED_JSON, "not JSON", "requests", 0, offset)


def planned(*names: str, environment: str = ENVIRONMENT) -> Plan:
    """Make a plan with steps of these names."""
    steps = tuple(
        PlannedStep(name=StepName(name), phase=Phase.SEED, kind=StepKind.COMMAND, batch=index, argv=("true",))
        for index, name in enumerate(names)
    )
    return Plan(
        environment=environment,
        mode=Mode.REFRESH,
        service_modes={},
        core=False,
        git=False,
        catalog="test@sha256:0",
        steps=steps,
        resources=(),
        images={},
        approvals_required=0,
        hash=f"sha256:{'-'.join(names)}",
    )


def attempt(reset_id: ResetId, step: str, number: int = 1) -> Attempt:
    """Make an attempt that has just started."""
    return Attempt(
        id=AttemptId(f"{reset_id}/{step}/{number}"),
        reset_id=reset_id,
        step=StepName(step),
        number=number,
        started_at=NOW,
    )


async def eventually(look: Callable[[], Awaitable[Any]], within: float = 20.0) -> Any:  # noqa: ANN401 - what was found
    """Return what `look` finds, once it finds something."""
    async with asyncio.timeout(within):
        while not (found := await look()):  # noqa: ASYNC110 - the database sends no event
            await asyncio.sleep(0.02)
        return found
