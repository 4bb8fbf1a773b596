"""Freezes: stored, ended, and looked at in the transaction that records a reset's first destructive attempt."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import RowMapping, select, update

from daemon.adapters.store import auditing
from daemon.adapters.store.connections.transactions import Tx, TxLock
from daemon.adapters.store.tables import FREEZES
from daemon.ports.store.leases import Change
from daemon.ports.store.restraints import StandingFreeze
from schemas.audit import AuditEntry
from schemas.freezes import Freeze, KeptFreeze
from schemas.wire import ResetId
from statemachines.freezes import stopping

_KEPT_IN_SIGHT = timedelta(days=1)
"""How long an expired freeze is still given: a worker whose clock is behind has it in force."""


async def freeze(tx: Tx, given: Freeze, entry: AuditEntry) -> None:
    """Store a freeze with its line of the audit: behind every commit that did not see it, before all others."""
    await tx.take_lock(TxLock.FREEZES)
    await tx.connection.execute(FREEZES.insert(), given.model_dump())
    await auditing.append(tx, [entry])


async def unfreeze(tx: Tx, environment: str | None, entry: AuditEntry) -> tuple[Freeze, ...]:
    """End the freezes in force of exactly this environment, with a line of the audit, and return them."""
    await tx.take_lock(TxLock.FREEZES)
    mine = FREEZES.c.environment.is_(None) if environment is None else FREEZES.c.environment == environment
    ending = (
        update(FREEZES)
        .where(mine, FREEZES.c.ended_at.is_(None), FREEZES.c.expires_at > tx.clock())
        .values(ended_at=tx.clock(), ended_by=entry.actor)
        .returning(FREEZES)
    )
    ended = [_kept(row).freeze for row in (await tx.connection.execute(ending)).mappings()]
    if ended:
        named = {**entry.facts, "freezes": sorted(each.id for each in ended)}
        await auditing.append(tx, [entry.model_copy(update={"facts": named})])
    return tuple(sorted(ended, key=lambda each: each.id))


async def standing(tx: Tx) -> tuple[StandingFreeze, ...]:
    """Return the freezes that nobody ended, with the seconds that each has left by the database's clock."""
    asked = (
        select(FREEZES, tx.clock().label("read_at"))
        .where(FREEZES.c.ended_at.is_(None))
        .where(FREEZES.c.expires_at > tx.clock(plus=-_KEPT_IN_SIGHT.total_seconds()))
        .order_by(FREEZES.c.id)
    )
    rows = (await tx.connection.execute(asked)).mappings()
    return tuple(_standing(row) for row in rows)


async def kept(tx: Tx, limit: int) -> tuple[KeptFreeze, ...]:
    """Return freezes, newest first, also those that ended."""
    asked = select(FREEZES).order_by(FREEZES.c.id.desc()).limit(limit)
    return tuple(_kept(row) for row in (await tx.connection.execute(asked)).mappings())


async def frozen(tx: Tx, changes: Sequence[Change]) -> dict[ResetId, Freeze]:
    """Return those of the changes that begin to destroy something and that a freeze stops, by reset.

    From here to the end of the transaction nobody freezes anything: a freeze is stored after what did not see it.
    """
    crossing = [change for change in changes if change.crosses]
    if not crossing:
        return {}
    await tx.pipeline(tx.lock_statement(TxLock.FREEZES, shared=True))
    standing_now = [each.freeze for each in await standing(tx) if each.remaining > 0]
    stopped = {change.reset.id: stopping(standing_now, change.crosses) for change in crossing}
    return {reset_id: by for reset_id, by in stopped.items() if by is not None}


def _standing(row: RowMapping) -> StandingFreeze:
    values = dict(row)
    now = values.pop("read_at")
    each = _kept(values)
    return StandingFreeze(each.freeze, (each.expires_at - _aware(now)).total_seconds())


def _kept(row: RowMapping | dict[str, object]) -> KeptFreeze:
    return KeptFreeze.model_validate({name: row[name] for name in KeptFreeze.model_fields})


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
