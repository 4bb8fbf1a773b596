"""Publishing from the outbox: who may, what waits, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from daemon.adapters.store.connections.transactions import Tx
from daemon.adapters.store.outbox.messages import MESSAGES, message_from_row
from daemon.adapters.store.tables import OUTBOX, OUTBOX_WAITING, PUBLISHERS
from daemon.ports.store.outbox import OutboxRow

_OUTBOX = "outbox"
"""The one row of `publishers`."""
COUNT_UNPUBLISHED = select(func.count()).select_from(OUTBOX).where(OUTBOX_WAITING)


async def may_publish(tx: Tx, owner: str, *, ttl: float) -> bool:
    """Take or renew the right to publish for `ttl` seconds, and tell whether `owner` has it now."""
    dialect = postgresql if tx.postgres else sqlite
    taking = dialect.insert(PUBLISHERS).values(name=_OUTBOX, owner=owner, until=tx.clock(plus=ttl))
    taking = taking.on_conflict_do_update(
        index_elements=["name"],
        set_={"owner": taking.excluded.owner, "until": taking.excluded.until},
        where=(PUBLISHERS.c.owner == owner) | (PUBLISHERS.c.until <= tx.clock()),
    )
    return (await tx.connection.execute(taking.returning(PUBLISHERS.c.owner))).first() is not None


async def unpublished(tx: Tx, limit: int) -> tuple[OutboxRow, ...]:
    """Return the oldest messages that wait, in order."""
    waiting = MESSAGES.where(OUTBOX_WAITING).order_by(OUTBOX.c.id).limit(limit)
    rows = (await tx.connection.execute(waiting)).mappings()
    return tuple(OutboxRow(row["id"], message_from_row(row)) for row in rows)


async def count_unpublished(tx: Tx) -> int:
    """Count the messages that wait."""
    count: int = (await tx.connection.execute(COUNT_UNPUBLISHED)).scalar_one()
    return count


async def mark_published(tx: Tx, ids: Sequence[int], refused: Mapping[int, str], now: datetime) -> None:
    """Mark messages as published, or as refused for good with why."""
    accepted = [outbox_id for outbox_id in ids if outbox_id not in refused]
    if accepted:
        await tx.connection.execute(update(OUTBOX).where(OUTBOX.c.id.in_(accepted)).values(published_at=now))
    for outbox_id, why in refused.items():
        await tx.connection.execute(update(OUTBOX).where(OUTBOX.c.id == outbox_id).values(refused=why))
