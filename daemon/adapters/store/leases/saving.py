"""The lease holders' commits, by compare-and-set. Several resets' changes share a transaction: each statement is one
text, prepared once, that takes all of their rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import case, delete, func, select, update

from daemon.adapters.store import auditing, queries
from daemon.adapters.store.bulk_statements import FLAG, NUMBER, TEXT, over, upserting
from daemon.adapters.store.connections.pipeline import Row, Sending
from daemon.adapters.store.connections.transactions import Tx
from daemon.adapters.store.leases import locking
from daemon.adapters.store.outbox import history
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
from daemon.ports.errors import LeaseLostError
from daemon.ports.store.leases import Change
from schemas.resets import Reset, Step
from schemas.tables import storable
from statemachines.changes import HOLDERS

_SEEN = ("id", "environment", "version", "fence", "lease_owner", "sequence", "ticket", "acts_seen")


_HOLD = over(
    RESETS,
    ["id"],
    lambda given: (
        select(*(RESETS.c[name] for name in _SEEN))
        .where(RESETS.c.id.in_(select(given.c.id)))
        .order_by(RESETS.c.id)
        .with_for_update(key_share=True)
    ),
)
_COMPARE_AND_SET = over(
    RESETS,
    ["id", "environment", "version", "fence", "live", *HOLDERS],
    lambda given: (
        update(RESETS)
        .where(
            RESETS.c.id == given.c.id,
            RESETS.c.id == given.c.leased,
            RESETS.c.environment == given.c.environment,
            RESETS.c.version == given.c.version,
            RESETS.c.fence == given.c.fence,
            RESETS.c.lease_owner == given.c.owner,
            RESETS.c.sequence == given.c.sequence_before,
        )
        .values(
            {name: given.c[name] for name in ("live", *HOLDERS)}
            | {
                "version": RESETS.c.version + 1,
                "claims_without_progress": 0,
                "lease_owner": case((given.c.lease_goes, None), else_=RESETS.c.lease_owner),
                "lease_until": case((given.c.lease_goes, None), else_=RESETS.c.lease_until),
                "ticket": case((given.c.ticket_goes, None), else_=RESETS.c.ticket),
            }
        )
        .returning(RESETS.c.id)
    ),
    leased=TEXT,
    owner=TEXT,
    sequence_before=NUMBER,
    lease_goes=FLAG,
    ticket_goes=FLAG,
)
_PUT_PLANS = upserting(PLANS, ["reset_id", "hash", "body"], ["reset_id", "hash"])
_PUT_STEPS = upserting(STEPS, [each.name for each in STEPS.columns], ["reset_id", "name"])
_PUT_ATTEMPTS = upserting(ATTEMPTS, [each.name for each in ATTEMPTS.columns], ["id"])
_PUT_BACKUPS = upserting(BACKUPS, [each.name for each in BACKUPS.columns if each.name != "id"], ["path"])
_MARK_ACTS = over(
    ACTS,
    ["reset_id"],
    lambda given: (
        update(ACTS)
        .where(ACTS.c.reset_id == given.c.reset_id, ~ACTS.c.seen, ACTS.c.id <= given.c.up_to)
        .values(seen=True)
    ),
    up_to=NUMBER,
)

Answer = Reset | LeaseLostError | ValueError


async def save(tx: Tx, changes: Sequence[Change]) -> list[Answer]:
    """Store changes of different resets; answers, in their order, the stored reset or why nothing of it was stored.

    That is LeaseLostError where the reset is another holder's, ValueError where its history would leave a gap.
    """
    rows, won = await _hold_and_set(tx, changes)
    winners = [change for change in changes if change.reset.id in won]
    stored = iter(await _store(tx, winners, rows) if winners else ())
    return [
        next(stored) if change.reset.id in won else _why(rows.get(change.reset.id), change)
        for change in changes
    ]


async def _store(tx: Tx, changes: Sequence[Change], rows: Mapping[str, Row]) -> list[Reset]:
    made = await _put_plans(tx, changes)
    parts: tuple[Sending, ...] = (
        _PUT_STEPS.over(tx, _steps(changes, made)),
        _PUT_ATTEMPTS.over(tx, [attempt_row(each) for change in changes for each in change.attempts]),
        _PUT_BACKUPS.over(tx, _backups(changes)),
        _MARK_ACTS.over(tx, _acts_read(changes, rows)),
    )
    letting_go = [change.reset.id for change in changes if change.release_locks]
    if letting_go:
        await tx.together(*parts)
        await locking.release(tx, letting_go)
        parts = ()
    told = [(change.reset.environment, entry) for change in changes for entry in change.history]
    # Counted before it is read who joined: whoever joins later finds the states that these changes lead to.
    answers = await tx.together(
        *parts, *history.counting(tx, told), queries.joining(tx, [change.reset.id for change in changes])
    )
    *counted, joining = answers[len(parts) :]
    joined = queries.joined(joining)
    await history.publish(tx, told, history.counted(counted))
    await auditing.append(tx, [entry for change in changes for entry in change.audit])
    return [_stored(change, rows[change.reset.id], joined[change.reset.id]) for change in changes]


async def _hold_and_set(tx: Tx, changes: Sequence[Change]) -> tuple[dict[str, Row], set[str]]:
    """The rows as they were, in the order of ids, as all do that hold several; and the ids of those that were set:
    that are as their holders saw them.
    """
    holding = _HOLD.over(tx, [{"id": change.reset.id} for change in changes])
    found, won = await tx.together(holding, _compare_and_set(tx, changes))
    return {row["id"]: row for row in found}, {row["id"] for row in won}


def _compare_and_set(tx: Tx, changes: Sequence[Change]) -> Sending:
    """Sets the rows that are as their holders saw them; answers the ids of those."""
    values = [
        changing(change.reset)
        | {
            "id": change.reset.id,
            "leased": change.lease.reset_id,
            "environment": change.reset.environment,
            "version": change.reset.version,
            "fence": change.lease.fence,
            "owner": change.lease.owner,
            "sequence_before": change.reset.sequence - len(change.history),
            "lease_goes": change.release_lease,
            "ticket_goes": change.release_locks,
        }
        for change in changes
    ]
    return _COMPARE_AND_SET.over(tx, values)


def _why(row: Row | None, change: Change) -> LeaseLostError | ValueError:
    reset, lease = change.reset, change.lease
    mine = (lease.reset_id, reset.version, lease.fence, lease.owner)
    if row is None or (row["id"], row["version"], row["fence"], row["lease_owner"]) != mine:
        return LeaseLostError(f"reset {reset.id} has another holder or version")
    if row["environment"] != reset.environment:
        return ValueError(f"reset {reset.id} is one of {row['environment']}")
    return ValueError(f"reset {reset.id} is at sequence {row['sequence']}: the history would leave a gap")


def _stored(change: Change, row: Row, joined: Sequence[str]) -> Reset:
    """The reset as its row is after the change: the columns that are not the holder's are the row's."""
    reset = change.reset
    return reset.model_copy(
        update={
            "version": reset.version + 1,
            "fence": row["fence"],
            "claims_without_progress": 0,
            "ticket": None if change.release_locks else row["ticket"],
            "requested_by": (reset.request.requested_by, *joined),
            "detail": storable(reset.detail),
            "hint": storable(reset.hint),
        }
    )


async def _put_plans(tx: Tx, changes: Sequence[Change]) -> dict[tuple[str, str], int]:
    """Replace plans and take the steps of the former ones away; answers the number of the last attempt at each step."""
    plans = [
        {"reset_id": change.reset.id, "hash": change.plan.hash, "body": plain(change.plan)}
        for change in changes
        if change.plan is not None
    ]
    if not plans:
        return {}
    ids = [plan["reset_id"] for plan in plans]
    await tx.together(_PUT_PLANS.over(tx, plans))
    await tx.connection.execute(delete(STEPS).where(STEPS.c.reset_id.in_(ids)))
    counting = (
        select(ATTEMPTS.c.reset_id, ATTEMPTS.c.step, func.max(ATTEMPTS.c.number).label("last"))
        .where(ATTEMPTS.c.reset_id.in_(ids))
        .group_by(ATTEMPTS.c.reset_id, ATTEMPTS.c.step)
    )
    return {(row.reset_id, row.step): row.last for row in await tx.connection.execute(counting)}


def _steps(changes: Sequence[Change], made: Mapping[tuple[str, str], int]) -> list[dict[str, Any]]:
    return [
        step_row(change.reset.id, step)
        for change in changes
        for step in (*change.steps, *_not_given(change, made))
    ]


def _not_given(change: Change, made: Mapping[tuple[str, str], int]) -> Iterator[Step]:
    """Steps of a new plan that the change says nothing of: pending, with numbers that go on after older attempts."""
    given = {step.name for step in change.steps}
    for index, planned in enumerate(change.plan.steps if change.plan else ()):
        if planned.name not in given:
            attempts = made.get((change.reset.id, planned.name), 0)
            yield Step(name=planned.name, index=index, attempts=attempts)


def _backups(changes: Sequence[Change]) -> list[dict[str, Any]]:
    return [
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


def _acts_read(changes: Sequence[Change], rows: Mapping[str, Row]) -> list[dict[str, Any]]:
    return [
        {"reset_id": change.reset.id, "up_to": change.reset.acts_seen}
        for change in changes
        if change.reset.acts_seen > rows[change.reset.id]["acts_seen"]
    ]
