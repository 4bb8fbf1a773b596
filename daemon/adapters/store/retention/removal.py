"""Resets, removed with all that belongs to them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Table, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from daemon.adapters.store.connections.transactions import Tx
from daemon.adapters.store.retention.candidates import MAY_BE_DONE_NEXT_TIME
from daemon.adapters.store.tables import (
    ACTS,
    ATTEMPTS,
    AUDIT,
    AUDIT_HEADS,
    BACKUPS,
    COUNTERS,
    HISTORY,
    IDEMPOTENCY_KEYS,
    JOINED,
    OUTBOX,
    PLANS,
    RESETS,
    SEEN_EVENTS,
    STEPS,
)
from schemas.resets import ResetState
from schemas.wire import ResetId

OUTBOX_PRUNED = "outbox-pruned"
"""The counter below which rows of the outbox may be gone: this state has come further than all of them."""
_PARTS = (PLANS, STEPS, ATTEMPTS, HISTORY, JOINED, ACTS)


async def remove(tx: Tx, ids: Sequence[ResetId], *, answers: bool) -> dict[str, int]:
    """Remove resets, and count the rows of each table.

    Args:
        tx: The transaction, which has `TxLock.IDS`.
        ids: The resets, whose rows it has locked.
        answers: Whether they are mere answers. Their audit and their events go, too, but for those of a request that a
            rule refused. Other events stay known, as handled by a reset that is gone.
    """
    if not ids:
        return {}
    removed: dict[str, int] = {}
    told = (
        (await tx.connection.execute(select(OUTBOX.c.id).where(OUTBOX.c.reset_id.in_(ids)))).scalars().all()
    )
    removed["outbox"] = await remove_messages(tx, told)
    for part in _PARTS:
        removed[part.name] = await delete_where(tx, part, part.c.reset_id.in_(ids))
    if answers:
        kept = select(RESETS.c.id, RESETS.c.state, RESETS.c.sequence).where(
            RESETS.c.id.in_(ids), MAY_BE_DONE_NEXT_TIME
        )
        rows = (await tx.connection.execute(kept)).all()
        forgotten = set(ids) - {row.id for row in rows}
        removed["seen_events"] = await delete_where(tx, SEEN_EVENTS, SEEN_EVENTS.c.reset_id.in_(forgotten))
        # What the intake refused has one status. Nobody looked whether there is such an environment.
        mere = set(ids) - {
            row.id for row in rows if row.state == ResetState.REJECTED.value and row.sequence > 1
        }
        removed["idempotency_keys"] = await delete_where(
            tx, IDEMPOTENCY_KEYS, IDEMPOTENCY_KEYS.c.reset_id.in_(ids)
        )
        removed["audit"] = await delete_where(tx, AUDIT, AUDIT.c.chain.in_(mere))
        removed["audit_heads"] = await delete_where(tx, AUDIT_HEADS, AUDIT_HEADS.c.chain.in_(mere))
    await tx.connection.execute(
        update(SEEN_EVENTS).where(SEEN_EVENTS.c.reset_id.in_(ids)).values(reset_id=None)
    )
    removed["resets"] = await delete_where(tx, RESETS, RESETS.c.id.in_(ids))
    return removed


async def remove_messages(tx: Tx, ids: Sequence[int]) -> int:
    """Remove rows of the outbox, and remember that this state had come further. The newest row is none of them."""
    if not ids:
        return 0
    inserting = (postgresql if tx.postgres else sqlite).insert(COUNTERS)
    raising = inserting.values(name=OUTBOX_PRUNED, value=max(ids) + 1).on_conflict_do_update(
        index_elements=["name"],
        set_={"value": inserting.excluded.value},
        where=COUNTERS.c.value < inserting.excluded.value,
    )
    await tx.connection.execute(raising)
    return await delete_where(tx, OUTBOX, OUTBOX.c.id.in_(ids))


async def counter(tx: Tx, name: str) -> int:
    """Return a counter, 0 where it never counted."""
    found = select(func.coalesce(func.max(COUNTERS.c.value), 0)).where(COUNTERS.c.name == name)
    value: int = (await tx.connection.execute(found)).scalar_one()
    return value


async def delete_where(tx: Tx, table: Table, condition: ColumnElement[bool]) -> int:
    """Delete rows and count them."""
    return (await tx.connection.execute(delete(table).where(condition))).rowcount


async def forget_backup(tx: Tx, path: str) -> None:
    """Remove the row of a dump."""
    await tx.connection.execute(delete(BACKUPS).where(BACKUPS.c.path == path))
