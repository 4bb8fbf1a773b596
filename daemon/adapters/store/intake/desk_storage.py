"""What is known before entries are judged: read in a few set-based statements, and put on the intake's desk."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import or_, select

from daemon.adapters.store import queries
from daemon.adapters.store.connections.transactions import Tx
from daemon.adapters.store.outbox import history
from daemon.adapters.store.rows import (
    ACTS,
    IDEMPOTENCY_KEYS,
    PENDING_ACTS,
    RESETS,
    SEEN_EVENTS,
    event_key,
    pending_of,
)
from schemas.intake import Entry
from schemas.resets import Reset
from schemas.wire import ResetId
from statemachines.intake.admission import ENDING, WAITING, KeyUse
from statemachines.intake.desk import Desk, Event, Pending, References, references


async def load(tx: Tx, entries: Sequence[Entry], *, now: datetime, limit_waiting: int) -> Desk:
    """The desk for these entries; keeps their environments' rows, so that no reset of them starts meanwhile."""
    refer = references(entries)
    numbers = await history.hold_environments(tx, sorted(refer.environments))
    seen = await _seen(tx, refer)
    keys = await _keys(tx, refer)
    ids = {*refer.resets, *(use.reset_id for use in keys.values()), *filter(None, seen.values())}
    return Desk(
        now=now,
        limit_waiting=limit_waiting,
        numbers=numbers,
        seen=seen,
        keys=keys,
        resets=await _resets(tx, refer, ids),
        pending=await _pending(tx, refer),
        ending=await _ending(tx),
    )


async def _seen(tx: Tx, refer: References) -> dict[Event, ResetId | None]:
    if not refer.events:
        return {}
    found = select(SEEN_EVENTS).where(SEEN_EVENTS.c.key.in_(_event_keys(refer)))
    return {(row.source, row.event_id): row.reset_id for row in await tx.connection.execute(found)}


async def _keys(tx: Tx, refer: References) -> dict[str, KeyUse]:
    if not refer.keys:
        return {}
    found = select(IDEMPOTENCY_KEYS).where(IDEMPOTENCY_KEYS.c.key.in_(refer.keys))
    rows = await tx.connection.execute(found)
    return {row.key: KeyUse(row.content_hash, row.reset_id) for row in rows}


async def _resets(tx: Tx, refer: References, ids: set[ResetId]) -> dict[ResetId, Reset]:
    waiting = RESETS.c.environment.in_(refer.environments) & RESETS.c.state.in_(
        [each.value for each in WAITING]
    )
    return {reset.id: reset for reset in await queries.resets_where(tx, or_(waiting, RESETS.c.id.in_(ids)))}


async def _pending(tx: Tx, refer: References) -> list[Pending]:
    found = select(PENDING_ACTS).where(
        or_(PENDING_ACTS.c.event_key.in_(_event_keys(refer)), PENDING_ACTS.c.idempotency_key.in_(refer.keys))
    )
    rows = (await tx.connection.execute(found.order_by(PENDING_ACTS.c.id))).mappings()
    return [Pending(pending_of(row), row["id"]) for row in rows]


async def _ending(tx: Tx) -> set[ResetId]:
    found = select(ACTS.c.reset_id).where(~ACTS.c.seen, ACTS.c.kind.in_([each.value for each in ENDING]))
    return set((await tx.connection.execute(found)).scalars())


def _event_keys(refer: References) -> list[str]:
    return [event_key(source, event_id) for source, event_id in sorted(refer.events)]
