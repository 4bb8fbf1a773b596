"""Reading: resets and what belongs to them, without changing anything."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, select

from daemon.adapters.store.bulk_statements import over
from daemon.adapters.store.connections.pipeline import Row, Sending
from daemon.adapters.store.connections.transactions import Tx
from daemon.adapters.store.rows import (
    ACTS,
    ATTEMPTS,
    BACKUPS,
    DEAD_LETTERS,
    HISTORY,
    JOINED,
    OUTBOX,
    PLANS,
    PROTECTED,
    RESETS,
    STEPS,
    act_of,
    attempt_of,
    history_of,
    reset_of,
    step_of,
)
from schemas.plan import Plan
from schemas.resets import Act, Attempt, HistoryEntry, Reset, ResetState, Step
from schemas.wire import ResetId, ResourceKey

_JOINED = over(
    JOINED,
    ["reset_id"],
    lambda given: (
        select(JOINED.c.reset_id, JOINED.c.actor)
        .where(JOINED.c.reset_id.in_(select(given.c.reset_id)))
        .order_by(JOINED.c.id)
    ),
)


async def with_joined(tx: Tx, rows: Sequence[RowMapping]) -> list[Reset]:
    """Resets of rows, in the same order."""
    [answer] = await tx.together(joining(tx, [row["id"] for row in rows]))
    found = joined(answer)
    return [reset_of(row, found[row["id"]]) for row in rows]


def joining(tx: Tx, ids: Sequence[str]) -> Sending:
    """Reads who joined these resets, for `joined`."""
    return _JOINED.over(tx, [{"reset_id": each} for each in ids])


def joined(rows: Sequence[Row]) -> Mapping[str, Sequence[str]]:
    """Who joined each reset, in their order."""
    actors: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        actors[row["reset_id"]].append(row["actor"])
    return actors


async def resets_where(
    tx: Tx, *conditions: ColumnElement[bool], newest_first: bool = False, limit: int | None = None
) -> list[Reset]:
    """Resets by a condition, by id."""
    order = RESETS.c.id.desc() if newest_first else RESETS.c.id
    found = select(RESETS).where(*conditions).order_by(order).limit(limit)
    return await with_joined(tx, (await tx.connection.execute(found)).mappings().all())


async def find(tx: Tx, reference: str) -> Reset | None:
    """By id, `ENV/NUMBER` or `ENV/@latest`."""
    environment, slash, which = reference.rpartition("/")
    if not slash:
        rows = await resets_where(tx, RESETS.c.id == reference)
    elif which == "@latest":
        latest = select(RESETS).where(RESETS.c.environment == environment)
        latest = latest.order_by(RESETS.c.number.desc()).limit(1)
        rows = await with_joined(tx, (await tx.connection.execute(latest)).mappings().all())
    elif which.isascii() and which.isdigit() and len(which) < len(str(2**31)):
        rows = await resets_where(tx, RESETS.c.environment == environment, RESETS.c.number == int(which))
    else:
        rows = []
    return rows[0] if rows else None


async def page(
    tx: Tx,
    environment: str | None,
    states: Sequence[ResetState] | None,
    limit: int,
    before: tuple[str, str] | None,
) -> tuple[Reset, ...]:
    """Newest first, from below the last one of the former page."""
    conditions: list[ColumnElement[bool]] = []
    if environment is not None:
        conditions.append(RESETS.c.environment == environment)
    if states is not None:
        conditions.append(RESETS.c.state.in_([state.value for state in states]))
    if before is not None:
        conditions.append(RESETS.c.id < before[1])
    return tuple(await resets_where(tx, *conditions, newest_first=True, limit=limit))


async def plans(tx: Tx, ids: Sequence[str]) -> dict[str, Plan]:
    """The present plan of each reset that has one."""
    present = (
        select(PLANS.c.reset_id, PLANS.c.body)
        .join(RESETS, (RESETS.c.id == PLANS.c.reset_id) & (RESETS.c.plan_hash == PLANS.c.hash))
        .where(RESETS.c.id.in_(ids))
    )
    return {row.reset_id: Plan.model_validate(row.body) for row in await tx.connection.execute(present)}


async def steps(tx: Tx, ids: Sequence[str]) -> dict[str, tuple[Step, ...]]:
    """The steps of each reset, in order."""
    found = select(STEPS).where(STEPS.c.reset_id.in_(ids)).order_by(STEPS.c.reset_id, STEPS.c.position)
    grouped: dict[str, list[Step]] = defaultdict(list)
    for row in (await tx.connection.execute(found)).mappings():
        grouped[row["reset_id"]].append(step_of(row))
    return {reset_id: tuple(grouped[reset_id]) for reset_id in ids}


async def attempts(tx: Tx, ids: Sequence[str], *, only_open: bool = False) -> dict[str, tuple[Attempt, ...]]:
    """The attempts of each reset in the order of their start; `only_open`: without an outcome."""
    found = select(ATTEMPTS).where(ATTEMPTS.c.reset_id.in_(ids))
    if only_open:
        found = found.where(ATTEMPTS.c.outcome.is_(None))
    found = found.order_by(ATTEMPTS.c.started_at, ATTEMPTS.c.id)
    grouped: dict[str, list[Attempt]] = defaultdict(list)
    for row in (await tx.connection.execute(found)).mappings():
        grouped[row["reset_id"]].append(attempt_of(row))
    return {reset_id: tuple(grouped[reset_id]) for reset_id in ids}


async def acts_after(tx: Tx, after: Mapping[str, int]) -> dict[str, tuple[Act, ...]]:
    """Acts of each reset with a larger id than the one given for it, in order."""
    grouped: dict[str, list[Act]] = defaultdict(list)
    found = select(ACTS).where(ACTS.c.reset_id.in_(list(after)), ACTS.c.id > min(after.values(), default=0))
    for row in (await tx.connection.execute(found.order_by(ACTS.c.id))).mappings():
        if row["id"] > after[row["reset_id"]]:
            grouped[row["reset_id"]].append(act_of(row))
    return {reset_id: tuple(grouped[reset_id]) for reset_id in after}


async def history(tx: Tx, reset_id: ResetId, after: int) -> tuple[HistoryEntry, ...]:
    """Lines of history above a sequence."""
    found = select(HISTORY).where(HISTORY.c.reset_id == reset_id, HISTORY.c.sequence > after)
    rows = (await tx.connection.execute(found.order_by(HISTORY.c.sequence))).mappings()
    return tuple(history_of(row) for row in rows)


async def backups(tx: Tx, reset_id: ResetId | None) -> tuple[Mapping[str, Any], ...]:
    """Backups, newest first."""
    found = select(BACKUPS).order_by(BACKUPS.c.id.desc())
    if reset_id is not None:
        found = found.where(BACKUPS.c.reset_id == reset_id)
    return tuple(dict(row) for row in (await tx.connection.execute(found)).mappings())


async def dead_letters(tx: Tx, limit: int) -> tuple[Mapping[str, Any], ...]:
    """Dead letters, newest first, with what became of their messages."""
    found = (
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
    return tuple(dict(row) for row in (await tx.connection.execute(found)).mappings())


async def protected(tx: Tx) -> Mapping[ResourceKey, str]:
    """Remembered protected resources."""
    found = select(PROTECTED.c.key, PROTECTED.c.environment)
    return {row.key: row.environment for row in await tx.connection.execute(found)}
