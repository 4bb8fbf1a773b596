"""The lease holders' commits, by compare-and-set. Changes of several resets share a transaction and its statements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, select

from daemon.adapters.store import auditing, freezes, queries
from daemon.adapters.store.connections.pipeline import BoundStatements, Row
from daemon.adapters.store.connections.transactions import Tx
from daemon.adapters.store.leases import learning, locking
from daemon.adapters.store.leases.change_statements import (
    compare_and_set_resets,
    lock_resets,
    mark_acts_read,
    upsert_attempts,
    upsert_backups,
    upsert_plans,
    upsert_steps,
)
from daemon.adapters.store.outbox import history
from daemon.adapters.store.rows import as_document, attempt_row, holder_columns, step_row
from daemon.adapters.store.tables import ATTEMPTS, STEPS
from daemon.ports.errors import LeaseLostError, TemporaryError
from daemon.ports.store.leases import Change
from schemas.reasons import Reason
from schemas.resets import Reset, Step
from schemas.tables import storable
from statemachines.freezes import sentence
from statemachines.intake.requesters import Requester, asked_by

SaveResult = Reset | LeaseLostError | TemporaryError | ValueError
"""The stored reset, or why nothing of its change was stored."""


async def save(tx: Tx, changes: Sequence[Change]) -> list[SaveResult]:
    """Store changes of different resets, each by itself, and return what became of each, in their order.

    A result is LeaseLostError where the reset has another holder or version, ValueError where its history would leave
    a gap, and TemporaryError where a freeze stops it.
    """
    stopped = await freezes.frozen(tx, changes)
    rows, won = await _lock_compare_and_set(
        tx, [change for change in changes if change.reset.id not in stopped]
    )
    winners = [change for change in changes if change.reset.id in won]
    stored = iter(await _store(tx, winners, rows) if winners else ())
    return [
        TemporaryError(Reason.FROZEN, sentence(stopped[change.reset.id]))
        if change.reset.id in stopped
        else next(stored)
        if change.reset.id in won
        else _refusal(rows.get(change.reset.id), change)
        for change in changes
    ]


async def _lock_compare_and_set(tx: Tx, changes: Sequence[Change]) -> tuple[dict[str, Row], set[str]]:
    """Set the rows that are as their holders saw them.

    Returns:
        The locked rows as they were before, by id, and the ids of the rows that were set.
    """
    locking_rows = lock_resets.bind(tx, [{"id": change.reset.id} for change in changes])
    found, won = await tx.pipeline(locking_rows, _compare_and_set(tx, changes))
    return {row["id"]: row for row in found}, {row["id"] for row in won}


def _compare_and_set(tx: Tx, changes: Sequence[Change]) -> BoundStatements:
    values = [
        holder_columns(change.reset)
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
    return compare_and_set_resets.bind(tx, values)


def _refusal(row: Row | None, change: Change) -> LeaseLostError | ValueError:
    """Say why a row was not set, from the row as it was locked."""
    reset, lease = change.reset, change.lease
    mine = (lease.reset_id, reset.version, lease.fence, lease.owner)
    if row is None or (row["id"], row["version"], row["fence"], row["lease_owner"]) != mine:
        return LeaseLostError(f"reset {reset.id} has another holder or version")
    if row["environment"] != reset.environment:
        return ValueError(f"reset {reset.id} is one of {row['environment']}")
    return ValueError(f"reset {reset.id} is at sequence {row['sequence']}: the history would leave a gap")


async def _store(tx: Tx, changes: Sequence[Change], rows: Mapping[str, Row]) -> list[Reset]:
    """Store the parts of changes whose rows were set; `rows` are the rows as they were before."""
    last_attempts = await _replace_plans(tx, changes)
    parts: tuple[BoundStatements, ...] = (
        upsert_steps.bind(tx, _step_rows(changes, last_attempts)),
        upsert_attempts.bind(tx, [attempt_row(attempt) for change in changes for attempt in change.attempts]),
        upsert_backups.bind(tx, _backup_rows(changes)),
        mark_acts_read.bind(tx, _acts_read(changes, rows)),
    )
    releasing = [change.reset.id for change in changes if change.release_locks]
    if releasing:
        await tx.pipeline(*parts)
        await locking.release(tx, releasing)
        parts = ()
    entries = [(change.reset.environment, entry) for change in changes for entry in change.history]
    # Statuses are counted before it is read who joined. Counting locks the environments, and with them the intake: who
    # joins later finds the states that these changes lead to.
    answers = await tx.pipeline(
        *parts,
        *history.count_statements(tx, entries),
        queries.read_joined(tx, [change.reset.id for change in changes]),
    )
    *counts, joined_rows = answers[len(parts) :]
    joined = queries.joined_from(joined_rows)
    await history.append(tx, entries, history.ends_from(counts))
    await auditing.append(tx, [entry for change in changes for entry in change.audit])
    await learning.keep(tx, changes)
    return [_stored(change, rows[change.reset.id], joined[change.reset.id]) for change in changes]


def _stored(change: Change, row: Row, joined: Sequence[Requester]) -> Reset:
    """Return the reset as its row is after the change: columns that are not the holder's keep the row's values."""
    reset = change.reset
    return reset.model_copy(
        update={
            "version": reset.version + 1,
            "fence": row["fence"],
            "claims_without_progress": 0,
            "ticket": None if change.release_locks else row["ticket"],
            **asked_by(Requester(reset.request.requested_by, reset.channel), joined),
            "detail": storable(reset.detail),
            "hint": storable(reset.hint),
        }
    )


async def _replace_plans(tx: Tx, changes: Sequence[Change]) -> dict[tuple[str, str], int]:
    """Store new plans and delete the steps of the former ones.

    Returns:
        The number of the last attempt at each step of these resets: (reset id, step) -> number.
    """
    plans = [
        {"reset_id": change.reset.id, "hash": change.plan.hash, "body": as_document(change.plan)}
        for change in changes
        if change.plan is not None
    ]
    if not plans:
        return {}
    ids = [plan["reset_id"] for plan in plans]
    await tx.pipeline(upsert_plans.bind(tx, plans))
    await tx.connection.execute(delete(STEPS).where(STEPS.c.reset_id.in_(ids)))
    last_attempts = (
        select(ATTEMPTS.c.reset_id, ATTEMPTS.c.step, func.max(ATTEMPTS.c.number).label("last"))
        .where(ATTEMPTS.c.reset_id.in_(ids))
        .group_by(ATTEMPTS.c.reset_id, ATTEMPTS.c.step)
    )
    return {(row.reset_id, row.step): row.last for row in await tx.connection.execute(last_attempts)}


def _step_rows(
    changes: Sequence[Change], last_attempts: Mapping[tuple[str, str], int]
) -> list[dict[str, Any]]:
    return [
        step_row(change.reset.id, step)
        for change in changes
        for step in (*change.steps, *_pending_steps(change, last_attempts))
    ]


def _pending_steps(change: Change, last_attempts: Mapping[tuple[str, str], int]) -> Iterator[Step]:
    """Return the steps of a new plan that the change does not give; their numbers go on after older attempts."""
    given = {step.name for step in change.steps}
    for index, planned in enumerate(change.plan.steps if change.plan else ()):
        if planned.name not in given:
            attempts = last_attempts.get((change.reset.id, planned.name), 0)
            yield Step(name=planned.name, index=index, attempts=attempts)


def _backup_rows(changes: Sequence[Change]) -> list[dict[str, Any]]:
    return [
        {
            "reset_id": change.reset.id,
            "resource": backup.resource,
            "path": backup.path,
            "size_bytes": backup.size_bytes,
            "sha256": backup.sha256,
            "taken_at": backup.taken_at,
            "proven": backup.proven,
            "stops": backup.stops,
            "first": backup.first,
            "proof": backup.proof.value,
            "proof_at": backup.proof_at,
            "proof_seconds": backup.proof_seconds,
            "scratch": backup.scratch,
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
