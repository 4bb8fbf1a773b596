"""Reading: resets and what belongs to them, without changing anything."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ClauseElement, ColumnElement, FromClause, RowMapping, select

from daemon.adapters.store.bulk_statements import bulk_statement
from daemon.adapters.store.connections.pipeline import BoundStatements, Row
from daemon.adapters.store.connections.transactions import Tx
from daemon.adapters.store.rows import (
    act_from_row,
    attempt_from_row,
    history_from_row,
    reset_from_row,
    step_from_row,
)
from daemon.adapters.store.tables import (
    ACTS,
    ATTEMPTS,
    BACKUPS,
    DEAD_LETTERS,
    HISTORY,
    JOINED,
    OUTBOX,
    PLANS,
    RESETS,
    STEPS,
)
from schemas.plan import Plan
from schemas.resets import Act, Attempt, Channel, HistoryEntry, Reset, ResetState, Step
from schemas.wire import ResetId
from statemachines.intake.requesters import Requester


@bulk_statement(JOINED, ["reset_id"])
def _read_joined(given: FromClause) -> ClauseElement:
    """Read who joined each reset, in their order."""
    return (
        select(JOINED.c.reset_id, JOINED.c.actor, JOINED.c.channel)
        .where(JOINED.c.reset_id.in_(select(given.c.reset_id)))
        .order_by(JOINED.c.id)
    )


async def resets_from_rows(tx: Tx, rows: Sequence[RowMapping]) -> list[Reset]:
    """Return the resets of rows, in the same order, with those who joined them."""
    [answer] = await tx.pipeline(read_joined(tx, [row["id"] for row in rows]))
    joined = joined_from(answer)
    return [reset_from_row(row, joined[row["id"]]) for row in rows]


def read_joined(tx: Tx, ids: Sequence[str]) -> BoundStatements:
    """Make the statement that reads who joined these resets. `joined_from` reads what it answers."""
    return _read_joined.bind(tx, [{"reset_id": reset_id} for reset_id in ids])


def joined_from(rows: Sequence[Row]) -> Mapping[str, Sequence[Requester]]:
    """Return who joined each reset, in their order; empty where nobody did."""
    requesters: dict[str, list[Requester]] = defaultdict(list)
    for row in rows:
        requesters[row["reset_id"]].append(Requester(row["actor"], Channel(row["channel"])))
    return requesters


async def resets_where(
    tx: Tx, *conditions: ColumnElement[bool], newest_first: bool = False, limit: int | None = None
) -> list[Reset]:
    """Return the resets that meet all conditions, ordered by id."""
    order = RESETS.c.id.desc() if newest_first else RESETS.c.id
    matching = select(RESETS).where(*conditions).order_by(order).limit(limit)
    return await resets_from_rows(tx, (await tx.connection.execute(matching)).mappings().all())


async def find(tx: Tx, reference: str) -> Reset | None:
    """Find a reset by its id, by `ENV/NUMBER` or by `ENV/@latest`."""
    environment, slash, which = reference.rpartition("/")
    if not slash:
        resets = await resets_where(tx, RESETS.c.id == reference)
    elif which == "@latest":
        latest = select(RESETS).where(RESETS.c.environment == environment)
        latest = latest.order_by(RESETS.c.number.desc()).limit(1)
        resets = await resets_from_rows(tx, (await tx.connection.execute(latest)).mappings().all())
    elif which.isascii() and which.isdigit() and len(which) < len(str(2**31)):
        resets = await resets_where(tx, RESETS.c.environment == environment, RESETS.c.number == int(which))
    else:
        resets = []
    return resets[0] if resets else None


async def page(
    tx: Tx,
    environment: str | None,
    states: Sequence[ResetState] | None,
    limit: int,
    before: tuple[str, str] | None,
) -> tuple[Reset, ...]:
    """Return resets, newest first, from below `before`: created_at and id of the former page's last one."""
    conditions: list[ColumnElement[bool]] = []
    if environment is not None:
        conditions.append(RESETS.c.environment == environment)
    if states is not None:
        conditions.append(RESETS.c.state.in_([state.value for state in states]))
    if before is not None:
        conditions.append(RESETS.c.id < before[1])
    return tuple(await resets_where(tx, *conditions, newest_first=True, limit=limit))


async def plans(tx: Tx, ids: Sequence[str]) -> dict[str, Plan]:
    """Return the present plan of each reset that has one."""
    present = (
        select(PLANS.c.reset_id, PLANS.c.body)
        .join(RESETS, (RESETS.c.id == PLANS.c.reset_id) & (RESETS.c.plan_hash == PLANS.c.hash))
        .where(RESETS.c.id.in_(ids))
    )
    return {row.reset_id: Plan.model_validate(row.body) for row in await tx.connection.execute(present)}


async def steps(tx: Tx, ids: Sequence[str]) -> dict[str, tuple[Step, ...]]:
    """Return the steps of each reset, in order."""
    ordered = select(STEPS).where(STEPS.c.reset_id.in_(ids)).order_by(STEPS.c.reset_id, STEPS.c.position)
    grouped: dict[str, list[Step]] = defaultdict(list)
    for row in (await tx.connection.execute(ordered)).mappings():
        grouped[row["reset_id"]].append(step_from_row(row))
    return {reset_id: tuple(grouped[reset_id]) for reset_id in ids}


async def attempts(tx: Tx, ids: Sequence[str], *, only_open: bool = False) -> dict[str, tuple[Attempt, ...]]:
    """Return the attempts of each reset in the order of their start; `only_open`: those without an outcome."""
    ordered = select(ATTEMPTS).where(ATTEMPTS.c.reset_id.in_(ids))
    if only_open:
        ordered = ordered.where(ATTEMPTS.c.outcome.is_(None))
    ordered = ordered.order_by(ATTEMPTS.c.started_at, ATTEMPTS.c.id)
    grouped: dict[str, list[Attempt]] = defaultdict(list)
    for row in (await tx.connection.execute(ordered)).mappings():
        grouped[row["reset_id"]].append(attempt_from_row(row))
    return {reset_id: tuple(grouped[reset_id]) for reset_id in ids}


async def acts_after(tx: Tx, after: Mapping[str, int]) -> dict[str, tuple[Act, ...]]:
    """Return the acts of each reset whose id is larger than the one given for it, in order."""
    grouped: dict[str, list[Act]] = defaultdict(list)
    # One bound for all resets, so that one range of ids is read; each reset's own bound is applied below.
    candidates = select(ACTS).where(
        ACTS.c.reset_id.in_(list(after)), ACTS.c.id > min(after.values(), default=0)
    )
    for row in (await tx.connection.execute(candidates.order_by(ACTS.c.id))).mappings():
        if row["id"] > after[row["reset_id"]]:
            grouped[row["reset_id"]].append(act_from_row(row))
    return {reset_id: tuple(grouped[reset_id]) for reset_id in after}


async def history(tx: Tx, reset_id: ResetId, after: int) -> tuple[HistoryEntry, ...]:
    """Return a reset's lines of history above a sequence, in order."""
    lines = select(HISTORY).where(HISTORY.c.reset_id == reset_id, HISTORY.c.sequence > after)
    rows = (await tx.connection.execute(lines.order_by(HISTORY.c.sequence))).mappings()
    return tuple(history_from_row(row) for row in rows)


async def backups(tx: Tx, reset_id: ResetId | None) -> tuple[Mapping[str, Any], ...]:
    """Return backups, newest first: those of one reset, or all."""
    recorded = select(BACKUPS).order_by(BACKUPS.c.id.desc())
    if reset_id is not None:
        recorded = recorded.where(BACKUPS.c.reset_id == reset_id)
    return tuple(dict(row) for row in (await tx.connection.execute(recorded)).mappings())


async def dead_letters(tx: Tx, limit: int) -> tuple[Mapping[str, Any], ...]:
    """Return dead letters, newest first, with what became of their messages."""
    newest = (
        select(
            DEAD_LETTERS.c.id,
            DEAD_LETTERS.c.reason,
            DEAD_LETTERS.c.detail,
            DEAD_LETTERS.c.topic,
            DEAD_LETTERS.c.partition,
            DEAD_LETTERS.c.record_offset.label("offset"),
            DEAD_LETTERS.c.at,
            OUTBOX.c.published_at,
            OUTBOX.c.refused,
        )
        .join(OUTBOX, OUTBOX.c.id == DEAD_LETTERS.c.outbox_id)
        .order_by(DEAD_LETTERS.c.id.desc())
        .limit(limit)
    )
    return tuple(dict(row) for row in (await tx.connection.execute(newest)).mappings())
