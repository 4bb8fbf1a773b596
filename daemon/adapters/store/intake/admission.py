"""Intake: a batch of entries, or one request, stored with all that follows from it, in one transaction.

What the entries refer to is read in a few set-based statements first (`known.load`); then they are judged one after
the other in memory, each seeing what those before it did; then all is written at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Table, insert, update

from daemon.adapters.store import auditing
from daemon.adapters.store.connections.transactions import Order, Tx
from daemon.adapters.store.intake.desk_storage import load
from daemon.adapters.store.leases.acts import insert_acts
from daemon.adapters.store.outbox import history
from daemon.adapters.store.rows import (
    DEAD_LETTERS,
    ENVIRONMENTS,
    IDEMPOTENCY_KEYS,
    JOINED,
    PENDING_ACTS,
    POSITIONS,
    RESETS,
    SEEN_EVENTS,
    dead_letter_row,
    event_key,
    pending_row,
    reset_row,
)
from daemon.ports.errors import LeaseLostError
from schemas.intake import Admission, Batch, Entry, NewRequest
from statemachines.intake.desk import Desk


async def take_in(tx: Tx, batch: Batch, *, now: datetime, limit_waiting: int) -> tuple[Admission, ...]:
    """A batch with its offset.

    Raises:
        LeaseLostError: the stored offset is another one.
    """
    await tx.in_order(Order.INTAKE)
    await _move(tx, batch)
    return await _store(tx, batch.entries, now, limit_waiting)


async def admit(tx: Tx, new: NewRequest, *, now: datetime, limit_waiting: int) -> Admission:
    """A request that did not come by Kafka.

    Raises:
        ValueError: an act had its event's source and id.
    """
    await tx.in_order(Order.INTAKE)
    admissions = await _store(tx, [new], now, limit_waiting)
    if not admissions:
        raise ValueError("an act was handled under this source and id")
    return admissions[0]


async def _move(tx: Tx, batch: Batch) -> None:
    here = (POSITIONS.c.topic == batch.topic) & (POSITIONS.c.partition == batch.partition)
    expected = batch.first if batch.expected is None else batch.expected
    moving = update(POSITIONS).where(here, POSITIONS.c.next == expected).values(next=batch.next)
    if (await tx.connection.execute(moving)).rowcount:
        return
    if (await tx.connection.execute(POSITIONS.select().where(here))).first() is not None:
        raise LeaseLostError(f"{batch.topic}/{batch.partition} is not at {expected}: another consumer has it")
    values = {"topic": batch.topic, "partition": batch.partition, "next": batch.next}
    await tx.connection.execute(insert(POSITIONS), [values])


async def _store(
    tx: Tx, entries: Sequence[Entry], now: datetime, limit_waiting: int
) -> tuple[Admission, ...]:
    if not entries:
        return ()
    desk = await load(tx, entries, now=now, limit_waiting=limit_waiting)
    admissions = tuple(admission for entry in entries if (admission := desk.take(entry)) is not None)
    await _write(tx, desk)
    return admissions


async def _write(tx: Tx, desk: Desk) -> None:
    for name in sorted({reset.environment for reset, _ in desk.new_resets}):
        counted = update(ENVIRONMENTS).where(ENVIRONMENTS.c.name == name)
        await tx.connection.execute(counted.values(last_number=desk.numbers[name]))
    for table, rows in _rows(desk):
        if rows:
            await tx.connection.execute(insert(table), rows)
    if desk.bound:
        await tx.connection.execute(PENDING_ACTS.delete().where(PENDING_ACTS.c.id.in_(desk.bound)))
    if desk.acts:
        await insert_acts(tx, desk.acts)
    told = [(reset.environment, entry) for reset, entry in desk.told]
    before = history.counted(await tx.together(*history.counting(tx, told)))
    letters_sent = [letter.message for letter in desk.dead_letters]
    outbox_ids = await history.publish(tx, told, before, letters_sent)
    await auditing.append(tx, desk.audit)
    letters = [
        dead_letter_row(letter, outbox_id, desk.now)
        for letter, outbox_id in zip(desk.dead_letters, outbox_ids, strict=True)
    ]
    if letters:
        await tx.connection.execute(insert(DEAD_LETTERS), letters)


def _rows(desk: Desk) -> tuple[tuple[Table, list[dict[str, Any]]], ...]:
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
                for (source, event_id), reset_id in desk.newly_seen.items()
            ],
        ),
        (
            IDEMPOTENCY_KEYS,
            [
                {"key": key, "content_hash": use.content_hash, "reset_id": use.reset_id}
                for key, use in desk.new_keys.items()
            ],
        ),
        (
            JOINED,
            [
                {"reset_id": reset_id, "actor": actor, "joined_at": desk.now}
                for reset_id, actor in desk.joined
            ],
        ),
        (PENDING_ACTS, [pending_row(new) for new in desk.newly_pending]),
    )
