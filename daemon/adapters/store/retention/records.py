"""What came in, went out or was learned, and is too old or too much; and the audit of what is gone."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, String, Table, cast, distinct, exists, func, or_, select, tuple_

from daemon.adapters.store.connections.transactions import Tx
from daemon.adapters.store.retention.candidates import HAS_NOTHING_TO_RESUME
from daemon.adapters.store.retention.removal import delete_where, remove_messages
from daemon.adapters.store.tables import (
    AUDIT,
    AUDIT_HEADS,
    DEAD_LETTERS,
    IDEMPOTENCY_KEYS,
    LEARNED,
    LOCK_HISTORY,
    OUTBOX,
    OUTBOX_WAITING,
    PENDING_ACTS,
    RESETS,
    SEEN_EVENTS,
)
from schemas.retention import Retention
from statemachines.history.audit import DAEMON


async def prune_records(
    tx: Tx, retention: Retention, *, now: datetime, newest: int, limit: int
) -> dict[str, int]:
    """Remove up to `limit` rows of each kind, and count them by table. The transaction has `TxLock.IDS`."""
    removed: dict[str, int] = {"lock_history": await _locks(tx, limit)}
    if retention.records is not None:
        before = now - retention.records
        removed["seen_events"] = await _events(tx, before, limit)
        removed["idempotency_keys"] = await _keys(tx, before, limit)
        removed["outbox"] = await _messages(tx, before, newest, limit)
        removed["pending_acts"] = await _acts(tx, before, retention.most_pending, limit)
        letters, messages = await _letters(tx, before, newest, retention.most_letters, limit)
        removed["dead_letters"] = letters
        removed["outbox"] += messages
    if retention.resets is not None:
        removed["learned"] = await _learned(tx, now - retention.resets, limit)
    if retention.audit is not None:
        removed["audit"], removed["audit_heads"] = await _audit(tx, now - retention.audit, limit)
    return removed


async def _events(tx: Tx, before: datetime, limit: int) -> int:
    """An act may name a reset by its event. So the event of a reset that is not over stays."""
    due = (
        select(SEEN_EVENTS.c.key)
        .outerjoin(RESETS, RESETS.c.id == SEEN_EVENTS.c.reset_id)
        .where(SEEN_EVENTS.c.seen_at < before, or_(SEEN_EVENTS.c.reset_id.is_(None), HAS_NOTHING_TO_RESUME))
        .limit(limit)
    )
    return await delete_where(tx, SEEN_EVENTS, SEEN_EVENTS.c.key.in_(due))


async def _keys(tx: Tx, before: datetime, limit: int) -> int:
    columns = (IDEMPOTENCY_KEYS.c.channel, IDEMPOTENCY_KEYS.c.environment, IDEMPOTENCY_KEYS.c.key)
    due = (
        select(*columns)
        .join(RESETS, RESETS.c.id == IDEMPOTENCY_KEYS.c.reset_id)
        .where(HAS_NOTHING_TO_RESUME, RESETS.c.updated_at < before)
        .limit(limit)
    )
    return await delete_where(tx, IDEMPOTENCY_KEYS, tuple_(*columns).in_(due))


async def _messages(tx: Tx, before: datetime, newest: int, limit: int) -> int:
    due = select(OUTBOX.c.id).where(
        OUTBOX.c.published_at < before,
        OUTBOX.c.id < newest,
        ~exists().where(DEAD_LETTERS.c.outbox_id == OUTBOX.c.id),
    )
    ids = (await tx.connection.execute(due.order_by(OUTBOX.c.id).limit(limit))).scalars().all()
    return await remove_messages(tx, ids)


async def _letters(tx: Tx, before: datetime, newest: int, most: int, limit: int) -> tuple[int, int]:
    kept = await _oldest_kept(tx, DEAD_LETTERS, most)
    due = (
        select(DEAD_LETTERS.c.id, DEAD_LETTERS.c.outbox_id)
        .join(OUTBOX, OUTBOX.c.id == DEAD_LETTERS.c.outbox_id)
        .where(
            ~OUTBOX_WAITING, OUTBOX.c.id < newest, or_(DEAD_LETTERS.c.at < before, DEAD_LETTERS.c.id < kept)
        )
        .order_by(DEAD_LETTERS.c.id)
        .limit(limit)
    )
    rows = (await tx.connection.execute(due)).all()
    letters = await delete_where(tx, DEAD_LETTERS, DEAD_LETTERS.c.id.in_([row.id for row in rows]))
    return letters, await remove_messages(tx, [row.outbox_id for row in rows])


async def _acts(tx: Tx, before: datetime, most: int, limit: int) -> int:
    kept = await _oldest_kept(tx, PENDING_ACTS, most)
    due = select(PENDING_ACTS.c.id).where(or_(PENDING_ACTS.c.at < before, PENDING_ACTS.c.id < kept))
    due = due.order_by(PENDING_ACTS.c.id).limit(limit)
    return await delete_where(tx, PENDING_ACTS, PENDING_ACTS.c.id.in_(due))


async def _oldest_kept(tx: Tx, table: Table, most: int) -> int:
    """Return the id of the oldest of the newest `most` rows; 0 where there are no more."""
    oldest = select(table.c.id).order_by(table.c.id.desc()).offset(max(most - 1, 0)).limit(1)
    kept: int | None = (await tx.connection.execute(oldest)).scalar_one_or_none()
    return kept or 0


async def _locks(tx: Tx, limit: int) -> int:
    """A reset that is gone leaves its locks' history where it is one of the last two holders: it superseded others."""
    later = LOCK_HISTORY.alias("later")
    later_holders = (
        select(func.count(distinct(later.c.reset_id)))
        .where(
            later.c.key == LOCK_HISTORY.c.key,
            later.c.id > LOCK_HISTORY.c.id,
            later.c.reset_id != LOCK_HISTORY.c.reset_id,
        )
        .correlate(LOCK_HISTORY)
        .scalar_subquery()
    )
    due = select(LOCK_HISTORY.c.id).where(
        LOCK_HISTORY.c.released_at.is_not(None),
        ~exists().where(RESETS.c.id == LOCK_HISTORY.c.reset_id),
        later_holders >= _HOLDERS_KEPT,
    )
    return await delete_where(tx, LOCK_HISTORY, LOCK_HISTORY.c.id.in_(due.limit(limit)))


_HOLDERS_KEPT = 2
"""One may be the reset that is asked about. Then the other one superseded it."""


async def _learned(tx: Tx, before: datetime, limit: int) -> int:
    """What was learned of an image stays as long as no other image taught the same step as much since."""
    later = LEARNED.alias("later")
    same = [later.c[name] == LEARNED.c[name] for name in ("environment", "step", "check_name")]
    # `json` has no equality in PostgreSQL.
    same += [
        cast(later.c[name], String) == cast(LEARNED.c[name], String) for name in ("options", "integrations")
    ]
    due = select(LEARNED.c.key).where(LEARNED.c.at < before, exists().where(*same, later.c.at > LEARNED.c.at))
    return await delete_where(tx, LEARNED, LEARNED.c.key.in_(due.order_by(LEARNED.c.at).limit(limit)))


async def _audit(tx: Tx, before: datetime, limit: int) -> tuple[int, int]:
    """Remove whole chains whose last line is old and whose reset is gone."""
    due: ColumnElement[bool] = AUDIT_HEADS.c.chain != DAEMON
    last = (AUDIT.c.chain == AUDIT_HEADS.c.chain) & (AUDIT.c.number == AUDIT_HEADS.c.number)
    old = (
        select(AUDIT_HEADS.c.chain)
        .join(AUDIT, last)
        .where(due, AUDIT.c.at < before, ~exists().where(RESETS.c.id == AUDIT_HEADS.c.chain))
        .limit(limit)
    )
    chains = (await tx.connection.execute(old)).scalars().all()
    if not chains:
        return 0, 0
    lines = await delete_where(tx, AUDIT, AUDIT.c.chain.in_(chains))
    return lines, await delete_where(tx, AUDIT_HEADS, AUDIT_HEADS.c.chain.in_(chains))
