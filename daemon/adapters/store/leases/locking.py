"""Locks on resources: all at once or none, first come first served by tickets that the database draws."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from sqlalchemy import and_, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from daemon.adapters.store import holds
from daemon.adapters.store.connections.transactions import Tx, TxLock
from daemon.adapters.store.tables import COUNTERS, LOCK_HISTORY, LOCKS, RESETS
from daemon.ports.errors import LeaseLostError
from daemon.ports.store.leases import Lease, LockAnswer
from daemon.ports.store.queries import LockRow
from schemas.wire import ResetId, ResourceKey
from statemachines.locks import Ask, blocked, supersedes


async def lock(
    tx: Tx, lease: Lease, keys: Sequence[ResourceKey], concerns: Collection[str] = ()
) -> LockAnswer:
    """Ask for exactly these keys. Locks that the reset asked for before, and whose keys are missing now, are released.

    Raises:
        LeaseLostError: another process holds the lease.
    """
    environment, ticket = await _read_leased(tx, lease)
    await tx.take_lock(TxLock.LOCKS)
    if ticket is None:
        ticket = await _draw_ticket(tx, lease)
    wanted: list[ResourceKey] = sorted(set(keys))
    own = select(LOCKS.c.key, LOCKS.c.granted).where(LOCKS.c.reset_id == lease.reset_id)
    granted = {row.key: row.granted for row in await tx.connection.execute(own)}
    if sorted(granted) == wanted and all(granted.values()):
        return LockAnswer(granted=True, ticket=ticket)
    if sorted(granted) != wanted:
        await _ask(tx, lease.reset_id, environment, ticket, wanted)
    if (hold := await holds.keeping_away(tx, {environment, *concerns}, wanted)) is not None:
        kept = tuple(key for key in wanted if key in hold.keys)
        return LockAnswer(granted=False, ticket=ticket, resources=kept, hold=hold)
    mine = Ask(lease.reset_id, ticket, frozenset(wanted))
    if (waits := blocked(mine, await _competing_asks(tx, mine))) is not None:
        return LockAnswer(granted=False, ticket=ticket, resources=waits.resources, held_by=waits.held_by)
    await _grant(tx, lease.reset_id, ticket, wanted)
    return LockAnswer(granted=True, ticket=ticket)


async def _read_leased(tx: Tx, lease: Lease) -> tuple[str, int | None]:
    """Lock the row of a reset whose lease is ours, and return its environment and its ticket, if it has one."""
    ours = (
        select(RESETS.c.environment, RESETS.c.ticket)
        .where(
            RESETS.c.id == lease.reset_id, RESETS.c.fence == lease.fence, RESETS.c.lease_owner == lease.owner
        )
        .with_for_update(key_share=True)
    )
    row = (await tx.connection.execute(ours)).one_or_none()
    if row is None:
        raise LeaseLostError(f"reset {lease.reset_id} has another holder")
    return row.environment, row.ticket


async def _draw_ticket(tx: Tx, lease: Lease) -> int:
    dialect = postgresql if tx.postgres else sqlite
    drawing = dialect.insert(COUNTERS).values(name="ticket", value=1)
    drawing = drawing.on_conflict_do_update(index_elements=["name"], set_={"value": COUNTERS.c.value + 1})
    ticket: int = (await tx.connection.execute(drawing.returning(COUNTERS.c.value))).scalar_one()
    await tx.connection.execute(update(RESETS).where(RESETS.c.id == lease.reset_id).values(ticket=ticket))
    return ticket


async def _ask(tx: Tx, reset_id: ResetId, environment: str, ticket: int, wanted: Sequence[str]) -> None:
    """Replace what a reset asked for by these keys."""
    await _delete_locks(tx, [reset_id])
    asked = [
        {"key": key, "reset_id": reset_id, "environment": environment, "ticket": ticket, "granted": False}
        for key in wanted
    ]
    if asked:
        await tx.connection.execute(insert(LOCKS).values(since=tx.clock()), asked)


async def _competing_asks(tx: Tx, mine: Ask) -> list[Ask]:
    """Return what other resets hold or wait for of the same resources."""
    others = select(LOCKS).where(LOCKS.c.key.in_(mine.keys), LOCKS.c.reset_id != mine.reset_id)
    asks: dict[ResetId, list[LockRow]] = defaultdict(list)
    for row in (await tx.connection.execute(others)).mappings():
        asks[row["reset_id"]].append(LockRow(**row))
    return [
        Ask(reset_id, rows[0].ticket, frozenset(row.key for row in rows), granted=rows[0].granted)
        for reset_id, rows in asks.items()
    ]


async def _grant(tx: Tx, reset_id: ResetId, ticket: int, wanted: Sequence[ResourceKey]) -> None:
    """Grant a reset all that it asked for, and write what may supersede others into the history of locks."""
    granting = update(LOCKS).where(LOCKS.c.reset_id == reset_id)
    await tx.connection.execute(granting.values(granted=True, since=tx.clock()))
    grants = [{"key": key, "reset_id": reset_id, "ticket": ticket} for key in wanted if supersedes(key)]
    if grants:
        await tx.connection.execute(insert(LOCK_HISTORY).values(granted_at=tx.clock()), grants)


async def release(tx: Tx, ids: Sequence[ResetId]) -> None:
    """Release all that these resets hold or wait for."""
    await tx.take_lock(TxLock.LOCKS)
    await _delete_locks(tx, ids)


async def _delete_locks(tx: Tx, ids: Sequence[ResetId]) -> None:
    unreleased = and_(LOCK_HISTORY.c.reset_id.in_(ids), LOCK_HISTORY.c.released_at.is_(None))
    await tx.connection.execute(update(LOCK_HISTORY).where(unreleased).values(released_at=tx.clock()))
    await tx.connection.execute(delete(LOCKS).where(LOCKS.c.reset_id.in_(ids)))


async def supersede(tx: Tx, by: Sequence[ResetId]) -> None:
    """Record that each of these lost resets may have touched, since, every resource that was ever locked here."""
    if not by:
        return
    await tx.take_lock(TxLock.LOCKS)
    keys = (await tx.connection.execute(select(LOCK_HISTORY.c.key).distinct())).scalars().all()
    unreleased = LOCK_HISTORY.c.released_at.is_(None)
    await tx.connection.execute(update(LOCK_HISTORY).where(unreleased).values(released_at=tx.clock()))
    grants = [{"key": key, "reset_id": reset_id, "ticket": 0} for reset_id in by for key in sorted(keys)]
    if grants:
        inserting = insert(LOCK_HISTORY).values(granted_at=tx.clock(), released_at=tx.clock())
        await tx.connection.execute(inserting, grants)


async def list_locks(tx: Tx) -> tuple[LockRow, ...]:
    """Return all locks, held and asked for, by key and ticket."""
    rows = await tx.connection.execute(select(LOCKS).order_by(LOCKS.c.key, LOCKS.c.ticket))
    return tuple(LockRow(**row) for row in rows.mappings())


async def superseded_by(tx: Tx, reset_id: ResetId) -> ResetId | None:
    """Return the newest other holder of one of this reset's resources since the reset last released it.

    That counts also where the reset holds the resource again.
    """
    last_releases = (
        select(LOCK_HISTORY.c.key, func.max(LOCK_HISTORY.c.id).label("last"))
        .where(LOCK_HISTORY.c.reset_id == reset_id, LOCK_HISTORY.c.released_at.is_not(None))
        .group_by(LOCK_HISTORY.c.key)
        .subquery()
    )
    newest_later_holder = (
        select(LOCK_HISTORY.c.reset_id)
        .join(
            last_releases,
            (last_releases.c.key == LOCK_HISTORY.c.key) & (LOCK_HISTORY.c.id > last_releases.c.last),
        )
        .where(LOCK_HISTORY.c.reset_id != reset_id)
        .order_by(LOCK_HISTORY.c.id.desc())
        .limit(1)
    )
    holder: str | None = (await tx.connection.execute(newest_later_holder)).scalar_one_or_none()
    return None if holder is None else ResetId(holder)
