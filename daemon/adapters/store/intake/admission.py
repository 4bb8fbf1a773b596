"""Admission: a batch of entries, or one request, stored with all that follows from it, in one transaction.

What the entries refer to is read in a few statements (`desk_storage.load`). Then the desk decides about them one after
the other in memory, each seeing what those before it did. Then everything is written at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import insert, select, update

from daemon.adapters.store.connections.transactions import Tx, TxLock
from daemon.adapters.store.intake import desk_storage
from daemon.adapters.store.tables import POSITIONS
from daemon.ports.errors import LeaseLostError
from schemas.intake import Admission, Batch, Entry, NewRequest
from schemas.records import LastRecord, LogPosition


async def positions(tx: Tx, partitions: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], LogPosition]:
    """Return the stored position of each partition that has one."""
    of_topics = select(POSITIONS).where(POSITIONS.c.topic.in_({topic for topic, _ in partitions}))
    rows = await tx.connection.execute(of_topics)
    stored = {
        (row.topic, row.partition): LogPosition(
            row.next, None if row.last_digest is None else LastRecord(row.last_offset, row.last_digest)
        )
        for row in rows
    }
    return {partition: stored[partition] for partition in partitions if partition in stored}


async def take_in(tx: Tx, batch: Batch, *, now: datetime, limit_waiting: int) -> tuple[Admission, ...]:
    """Store a batch with its offset.

    Raises:
        LeaseLostError: the stored offset is another one.
    """
    await tx.take_lock(TxLock.INTAKE)
    await _advance(tx, batch)
    return await _store(tx, batch.entries, now, limit_waiting)


async def admit(tx: Tx, new: NewRequest, *, now: datetime, limit_waiting: int) -> Admission:
    """Store a request that did not come by Kafka.

    Raises:
        ValueError: an act had its event's source and id.
    """
    await tx.take_lock(TxLock.INTAKE)
    admissions = await _store(tx, [new], now, limit_waiting)
    if not admissions:
        raise ValueError("an act was handled under this source and id")
    return admissions[0]


async def _advance(tx: Tx, batch: Batch) -> None:
    """Move the partition's stored offset from where the batch begins to where it ends."""
    partition = (POSITIONS.c.topic == batch.topic) & (POSITIONS.c.partition == batch.partition)
    expected = batch.first if batch.expected is None else batch.expected
    position = {
        "next": batch.next,
        "last_offset": batch.last.offset if batch.last else None,
        "last_digest": batch.last.digest if batch.last else None,
    }
    advancing = update(POSITIONS).where(partition, POSITIONS.c.next == expected).values(position)
    if (await tx.connection.execute(advancing)).rowcount:
        return
    if (await tx.connection.execute(POSITIONS.select().where(partition))).first() is not None:
        raise LeaseLostError(f"{batch.topic}/{batch.partition} is not at {expected}: another consumer has it")
    values = {"topic": batch.topic, "partition": batch.partition, **position}
    await tx.connection.execute(insert(POSITIONS), [values])


async def _store(
    tx: Tx, entries: Sequence[Entry], now: datetime, limit_waiting: int
) -> tuple[Admission, ...]:
    if not entries:
        return ()
    desk = await desk_storage.load(tx, entries, now=now, limit_waiting=limit_waiting)
    admissions = tuple(admission for entry in entries if (admission := desk.take(entry)) is not None)
    await desk_storage.store(tx, desk)
    return admissions
