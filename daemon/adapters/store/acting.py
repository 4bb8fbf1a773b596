"""Acts: appended, never changed but for the mark that says they were read."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import insert

from daemon.adapters.store.rows import ACTS, act_row
from daemon.adapters.store.transactions import Order, Tx
from schemas.resets import Act


async def insert_acts(tx: Tx, acts: Sequence[Act]) -> list[Act]:
    """Append; their ids grow in the order of the commits."""
    await tx.in_order(Order.IDS)
    appending = insert(ACTS).returning(ACTS.c.id, sort_by_parameter_order=True)
    ids = (await tx.connection.execute(appending, [act_row(act) for act in acts])).scalars().all()
    return [act.model_copy(update={"id": new}) for act, new in zip(acts, ids, strict=True)]
