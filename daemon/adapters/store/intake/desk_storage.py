"""The intake's desk: loaded with all that its entries refer to, and stored with what it decided."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Table, insert, or_, select, update

from daemon.adapters.store import auditing, queries
from daemon.adapters.store.connections.transactions import Tx
from daemon.adapters.store.leases import acts
from daemon.adapters.store.outbox import history
from daemon.adapters.store.retention import refused_names
from daemon.adapters.store.rows import (
    dead_letter_row,
    event_key,
    pending_act_from_row,
    pending_act_row,
    reset_row,
)
from daemon.adapters.store.tables import (
    ACTS,
    DEAD_LETTERS,
    ENVIRONMENTS,
    IDEMPOTENCY_KEYS,
    JOINED,
    PENDING_ACTS,
    RESETS,
    SEEN_EVENTS,
)
from schemas.intake import Entry
from schemas.resets import Channel, Reset
from schemas.wire import ResetId
from statemachines.intake.admission import ENDING, KeyUse
from statemachines.intake.desk import Desk, PendingAct
from statemachines.intake.references import EventId, References, ScopedKey, references
from statemachines.lifecycle import WAITING


async def load(tx: Tx, entries: Sequence[Entry], *, now: datetime, limit_waiting: int) -> Desk:
    """Load the desk for these entries. It locks their environments' rows: no reset of them starts meanwhile."""
    refer = references(entries)
    numbers = await history.lock_environments(tx, sorted(refer.environments))
    seen = await _seen_events(tx, refer)
    keys = await _idempotency_keys(tx, refer)
    ids = {*refer.resets, *(use.reset_id for use in keys.values()), *filter(None, seen.values())}
    return Desk(
        now=now,
        limit_waiting=limit_waiting,
        last_numbers=numbers,
        seen_events=seen,
        key_uses=keys,
        resets=await _resets(tx, refer, ids),
        pending_acts=await _pending_acts(tx, refer),
        ending=await _ending_resets(tx),
        unknown_until=await refused_names.unknown_until(tx, refer.environments),
    )


async def _seen_events(tx: Tx, refer: References) -> dict[EventId, ResetId | None]:
    if not refer.events:
        return {}
    seen = select(SEEN_EVENTS).where(SEEN_EVENTS.c.key.in_(_event_keys(refer)))
    return {(row.source, row.event_id): row.reset_id for row in await tx.connection.execute(seen)}


async def _idempotency_keys(tx: Tx, refer: References) -> dict[ScopedKey, KeyUse]:
    if not refer.keys:
        return {}
    used = select(IDEMPOTENCY_KEYS).where(IDEMPOTENCY_KEYS.c.key.in_(_key_texts(refer)))
    rows = await tx.connection.execute(used)
    uses = {
        ScopedKey(Channel(row.channel), row.environment, row.key): KeyUse(row.content_hash, row.reset_id)
        for row in rows
    }
    return {key: use for key, use in uses.items() if key in refer.keys}


async def _resets(tx: Tx, refer: References, ids: set[ResetId]) -> dict[ResetId, Reset]:
    """Return the resets with these ids, and those that wait in the entries' environments."""
    waiting = RESETS.c.environment.in_(refer.environments) & RESETS.c.state.in_(
        [state.value for state in WAITING]
    )
    return {reset.id: reset for reset in await queries.resets_where(tx, or_(waiting, RESETS.c.id.in_(ids)))}


async def _pending_acts(tx: Tx, refer: References) -> list[PendingAct]:
    """Return the acts that wait for one of the entries' requests."""
    pending = select(PENDING_ACTS).where(
        or_(
            PENDING_ACTS.c.event_key.in_(_event_keys(refer)),
            PENDING_ACTS.c.idempotency_key.in_(_key_texts(refer)),
        )
    )
    rows = (await tx.connection.execute(pending.order_by(PENDING_ACTS.c.id))).mappings()
    return [PendingAct(pending_act_from_row(row), row["id"]) for row in rows]


async def _ending_resets(tx: Tx) -> set[ResetId]:
    """Return the resets that have an unread act which ends them."""
    ending = select(ACTS.c.reset_id).where(~ACTS.c.seen, ACTS.c.kind.in_([kind.value for kind in ENDING]))
    return set((await tx.connection.execute(ending)).scalars())


def _key_texts(refer: References) -> list[str]:
    return sorted({key.text for key in refer.keys})


def _event_keys(refer: References) -> list[str]:
    return [event_key(source, event_id) for source, event_id in sorted(refer.events)]


async def store(tx: Tx, desk: Desk) -> None:
    """Store what the desk decided: resets, acts, statuses, lines of the audit and dead letters."""
    for environment in sorted({reset.environment for reset, _ in desk.new_resets}):
        numbering = update(ENVIRONMENTS).where(ENVIRONMENTS.c.name == environment)
        await tx.connection.execute(numbering.values(last_number=desk.last_numbers[environment]))
    for table, rows in _rows_to_insert(desk):
        if rows:
            await tx.connection.execute(insert(table), rows)
    if desk.bound_acts:
        await tx.connection.execute(PENDING_ACTS.delete().where(PENDING_ACTS.c.id.in_(desk.bound_acts)))
    if desk.new_acts:
        await acts.append(tx, desk.new_acts)
    entries = [(reset.environment, entry) for reset, entry in desk.new_statuses]
    ends = history.ends_from(await tx.pipeline(*history.count_statements(tx, entries)))
    messages = [letter.message for letter in desk.new_dead_letters]
    outbox_ids = await history.append(tx, entries, ends, messages)
    await auditing.append(tx, desk.new_audit_entries)
    letters = [
        dead_letter_row(letter, outbox_id, desk.now)
        for letter, outbox_id in zip(desk.new_dead_letters, outbox_ids, strict=True)
    ]
    if letters:
        await tx.connection.execute(insert(DEAD_LETTERS), letters)


def _rows_to_insert(desk: Desk) -> tuple[tuple[Table, list[dict[str, Any]]], ...]:
    return (
        (RESETS, [reset_row(reset, new) for reset, new in desk.new_resets]),
        (
            SEEN_EVENTS,
            [
                {
                    "key": event_key(source, event_id),
                    "source": source,
                    "event_id": event_id,
                    "reset_id": reset_id,
                    "seen_at": desk.now,
                }
                for (source, event_id), reset_id in desk.new_events.items()
            ],
        ),
        (
            IDEMPOTENCY_KEYS,
            [
                {
                    "channel": key.channel.value,
                    "environment": key.environment,
                    "key": key.text,
                    "content_hash": use.content_hash,
                    "reset_id": use.reset_id,
                }
                for key, use in desk.new_keys.items()
            ],
        ),
        (
            JOINED,
            [
                {
                    "reset_id": reset_id,
                    "actor": requester.name,
                    "channel": requester.channel.value,
                    "joined_at": desk.now,
                }
                for reset_id, requester in desk.new_requesters
            ],
        ),
        (PENDING_ACTS, [pending_act_row(new) for new in desk.new_pending_acts]),
    )
