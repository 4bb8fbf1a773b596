"""What is left of refused requests, a row for each name; and the counters of environments without any reset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import RowMapping, exists, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from daemon.adapters.store import queries
from daemon.adapters.store.connections.transactions import Tx
from daemon.adapters.store.retention.removal import counter, delete_where
from daemon.adapters.store.tables import COUNTERS, ENVIRONMENTS, REFUSALS, RESETS
from schemas.retention import Refusal, Retention
from schemas.wire import ResetId
from statemachines.retention import add_refused

_NUMBER, _SEQUENCE = "forgotten-number", "forgotten-sequence"
"""Counters: an environment that nothing here knows begins above them, since its name may be one that was forgotten."""


async def page(tx: Tx, limit: int) -> tuple[Refusal, ...]:
    """Return what is left of refused requests, the last one first."""
    newest = select(REFUSALS).order_by(REFUSALS.c.last_at.desc(), REFUSALS.c.environment).limit(limit)
    return tuple(_refusal(row) for row in (await tx.connection.execute(newest)).mappings())


async def unknown_until(tx: Tx, names: Iterable[str]) -> dict[str, datetime]:
    """Return until when each of these environments was known not to be there; absent where it is not remembered."""
    known = select(REFUSALS.c.environment, REFUSALS.c.unknown_until).where(
        REFUSALS.c.environment.in_(sorted(names)), REFUSALS.c.unknown_until.is_not(None)
    )
    return {row.environment: row.unknown_until for row in await tx.connection.execute(known)}


async def keep_what_is_left(tx: Tx, ids: Sequence[ResetId]) -> None:
    """Add the rejected ones of these resets to what is left of their environments' requests."""
    if not ids:
        return
    resets = await queries.resets_where(tx, RESETS.c.id.in_(ids))
    names = sorted({reset.environment for reset in resets})
    rows = (await tx.connection.execute(select(REFUSALS).where(REFUSALS.c.environment.in_(names)))).mappings()
    added = add_refused({row["environment"]: _refusal(row) for row in rows}, resets)
    if not added:
        return
    inserting = (postgresql if tx.postgres else sqlite).insert(REFUSALS)
    columns = [name for name in Refusal.model_fields if name != "environment"]
    adding = inserting.on_conflict_do_update(
        index_elements=["environment"], set_={name: inserting.excluded[name] for name in columns}
    )
    # The counters stay with the environment's own row as long as there is one.
    rows_to_add = [_row(refusal) | {"last_number": 0, "sequence": 0} for refusal in added.values()]
    await tx.connection.execute(adding, rows_to_add)


async def give_up_environments(tx: Tx, limit: int) -> int:
    """Remove the rows of environments that have no reset, and keep their counters with what is left of them.

    No reset is admitted meanwhile: the transaction has `TxLock.INTAKE`. Rows that others have locked are passed over.
    """
    without_reset = (
        select(ENVIRONMENTS)
        .where(~exists().where(RESETS.c.environment == ENVIRONMENTS.c.name))
        .order_by(ENVIRONMENTS.c.name)
        .limit(limit)
        .with_for_update(skip_locked=True, of=ENVIRONMENTS)
    )
    rows = (await tx.connection.execute(without_reset)).mappings().all()
    for row in rows:
        keeping = (
            update(REFUSALS)
            .where(REFUSALS.c.environment == row["name"])
            .values(last_number=row["last_number"], sequence=row["sequence"])
        )
        if not (await tx.connection.execute(keeping)).rowcount:
            await _raise_floors(tx, row["last_number"], row["sequence"])
    return await delete_where(tx, ENVIRONMENTS, ENVIRONMENTS.c.name.in_([row["name"] for row in rows]))


async def give_up_names(tx: Tx, retention: Retention, *, now: datetime, limit: int) -> int:
    """Remove the names that were not asked for longest, where there are too many or they are too old."""
    if retention.answers is None:
        return 0
    newest = select(REFUSALS.c.environment).order_by(REFUSALS.c.last_at.desc(), REFUSALS.c.environment)
    too_many = REFUSALS.c.environment.not_in(newest.limit(retention.most_names))
    due = select(REFUSALS).where(or_(too_many, REFUSALS.c.last_at < now - retention.answers))
    rows = (await tx.connection.execute(due.order_by(REFUSALS.c.last_at).limit(limit))).mappings().all()
    if not rows:
        return 0
    number, sequence = (max(row[name] for row in rows) for name in ("last_number", "sequence"))
    await _raise_floors(tx, number, sequence)
    names = [row["environment"] for row in rows]
    return await delete_where(tx, REFUSALS, REFUSALS.c.environment.in_(names))


async def counters_of(tx: Tx, names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return the number of the last reset and the last sequence that each environment without a row goes on from."""
    known = select(REFUSALS).where(REFUSALS.c.environment.in_(names))
    rows = {row.environment: row for row in await tx.connection.execute(known)}
    floors = await counter(tx, _NUMBER), await counter(tx, _SEQUENCE)
    return {
        name: (rows[name].last_number, rows[name].sequence)
        if name in rows and rows[name].sequence
        else floors
        for name in names
    }


async def raise_counters(tx: Tx, by: int) -> None:
    """Let all that was forgotten go on above what a lost state may have told."""
    raised = {"last_number": REFUSALS.c.last_number + by, "sequence": REFUSALS.c.sequence + by}
    await tx.connection.execute(update(REFUSALS).values(raised))
    floors = COUNTERS.c.name.in_([_NUMBER, _SEQUENCE])
    await tx.connection.execute(update(COUNTERS).where(floors).values(value=COUNTERS.c.value + by))


async def _raise_floors(tx: Tx, number: int, sequence: int) -> None:
    floors = [
        {"name": name, "value": value} for name, value in ((_NUMBER, number), (_SEQUENCE, sequence)) if value
    ]
    if not floors:
        return
    inserting = (postgresql if tx.postgres else sqlite).insert(COUNTERS)
    raising = inserting.on_conflict_do_update(
        index_elements=["name"],
        set_={"value": inserting.excluded.value},
        where=COUNTERS.c.value < inserting.excluded.value,
    )
    await tx.connection.execute(raising, floors)


def _refusal(row: RowMapping) -> Refusal:
    return Refusal.model_validate({name: row[name] for name in Refusal.model_fields})


def _row(refusal: Refusal) -> dict[str, object]:
    values = {name: getattr(refusal, name) for name in Refusal.model_fields}
    return values | {"reason": refusal.reason.value, "channel": refusal.channel.value}
