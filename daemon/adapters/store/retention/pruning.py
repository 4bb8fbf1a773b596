"""One pruning: a bounded batch of each kind of row, in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import func, select

from daemon.adapters.store.connections.transactions import Tx, TxLock
from daemon.adapters.store.retention import candidates, refused_names
from daemon.adapters.store.retention.records import prune_records
from daemon.adapters.store.retention.removal import remove
from schemas.retention import GROWING, Pruned, Retention
from schemas.tables import Row


async def prune(tx: Tx, retention: Retention, *, now: datetime, limit: int) -> Pruned:
    """Remove what is too old or too much.

    It takes all locks first, so that nobody refers to what goes. From then on it waits for no row: rows that others
    have locked are passed over.
    """
    for lock in (TxLock.INTAKE, TxLock.LOCKS, TxLock.IDS):
        await tx.take_lock(lock)
    removed: Counter[str] = Counter(environments=await refused_names.give_up_environments(tx, limit))
    newest = await candidates.newest_message(tx)
    answers = await candidates.answers(tx, retention, now=now, newest=newest, limit=limit)
    over = await candidates.over(tx, retention, now=now, newest=newest, limit=limit)
    await refused_names.keep_what_is_left(tx, answers)
    removed.update(await remove(tx, answers, answers=True))
    removed.update(await remove(tx, over, answers=False))
    removed.update(await prune_records(tx, retention, now=now, newest=newest, limit=limit))
    removed["refusals"] = await refused_names.give_up_names(tx, retention, now=now, limit=limit)
    return Pruned({table: rows for table, rows in sorted(removed.items()) if rows}, (*answers, *over))


async def table_sizes(tx: Tx) -> Mapping[str, int]:
    """Count the rows of each table that grows."""
    return {
        name: (
            await tx.connection.execute(select(func.count()).select_from(Row.metadata.tables[name]))
        ).scalar_one()
        for name in GROWING
    }
