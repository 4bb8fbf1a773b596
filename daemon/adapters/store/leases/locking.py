"""Locks on resources: all at once or none, first come first served by tickets that the database draws."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import and_, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from daemon.adapters.store.connections.transactions import Order, Tx
from daemon.adapters.store.rows import COUNTERS, LOCK_HISTORY, LOCKS, RESETS
from daemon.ports.errors import LeaseLostError
from daemon.ports.store.leases import Lease, LockAnswer
from daemon.ports.store.queries import LockRow
from schemas.wire import ResetId, ResourceKey
from statemachines.locks import Ask, blocked


async def lock(tx: Tx, lease: Lease, keys: Sequence[ResourceKey]) -> LockAnswer:
    """Ask for all keys; what was asked for before and is no longer among them is let go."""
    environment, ticket = await _mine(tx, lease)
    await tx.in_order(Order.LOCKS)
    if ticket is None:
        ticket = await _draw(tx, lease)
    wanted = sorted(set(keys))
    before = select(LOCKS.c.key, LOCKS.c.granted).where(LOCKS.c.reset_id == lease.reset_id)
    had = {row.key: row.granted for row in await tx.connection.execute(before)}
    if sorted(had) == wanted and all(had.values()):
        return LockAnswer(granted=True, ticket=ticket)
    if sorted(had) != wanted:
        await _ask(tx, lease.reset_id, environment, ticket, wanted)
    mine = Ask(lease.reset_id, ticket, frozenset(wanted))
    if (waits := blocked(mine, await _others(tx, mine))) is not None:
        return LockAnswer(granted=False, ticket=ticket, resources=waits.resources, held_by=waits.held_by)
    await _grant(tx, lease.reset_id, ticket, wanted)
    return LockAnswer(granted=True, ticket=ticket)


async def _mine(tx: Tx, lease: Lease) -> tuple[str, int | None]:
    found = (
        select(RESETS.c.environment, RESETS.c.ticket)
        .where(
            RESETS.c.id == lease.reset_id, RESETS.c.fence == lease.fence, RESETS.c.lease_owner == lease.owner
        )
        .with_for_update(key_share=True)
    )
    row = (await tx.connection.execute(found)).one_or_none()
    if row is None:
        raise LeaseLostError(f"reset {lease.reset_id} has another holder")
    return row.environment, row.ticket


async def _draw(tx: Tx, lease: Lease) -> int:
    dialect = postgresql if tx.postgres else sqlite
    drawing = dialect.insert(COUNTERS).values(name="ticket", value=1)
    drawing = drawing.on_conflict_do_update(index_elements=["name"], set_={"value": COUNTERS.c.value + 1})
    ticket: int = (await tx.connection.execute(drawing.returning(COUNTERS.c.value))).scalar_one()
    await tx.connection.execute(update(RESETS).where(RESETS.c.id == lease.reset_id).values(ticket=ticket))
    return ticket


async def _ask(tx: Tx, reset_id: ResetId, environment: str, ticket: int, wanted: Sequence[str]) -> None:
    await _let_go(tx, [reset_id])
    asked = [
        {"key": key, "reset_id": reset_id, "environment": environment, "ticket": ticket, "granted": False}
        for key in wanted
    ]
    if asked:
        await tx.connection.execute(insert(LOCKS).values(since=tx.clock()), asked)


async def _others(tx: Tx, mine: Ask) -> list[Ask]:
    """What others hold or wait for of the same resources."""
    found = select(LOCKS).where(LOCKS.c.key.in_(mine.keys), LOCKS.c.reset_id != mine.reset_id)
    asks: dict[ResetId, list[LockRow]] = defaultdict(list)
    for row in (await tx.connection.execute(found)).mappings():
        asks[row["reset_id"]].append(LockRow(**row))
    return [
        Ask(reset_id, rows[0].ticket, frozenset(row.key for row in rows), granted=rows[0].granted)
        for reset_id, rows in asks.items()
    ]


async def _grant(tx: Tx, reset_id: ResetId, ticket: int, wanted: Sequence[str]) -> None:
    granting = update(LOCKS).where(LOCKS.c.reset_id == reset_id)
    await tx.connection.execute(granting.values(granted=True, since=tx.clock()))
    history = [{"key": key, "reset_id": reset_id, "ticket": ticket} for key in wanted]
    if history:
        await tx.connection.execute(insert(LOCK_HISTORY).values(granted_at=tx.clock()), history)


async def release(tx: Tx, ids: Sequence[ResetId]) -> None:
    """Let go all that these resets hold or wait for."""
    await tx.in_order(Order.LOCKS)
    await _let_go(tx, ids)


async def _let_go(tx: Tx, ids: Sequence[ResetId]) -> None:
    held = and_(LOCK_HISTORY.c.reset_id.in_(ids), LOCK_HISTORY.c.released_at.is_(None))
    await tx.connection.execute(update(LOCK_HISTORY).where(held).values(released_at=tx.clock()))
    await tx.connection.execute(delete(LOCKS).where(LOCKS.c.reset_id.in_(ids)))


async def supersede(tx: Tx, by: Sequence[ResetId]) -> None:
    """Write down that each of these, whose locks nobody knows, may have touched all that was ever locked here since."""
    if not by:
        return
    await tx.in_order(Order.LOCKS)
    keys = (await tx.connection.execute(select(LOCK_HISTORY.c.key).distinct())).scalars().all()
    held = LOCK_HISTORY.c.released_at.is_(None)
    await tx.connection.execute(update(LOCK_HISTORY).where(held).values(released_at=tx.clock()))
    touched = [{"key": key, "reset_id": each, "ticket": 0} for each in by for key in sorted(keys)]
    if touched:
        adding = insert(LOCK_HISTORY).values(granted_at=tx.clock(), released_at=tx.clock())
        await tx.connection.execute(adding, touched)


async def rows(tx: Tx) -> tuple[LockRow, ...]:
    """All locks, by key and ticket."""
    found = await tx.connection.execute(select(LOCKS).order_by(LOCKS.c.key, LOCKS.c.ticket))
    return tuple(LockRow(**row) for row in found.mappings())


async def superseded_by(tx: Tx, reset_id: ResetId) -> ResetId | None:
    """The newest other holder of one of our resources since we last let it go, also where we hold it again."""
    let_go = (
        select(LOCK_HISTORY.c.key, func.max(LOCK_HISTORY.c.id).label("last"))
        .where(LOCK_HISTORY.c.reset_id == reset_id, LOCK_HISTORY.c.released_at.is_not(None))
        .group_by(LOCK_HISTORY.c.key)
        .subquery()
    )
    found = (
        select(LOCK_HISTORY.c.reset_id)
        .join(let_go, (let_go.c.key == LOCK_HISTORY.c.key) & (LOCK_HISTORY.c.id > let_go.c.last))
        .where(LOCK_HISTORY.c.reset_id != reset_id)
        .order_by(LOCK_HISTORY.c.id.desc())
        .limit(1)
    )
    holder: str | None = (await tx.connection.execute(found)).scalar_one_or_none()
    return None if holder is None else ResetId(holder)
