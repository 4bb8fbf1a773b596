"""The state database as a whole: its own id, how far it has come, and how it takes a lost state's place."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, select, update
from sqlalchemy.dialects import postgresql, sqlite
from uuid_utils import uuid7

from daemon.adapters.store import auditing, protection
from daemon.adapters.store.connections.transactions import Tx, TxLock
from daemon.adapters.store.leases import locking
from daemon.adapters.store.outbox import history
from daemon.adapters.store.outbox.messages import MESSAGES, message_from_row
from daemon.adapters.store.retention import refused_names
from daemon.adapters.store.retention.removal import OUTBOX_PRUNED, counter
from daemon.adapters.store.rows import event_key
from daemon.adapters.store.tables import ENVIRONMENTS, OUTBOX, SEEN_EVENTS, STATE
from daemon.ports.store.state import Lost
from schemas.audit import AuditEntry
from schemas.marks import Position


async def state_id(tx: Tx) -> str:
    """Return the id of this state database; draw it where there is none yet."""
    await tx.take_lock(TxLock.IDS)
    drawn: str | None = (await tx.connection.execute(select(STATE.c.id))).scalar_one_or_none()
    if drawn is None:
        drawn = str(uuid7())
        await tx.connection.execute(STATE.insert().values(id=drawn))
    return drawn


async def newest_position(tx: Tx) -> Position:
    """Return the newest row of the outbox. Rows become visible in the order of their ids (`TxLock.IDS`)."""
    newest = MESSAGES.order_by(OUTBOX.c.id.desc()).limit(1)
    row = (await tx.connection.execute(newest)).mappings().one_or_none()
    return Position(number=0, digest="") if row is None else _position(row)


async def contains(tx: Tx, position: Position) -> bool:
    """Tell whether the outbox has that very row, or had it before it was pruned."""
    if position.number == 0:
        return True
    same_id = MESSAGES.where(OUTBOX.c.id == position.number)
    row = (await tx.connection.execute(same_id)).mappings().one_or_none()
    if row is None:
        return position.number < await counter(tx, OUTBOX_PRUNED)
    return _position(row) == position


async def adopt(
    tx: Tx, entry: AuditEntry, events: Sequence[tuple[str, str]], lost: Lost, now: datetime
) -> None:
    """Record the adoption: a line of the audit, and what the lost state handled, told and touched."""
    known = (await tx.connection.execute(select(ENVIRONMENTS.c.name))).scalars()
    await history.lock_environments(tx, [*known, *lost.environments])
    # Each reset told at least one status, so `lost.statuses` is also the most resets that may be unknown here.
    raising = update(ENVIRONMENTS).values(
        last_number=ENVIRONMENTS.c.last_number + lost.statuses,
        sequence=ENVIRONMENTS.c.sequence + lost.statuses,
    )
    await tx.connection.execute(raising)
    await refused_names.raise_counters(tx, lost.statuses)
    await locking.supersede(tx, sorted(lost.resets))
    rows = [
        {"key": event_key(*event), "source": event[0], "event_id": event[1], "reset_id": None, "seen_at": now}
        for event in sorted(set(events))
    ]
    if rows:
        dialect = postgresql if tx.postgres else sqlite
        await tx.connection.execute(dialect.insert(SEEN_EVENTS).on_conflict_do_nothing(), rows)
    await protection.void_words(tx, entry.actor, now)
    await auditing.append(tx, [entry])


def _position(row: RowMapping) -> Position:
    """Return the position of a row of `MESSAGES`.

    Its digest covers what was to be published, not whether it was; and not how this version writes a status, since
    another version writes it otherwise.
    """
    if row["reset_id"] is None:
        message = message_from_row(row)
        content: tuple[Any, ...] = (message.topic, message.key, message.value, message.headers)
    else:
        content = (row["topic"], row["reset_id"], row["sequence"], row["hash"])
    digest = hashlib.sha256(repr(content).encode())
    return Position(number=row["id"], digest=digest.hexdigest()[:32])
