"""Acts: appended, never changed but for the mark that says they were read."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import insert, select

from daemon.adapters.store.connections.transactions import Order, Tx
from daemon.adapters.store.rows import ACTS, RESETS, act_row
from daemon.ports.errors import PermanentError
from schemas.reasons import Reason
from schemas.resets import Act


async def insert_acts(tx: Tx, acts: Sequence[Act]) -> list[Act]:
    """Append; their ids grow in the order of the commits, and each has its reset's last status before it.

    Raises:
        PermanentError: `unknown-reset`.
    """
    await tx.in_order(Order.IDS)
    told = select(RESETS.c.id, RESETS.c.sequence).where(RESETS.c.id.in_({act.reset_id for act in acts}))
    last = {row.id: row.sequence for row in await tx.connection.execute(told)}
    if unknown := next((act.reset_id for act in acts if act.reset_id not in last), None):
        raise PermanentError(Reason.UNKNOWN_RESET, f"there is no reset {unknown}")
    acts = [act.model_copy(update={"last_status": last[act.reset_id]}) for act in acts]
    appending = insert(ACTS).returning(ACTS.c.id, sort_by_parameter_order=True)
    ids = (await tx.connection.execute(appending, [act_row(act) for act in acts])).scalars().all()
    return [act.model_copy(update={"id": new}) for act, new in zip(acts, ids, strict=True)]


async def append(tx: Tx, act: Act) -> Act:
    """Append one.

    Raises:
        PermanentError: `unknown-reset`.
    """
    return (await insert_acts(tx, [act]))[0]
