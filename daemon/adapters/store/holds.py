"""Holds: granted beside the locks of resets, and looked at whenever a reset asks for locks.

Each of these takes `TxLock.LOCKS`, so a reset and a person never get the same at once. A hold whose time is over by the
database's clock is ended by whoever sees that first, for good: a clock that is set back does not bring it back.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, select, update

from daemon.adapters.store import auditing
from daemon.adapters.store.connections.transactions import Tx, TxLock
from daemon.adapters.store.outbox import history
from daemon.adapters.store.tables import HOLDS, LOCKS
from daemon.ports.store.restraints import HoldAnswer, HoldChanges, StandingHold
from schemas.audit import AuditEntry
from schemas.holds import Hold, KeptHold
from schemas.records import Message
from schemas.wire import ResourceKey
from statemachines.holds import Held, at_work, contradicts, holding

_KEPT_IN_SIGHT = timedelta(days=1)
"""How long an expired hold is still given: a worker whose clock is behind has it in force."""


async def hold(tx: Tx, asked: Hold, entry: AuditEntry, *, after: bool) -> HoldAnswer:
    """Give a hold, or say who is in its way. A hold of the same person and environment gets the new end and reason."""
    await tx.take_lock(TxLock.LOCKS)
    await _end_expired(tx)
    standing = await _unended(tx)
    if (theirs := contradicts(asked, standing)) is not None:
        return HoldAnswer(held=await _one(tx, theirs.id))
    mine = next((each for each in standing if each.environment == asked.environment), None)
    resets = at_work(asked, await _granted(tx))
    if resets and not after and (mine is None or mine.granted_at is None):
        return HoldAnswer(at_work=resets)
    if mine is not None:
        changes: dict[str, Any] = {
            "expires_at": asked.expires_at,
            "reason": asked.reason,
            "keys": sorted({*mine.keys, *(asked.keys if not resets else ())}),
            "told_at": None,
        }
        await tx.connection.execute(update(HOLDS).where(HOLDS.c.id == mine.id).values(changes))
    else:
        values = asked.model_dump() | {"keys": list(asked.keys)}
        granted = None if resets else tx.clock()
        await tx.connection.execute(HOLDS.insert().values(**values, granted_at=granted))
    given = await _one(tx, mine.id if mine is not None else asked.id)
    await auditing.append(tx, [entry.model_copy(update={"facts": {**entry.facts, "hold": given.id}})])
    return HoldAnswer(given=given, at_work=resets if given.granted_at is None else ())


async def unhold(tx: Tx, hold_id: str, entry: AuditEntry) -> KeptHold | None:
    """End a hold in force, in the name of the audit's actor; None where it is over."""
    await tx.take_lock(TxLock.LOCKS)
    ending = (
        update(HOLDS)
        .where(HOLDS.c.id == hold_id, HOLDS.c.ended_at.is_(None), HOLDS.c.expires_at > tx.clock())
        .values(ended_at=tx.clock(), ended_by=entry.actor)
        .returning(HOLDS.c.id)
    )
    if (await tx.connection.execute(ending)).scalar_one_or_none() is None:
        return None
    await auditing.append(tx, [entry])
    return await _one(tx, hold_id)


async def standing(tx: Tx) -> tuple[StandingHold, ...]:
    """Return the holds that nobody ended and that did not expire long ago, oldest first."""
    asked = (
        select(HOLDS, tx.clock().label("read_at"))
        .where(HOLDS.c.ended_by.is_(None))
        .where(HOLDS.c.expires_at > tx.clock(plus=-_KEPT_IN_SIGHT.total_seconds()))
        .order_by(HOLDS.c.id)
    )
    rows = (await tx.connection.execute(asked)).mappings().all()
    granted = await _granted(tx) if rows else ()
    return tuple(_standing(row, granted) for row in rows)


async def kept(tx: Tx, limit: int) -> tuple[KeptHold, ...]:
    """Return holds, newest first, also those that are over."""
    asked = select(HOLDS).order_by(HOLDS.c.id.desc()).limit(limit)
    return tuple(_kept(row) for row in (await tx.connection.execute(asked)).mappings())


async def settle(tx: Tx) -> HoldChanges:
    """End the holds whose time is over, and grant those that nothing is in the way of any more."""
    if (
        await tx.connection.execute(select(HOLDS.c.id).where(HOLDS.c.ended_at.is_(None)).limit(1))
    ).first() is None:
        return HoldChanges()
    await tx.take_lock(TxLock.LOCKS)
    expired = await _end_expired(tx)
    waiting = [each for each in await _unended(tx) if each.granted_at is None]
    granted = await _granted(tx) if waiting else ()
    free = [each.id for each in waiting if not at_work(each, granted)]
    if free:
        await tx.connection.execute(update(HOLDS).where(HOLDS.c.id.in_(free)).values(granted_at=tx.clock()))
    return HoldChanges(expired, tuple([await _one(tx, hold_id) for hold_id in free]))


async def tell_end(tx: Tx, hold_id: str, expires_at: datetime, message: Message) -> bool:
    """Put the message of a hold's end into the outbox, unless that was done, or the hold has ended or another end."""
    telling = (
        update(HOLDS)
        .where(HOLDS.c.id == hold_id, HOLDS.c.ended_at.is_(None), HOLDS.c.told_at.is_(None))
        .where(HOLDS.c.expires_at == expires_at)
        .values(told_at=tx.clock())
        .returning(HOLDS.c.id)
    )
    if (await tx.connection.execute(telling)).scalar_one_or_none() is None:
        return False
    await tx.take_lock(TxLock.IDS)
    await history.append(tx, [], others=[message])
    return True


async def keeping_away(
    tx: Tx, environments: Collection[str], keys: Collection[ResourceKey]
) -> KeptHold | None:
    """Return the hold that keeps such a reset away; None where none does. The transaction has `TxLock.LOCKS`."""
    standing_now = await _unended(tx)
    if not standing_now:
        return None
    found = holding(standing_now, environments, keys)
    if found is None:
        return None
    await _end_expired(tx)
    again = holding(await _unended(tx), environments, keys)
    return None if again is None else await _one(tx, again.id)


async def _end_expired(tx: Tx) -> tuple[KeptHold, ...]:
    ending = (
        update(HOLDS)
        .where(HOLDS.c.ended_at.is_(None), HOLDS.c.expires_at <= tx.clock())
        .values(ended_at=tx.clock())
        .returning(HOLDS)
    )
    return tuple(_kept(row) for row in (await tx.connection.execute(ending)).mappings())


async def _unended(tx: Tx) -> tuple[KeptHold, ...]:
    asked = select(HOLDS).where(HOLDS.c.ended_at.is_(None)).order_by(HOLDS.c.id)
    return tuple(_kept(row) for row in (await tx.connection.execute(asked)).mappings())


async def _one(tx: Tx, hold_id: str) -> KeptHold:
    return _kept((await tx.connection.execute(select(HOLDS).where(HOLDS.c.id == hold_id))).mappings().one())


async def _granted(tx: Tx) -> Sequence[Held]:
    rows = select(LOCKS.c.key, LOCKS.c.reset_id, LOCKS.c.environment, LOCKS.c.ticket).where(LOCKS.c.granted)
    return [Held(**row) for row in (await tx.connection.execute(rows)).mappings()]


def _standing(row: RowMapping, granted: Sequence[Held]) -> StandingHold:
    values = dict(row)
    now = values.pop("read_at")
    each = _kept(values)
    moment = now if now.tzinfo else now.replace(tzinfo=UTC)
    resets = at_work(each, granted) if each.granted_at is None else ()
    return StandingHold(each, (each.expires_at - moment).total_seconds(), resets)


def _kept(row: RowMapping | dict[str, Any]) -> KeptHold:
    return KeptHold.model_validate({name: row[name] for name in KeptHold.model_fields})
