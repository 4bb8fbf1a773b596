"""Acts: appended, and never changed but for the mark that says that the lease holder has read them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import insert, select

from daemon.adapters.store.connections.transactions import Tx, TxLock
from daemon.adapters.store.rows import act_row
from daemon.adapters.store.tables import ACTS, RESETS
from daemon.ports.errors import PermanentError
from schemas.reasons import Reason
from schemas.resets import Act


async def append(tx: Tx, acts: Sequence[Act]) -> list[Act]:
    """Append acts, and return them with their ids and their resets' last statuses.

    Ids grow in the order of the commits.

    Raises:
        PermanentError: `unknown-reset`.
    """
    await tx.take_lock(TxLock.IDS)
    sequences = select(RESETS.c.id, RESETS.c.sequence).where(RESETS.c.id.in_({act.reset_id for act in acts}))
    last = {row.id: row.sequence for row in await tx.connection.execute(sequences)}
    if unknown := next((act.reset_id for act in acts if act.reset_id not in last), None):
        raise PermanentError(Reason.UNKNOWN_RESET, f"there is no reset {unknown}")
    acts = [act.model_copy(update={"last_status": last[act.reset_id]}) for act in acts]
    inserting = insert(ACTS).returning(ACTS.c.id, sort_by_parameter_order=True)
    ids = (await tx.connection.execute(inserting, [act_row(act) for act in acts])).scalars().all()
    return [act.model_copy(update={"id": act_id}) for act, act_id in zip(acts, ids, strict=True)]
