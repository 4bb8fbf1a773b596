"""The state database as a whole: its own id, and how far it has come."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, select, update
from sqlalchemy.dialects import postgresql, sqlite
from uuid_utils import uuid7

from daemon.adapters.store import auditing
from daemon.adapters.store.connections.transactions import Order, Tx
from daemon.adapters.store.leases import locking
from daemon.adapters.store.outbox import history
from daemon.adapters.store.outbox.messages import MESSAGES, message_of
from daemon.adapters.store.rows import ENVIRONMENTS, OUTBOX, SEEN_EVENTS, STATE, event_key
from daemon.ports.store.state import Lost
from schemas.audit import AuditEntry
from schemas.marks import Position


async def state_id(tx: Tx) -> str:
    """The id; drawn where there is none yet."""
    await tx.in_order(Order.IDS)
    found: str | None = (await tx.connection.execute(select(STATE.c.id))).scalar_one_or_none()
    if found is None:
        found = str(uuid7())
        await tx.connection.execute(STATE.insert().values(id=found))
    return found


async def newest(tx: Tx) -> Position:
    """The newest row of the outbox. Rows become visible in the order of their ids (`Order.IDS`)."""
    last = MESSAGES.order_by(OUTBOX.c.id.desc()).limit(1)
    row = (await tx.connection.execute(last)).mappings().one_or_none()
    return Position(number=0, digest="") if row is None else _position(row)


async def contains(tx: Tx, position: Position) -> bool:
    """Whether that very row is there."""
    if position.number == 0:
        return True
    found = MESSAGES.where(OUTBOX.c.id == position.number)
    row = (await tx.connection.execute(found)).mappings().one_or_none()
    return row is not None and _position(row) == position


async def adopt(
    tx: Tx, entry: AuditEntry, events: Sequence[tuple[str, str]], lost: Lost, now: datetime
) -> None:
    """A line of the audit, and what a newer state handled, told and touched."""
    known = (await tx.connection.execute(select(ENVIRONMENTS.c.name))).scalars()
    await history.hold_environments(tx, [*known, *lost.environments])
    raising = update(ENVIRONMENTS).values(
        # Each reset told something: so many statuses are of no more resets.
        last_number=ENVIRONMENTS.c.last_number + lost.statuses,
        sequence=ENVIRONMENTS.c.sequence + lost.statuses,
    )
    await tx.connection.execute(raising)
    await locking.supersede(tx, sorted(lost.resets))
    rows = [
        {"key": event_key(*event), "source": event[0], "event_id": event[1], "reset_id": None, "seen_at": now}
        for event in sorted(set(events))
    ]
    if rows:
        dialect = postgresql if tx.postgres else sqlite
        await tx.connection.execute(dialect.insert(SEEN_EVENTS).on_conflict_do_nothing(), rows)
    await auditing.append(tx, [entry])


def _position(row: RowMapping) -> Position:
    """By what was to be published, not by whether it was; not by how a version of ours writes a status."""
    if row["reset_id"] is None:
        message = message_of(row)
        content: tuple[Any, ...] = (message.topic, message.key, message.value, message.headers)
    else:
        content = (row["topic"], row["reset_id"], row["sequence"], row["hash"])
    digest = hashlib.sha256(repr(content).encode())
    return Position(number=row["id"], digest=digest.hexdigest()[:32])
