"""Leases: who may drive a reset, by the database's clock, with a fence that grows with each claim."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import RowMapping, and_, case, delete, or_, select, union, update

from daemon.adapters.store import queries
from daemon.adapters.store.connections.transactions import Tx
from daemon.adapters.store.tables import ACTS, PUBLISHERS, RESETS
from daemon.ports.store.leases import LONGEST_SLEEP, Claimed, Lease
from schemas.wire import ResetId


async def claim(
    tx: Tx, owner: str, *, ttl: float, limit: int, excluding: frozenset[ResetId]
) -> tuple[Claimed, ...]:
    """Claim resets that are due. Rows that another claim has locked are skipped, not waited for."""
    now = tx.clock()
    too_late = RESETS.c.wake_at > tx.clock(plus=LONGEST_SLEEP.total_seconds())
    awake = or_(RESETS.c.wake_at.is_(None), RESETS.c.wake_at <= now, too_late)
    due = select(RESETS.c.id).where(RESETS.c.live, awake)
    with_unread_acts = select(ACTS.c.reset_id).where(~ACTS.c.seen)
    free = or_(RESETS.c.lease_owner.is_(None), RESETS.c.lease_until <= now)
    # A union, so that each half uses its partial index: most resets are at rest, and are not read.
    candidates = select(RESETS.c.id).where(RESETS.c.id.in_(union(due, with_unread_acts)), free)
    if excluding:
        candidates = candidates.where(RESETS.c.id.not_in(sorted(excluding)))
    asked = and_(RESETS.c.wake_at <= now, RESETS.c.id.not_in(with_unread_acts))
    due_since = case((asked, RESETS.c.wake_at))
    in_order = (due_since.asc().nulls_first(), RESETS.c.created_at, RESETS.c.id)
    candidates = candidates.order_by(*in_order).limit(limit)
    candidates = candidates.with_for_update(skip_locked=True, key_share=True)
    ids = (await tx.connection.execute(candidates)).scalars().all()
    if not ids:
        return ()
    return await _take_leases(tx, owner, ids, ttl)


async def seize(tx: Tx, owner: str, ids: Sequence[ResetId], *, ttl: float) -> tuple[Claimed, ...]:
    """Claim exactly these resets, whoever has their leases."""
    known = (
        select(RESETS.c.id).where(RESETS.c.id.in_(ids)).order_by(RESETS.c.id).with_for_update(key_share=True)
    )
    found = (await tx.connection.execute(known)).scalars().all()
    return await _take_leases(tx, owner, found, ttl) if found else ()


async def _take_leases(tx: Tx, owner: str, ids: Sequence[str], ttl: float) -> tuple[Claimed, ...]:
    """Give the leases of these resets to an owner, with the next fence, and count claims without progress."""
    without_progress = case(
        (RESETS.c.claimed_version == RESETS.c.version, RESETS.c.claims_without_progress + 1), else_=0
    )
    claiming = (
        update(RESETS)
        .where(RESETS.c.id.in_(ids))
        .values(
            fence=RESETS.c.fence + 1,
            lease_owner=owner,
            lease_until=tx.clock(plus=ttl),
            claims_without_progress=without_progress,
            claimed_version=RESETS.c.version,
        )
        .returning(RESETS)
    )
    rows = {row["id"]: row for row in (await tx.connection.execute(claiming)).mappings()}
    return await _read_claimed(tx, owner, [rows[reset_id] for reset_id in ids])


async def _read_claimed(tx: Tx, owner: str, rows: Sequence[RowMapping]) -> tuple[Claimed, ...]:
    """Read the parts of claimed resets that their driver needs."""
    ids = [row["id"] for row in rows]
    plans = await queries.plans(tx, ids)
    steps = await queries.steps(tx, ids)
    attempts = await queries.attempts(tx, ids, only_open=True)
    acts = await queries.acts_after(tx, {row["id"]: row["acts_seen"] for row in rows})
    return tuple(
        Claimed(
            reset=reset,
            lease=Lease(reset.id, owner, reset.fence),
            plan=plans.get(reset.id),
            steps=steps[reset.id],
            open_attempts=attempts[reset.id],
            acts=acts[reset.id],
        )
        for reset in await queries.resets_from_rows(tx, rows)
    )


async def renew(tx: Tx, leases: Sequence[Lease], *, ttl: float) -> frozenset[ResetId]:
    """Renew the leases that are still ours, and return their resets. One that ran out but was not taken is ours."""
    if not leases:
        return frozenset()
    ours = or_(
        *(
            and_(
                RESETS.c.id == lease.reset_id,
                RESETS.c.fence == lease.fence,
                RESETS.c.lease_owner == lease.owner,
            )
            for lease in sorted(leases, key=lambda lease: lease.reset_id)
        )
    )
    # Rows are locked in the order of ids, as a shared commit does: so transactions of several rows never deadlock.
    locking = select(RESETS.c.id).where(ours).order_by(RESETS.c.id).with_for_update(key_share=True)
    ids = (await tx.connection.execute(locking)).scalars().all()
    renewing = update(RESETS).where(RESETS.c.id.in_(ids)).values(lease_until=tx.clock(plus=ttl))
    await tx.connection.execute(renewing)
    return frozenset(ids)


async def release_all(tx: Tx) -> int:
    """Release every lease at once, that of the outbox too, and return how many resets had one."""
    await tx.connection.execute(delete(PUBLISHERS))
    releasing = update(RESETS).where(RESETS.c.lease_owner.is_not(None))
    return (await tx.connection.execute(releasing.values(lease_owner=None, lease_until=None))).rowcount
