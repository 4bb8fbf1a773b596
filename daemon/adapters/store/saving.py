"""The lease holder's commits, by compare-and-set. Each part takes a list of changes, so that several resets'
changes can share one commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping, Table, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from daemon.adapters.store import locking, publishing, reading
from daemon.adapters.store.rows import (
    ACTS,
    ATTEMPTS,
    BACKUPS,
    PLANS,
    RESETS,
    STEPS,
    attempt_row,
    changing,
    plain,
    step_row,
)
from daemon.adapters.store.transactions import Tx
from daemon.ports.errors import LeaseLostError
from daemon.ports.store import Change, Lease
from schemas.resets import Attempt, Reset, Step
from statemachines.changes import check_change


async def save(tx: Tx, changes: Sequence[Change]) -> list[Reset]:
    """All of them or none.

    Raises:
        LeaseLostError: one of the resets is another holder's by now.
        ValueError: a sequence would leave a gap, or a plan is not the one that its reset names.
    """
    for change in changes:
        check_change(change.reset, change.plan, change.history)
    rows = await _compare_and_set(tx, changes)
    await _put_plans(tx, changes)
    await _put_steps(tx, changes)
    await _put_attempts(tx, changes)
    await _put_backups(tx, changes)
    await _mark_acts(tx, changes)
    letting_go = [change.reset.id for change in changes if change.release_locks]
    if letting_go:
        await locking.release(tx, letting_go)
    # Counted before it is read who joined: whoever joins later finds the states that these changes lead to.
    telling = [change.reset.environment for change in changes for _ in change.history]
    before = await publishing.count(tx, telling)
    stored = await reading.with_joined(tx, rows)
    told = [(reset, entry) for reset, change in zip(stored, changes, strict=True) for entry in change.history]
    await publishing.publish(tx, told, before)
    return stored


async def _compare_and_set(tx: Tx, changes: Sequence[Change]) -> list[RowMapping]:
    rows = []
    for change in changes:
        reset, lease = change.reset, change.lease
        values: dict[str, Any] = changing(reset) | {
            "version": reset.version + 1,
            "claims_without_progress": 0,
        }
        if change.release_lease:
            values |= {"lease_owner": None, "lease_until": None}
        if change.release_locks:
            values |= {"ticket": None}
        setting = (
            update(RESETS)
            .where(
                RESETS.c.id == reset.id,
                RESETS.c.version == reset.version,
                RESETS.c.fence == lease.fence,
                RESETS.c.lease_owner == lease.owner,
                RESETS.c.sequence == reset.sequence - len(change.history),
            )
            .values(values)
            .returning(RESETS)
        )
        row = (await tx.connection.execute(setting)).mappings().one_or_none()
        if row is None:
            raise await _why(tx, change)
        rows.append(row)
    return rows


async def _why(tx: Tx, change: Change) -> LeaseLostError | ValueError:
    found = select(RESETS.c.version, RESETS.c.fence, RESETS.c.lease_owner, RESETS.c.sequence)
    row = (await tx.connection.execute(found.where(RESETS.c.id == change.reset.id))).one_or_none()
    mine = (change.reset.version, change.lease.fence, change.lease.owner)
    if row is None or (row.version, row.fence, row.lease_owner) != mine:
        return LeaseLostError(f"reset {change.reset.id} has another holder or version")
    return ValueError(f"reset {change.reset.id} is at sequence {row.sequence}: the history would leave a gap")


async def _put_plans(tx: Tx, changes: Sequence[Change]) -> None:
    plans = [
        {"reset_id": change.reset.id, "hash": change.plan.hash, "body": plain(change.plan)}
        for change in changes
        if change.plan is not None
    ]
    if not plans:
        return
    await _upsert(tx, PLANS, plans)
    replaced = [plan["reset_id"] for plan in plans]
    await tx.connection.execute(delete(STEPS).where(STEPS.c.reset_id.in_(replaced)))


async def _put_steps(tx: Tx, changes: Sequence[Change]) -> None:
    rows = []
    for change in changes:
        steps = change.steps
        if change.plan is not None:
            steps += await _not_given(tx, change)
        rows += [step_row(change.reset.id, step) for step in steps]
    await _upsert(tx, STEPS, rows)


async def _not_given(tx: Tx, change: Change) -> tuple[Step, ...]:
    """Steps of a new plan that the change says nothing of: pending, with numbers that go on after older attempts."""
    assert change.plan is not None
    given = {step.name for step in change.steps}
    counting = select(ATTEMPTS.c.step, func.max(ATTEMPTS.c.number)).where(
        ATTEMPTS.c.reset_id == change.reset.id
    )
    rows = await tx.connection.execute(counting.group_by(ATTEMPTS.c.step))
    made = {row[0]: row[1] for row in rows}
    return tuple(
        Step(name=planned.name, index=index, attempts=made.get(planned.name, 0))
        for index, planned in enumerate(change.plan.steps)
        if planned.name not in given
    )


async def _put_attempts(tx: Tx, changes: Sequence[Change]) -> None:
    await _upsert(tx, ATTEMPTS, [attempt_row(attempt) for change in changes for attempt in change.attempts])


async def _put_backups(tx: Tx, changes: Sequence[Change]) -> None:
    rows = [
        {
            "reset_id": change.reset.id,
            "resource": backup.resource,
            "path": backup.path,
            "size_bytes": backup.size_bytes,
            "sha256": backup.sha256,
            "taken_at": backup.taken_at,
            "proven": backup.proven,
        }
        for change in changes
        for backup in change.backups
    ]
    await _upsert(tx, BACKUPS, rows, unique=("path",))


async def _mark_acts(tx: Tx, changes: Sequence[Change]) -> None:
    for change in changes:
        if change.reset.acts_seen:
            read = (ACTS.c.reset_id == change.reset.id) & ~ACTS.c.seen & (ACTS.c.id <= change.reset.acts_seen)
            await tx.connection.execute(update(ACTS).where(read).values(seen=True))


async def keep_log_offset(tx: Tx, lease: Lease, attempt: Attempt) -> None:
    """Store the offset, if the lease is still ours."""
    held = select(RESETS.c.id).where(
        RESETS.c.id == lease.reset_id, RESETS.c.fence == lease.fence, RESETS.c.lease_owner == lease.owner
    )
    keeping = update(ATTEMPTS).where(ATTEMPTS.c.id == attempt.id, ATTEMPTS.c.reset_id.in_(held))
    found = await tx.connection.execute(keeping.values(log_offset=attempt.log_offset))
    if found.rowcount == 0:
        raise LeaseLostError(f"reset {lease.reset_id} has another holder")


async def _upsert(
    tx: Tx, table: Table, rows: Sequence[dict[str, Any]], unique: tuple[str, ...] | None = None
) -> None:
    if not rows:
        return
    keys = unique or tuple(column.name for column in table.primary_key)
    if tx.postgres:
        inserting = postgresql.insert(table)
        setting = {name: inserting.excluded[name] for name in rows[0] if name not in keys}
        await tx.connection.execute(inserting.on_conflict_do_update(index_elements=keys, set_=setting), rows)
    else:
        embedded = sqlite.insert(table)
        setting = {name: embedded.excluded[name] for name in rows[0] if name not in keys}
        await tx.connection.execute(embedded.on_conflict_do_update(index_elements=keys, set_=setting), rows)
