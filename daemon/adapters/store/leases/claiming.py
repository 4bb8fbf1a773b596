"""Leases: who may drive a reset, by the database's clock, with a fence that grows with each claim."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import RowMapping, and_, case, delete, or_, select, union, update

from daemon.adapters.store import queries
from daemon.adapters.store.connections.transactions import Tx
from daemon.adapters.store.rows import ACTS, PUBLISHERS, RESETS
from daemon.ports.store.leases import LONGEST_SLEEP, Claimed, Lease
from schemas.wire import ResetId


async def claim(
    tx: Tx, owner: str, *, ttl: float, limit: int, excluding: frozenset[ResetId]
) -> tuple[Claimed, ...]:
    """Claim what is due, oldest first; rows that another claim looks at are skipped, not waited for."""
    now = tx.clock()
    # A union, so that each half has its partial index: resets at rest are by far the most, and are not looked at.
    too_late = RESETS.c.wake_at > tx.clock(plus=LONGEST_SLEEP.total_seconds())
    awake = or_(RESETS.c.wake_at.is_(None), RESETS.c.wake_at <= now, too_late)
    due = select(RESETS.c.id).where(RESETS.c.live, awake)
    unread = select(ACTS.c.reset_id).where(~ACTS.c.seen)
    free = or_(RESETS.c.lease_owner.is_(None), RESETS.c.lease_until <= now)
    candidates = select(RESETS.c.id).where(RESETS.c.id.in_(union(due, unread)), free)
    if excluding:
        candidates = candidates.where(RESETS.c.id.not_in(sorted(excluding)))
    candidates = candidates.order_by(RESETS.c.created_at, RESETS.c.id).limit(limit)
    candidates = candidates.with_for_update(skip_locked=True, key_share=True)
    ids = (await tx.connection.execute(candidates)).scalars().all()
    if not ids:
        return ()
    return await _take(tx, owner, ids, ttl)


async def seize(tx: Tx, owner: str, ids: Sequence[ResetId], *, ttl: float) -> tuple[Claimed, ...]:
    """Claim exactly these, whoever has them."""
    known = (
        select(RESETS.c.id).where(RESETS.c.id.in_(ids)).order_by(RESETS.c.id).with_for_update(key_share=True)
    )
    found = (await tx.connection.execute(known)).scalars().all()
    return await _take(tx, owner, found, ttl) if found else ()


async def _take(tx: Tx, owner: str, ids: Sequence[str], ttl: float) -> tuple[Claimed, ...]:
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
    return await _with_parts(tx, owner, [rows[each] for each in ids])


async def _with_parts(tx: Tx, owner: str, rows: Sequence[RowMapping]) -> tuple[Claimed, ...]:
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
        for reset in await queries.with_joined(tx, rows)
    )


async def renew(tx: Tx, leases: Sequence[Lease], *, ttl: float) -> frozenset[ResetId]:
    """Renew what is still ours; a lease that ran out but was not taken is."""
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
    # Held in the order of ids, as a shared commit does: two that hold several rows never wait for each other.
    held = select(RESETS.c.id).where(ours).order_by(RESETS.c.id).with_for_update(key_share=True)
    ids = (await tx.connection.execute(held)).scalars().all()
    await tx.connection.execute(
        update(RESETS).where(RESETS.c.id.in_(ids)).values(lease_until=tx.clock(plus=ttl))
    )
    return frozenset(ids)


async def release_all(tx: Tx) -> int:
    """Every lease at once, that of the outbox too."""
    await tx.connection.execute(delete(PUBLISHERS))
    releasing = update(RESETS).where(RESETS.c.lease_owner.is_not(None))
    return (await tx.connection.execute(releasing.values(lease_owner=None, lease_until=None))).rowcount
