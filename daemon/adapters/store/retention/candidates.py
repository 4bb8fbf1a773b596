"""The resets that may go: those that are over and too old, and answers that are too old or too many."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select

from daemon.adapters.store.connections.transactions import Tx
from daemon.adapters.store.tables import (
    ACTS,
    BACKUPS,
    IDEMPOTENCY_KEYS,
    LOCK_HISTORY,
    LOCKS,
    OUTBOX,
    OUTBOX_WAITING,
    RESETS,
)
from schemas.resets import ResetState
from schemas.retention import Retention
from schemas.wire import ResetId
from statemachines.retention import (
    ANSWERED,
    NO_SUCH_ENVIRONMENT,
    OVER,
    REFUSED_AGAIN,
    SUPERSEDABLE,
    WAITS_FOR_ITS_ENVIRONMENT,
)

# Written as the index `ix_resets_answered` is.
_ANSWERED = RESETS.c.state.in_(sorted(state.value for state in ANSWERED))
_UNKNOWN = and_(
    RESETS.c.cause.in_(sorted(reason.value for reason in NO_SUCH_ENVIRONMENT)),
    RESETS.c.channel != WAITS_FOR_ITS_ENVIRONMENT.value,
)
_NAMES_ONE = or_(
    RESETS.c.cause.is_(None),
    RESETS.c.cause.not_in(sorted(reason.value for reason in NO_SUCH_ENVIRONMENT)),
    RESETS.c.channel == WAITS_FOR_ITS_ENVIRONMENT.value,
)
"""The opposite of `_UNKNOWN`. However many of those come, they push none of these out."""
MAY_BE_DONE_NEXT_TIME = or_(
    RESETS.c.state == ResetState.PLANNED.value,
    RESETS.c.cause.not_in(sorted(reason.value for reason in REFUSED_AGAIN)),
)
"""The condition that an answer might be another one where the very same request comes again."""
_OTHER = RESETS.alias("other")
_OTHER_IS_AN_ANSWER = _OTHER.c.state.in_(sorted(state.value for state in ANSWERED))
_THERE = _OTHER.c.environment == RESETS.c.environment


def _superseded() -> ColumnElement[bool]:
    """Make the condition that a reset stopped, and that another one held one of its resources after it."""
    held, later, again = (LOCK_HISTORY.alias(name) for name in ("held", "later", "again"))
    own = and_(held.c.reset_id == RESETS.c.id, held.c.released_at.is_not(None))
    others = and_(later.c.key == held.c.key, later.c.id > held.c.id, later.c.reset_id != RESETS.c.id)
    held_again = exists().where(
        again.c.key == held.c.key,
        again.c.reset_id == RESETS.c.id,
        again.c.released_at.is_not(None),
        again.c.id > later.c.id,
    )
    return and_(
        RESETS.c.state.in_(sorted(state.value for state in SUPERSEDABLE)),
        exists().where(own, others, ~held_again),
    )


# `statemachines.retention.is_over`, and what is superseded.
_OVER = or_(
    RESETS.c.state.in_(sorted(state.value for state in OVER)),
    and_(RESETS.c.state == ResetState.CANCELLED.value, ~RESETS.c.destroyed),
    and_(
        RESETS.c.state == ResetState.FAILED.value,
        RESETS.c.stopped_in == ResetState.PLANNING.value,
        ~RESETS.c.destroyed,
    ),
    _superseded(),
)
HAS_NOTHING_TO_RESUME = or_(_ANSWERED, _OVER)
"""The condition that a reset has no work to resume."""


async def newest_message(tx: Tx) -> int:
    """Return the id of the newest message, which always stays: by it a state knows how far it had come."""
    newest: int | None = (await tx.connection.execute(select(func.max(OUTBOX.c.id)))).scalar_one()
    return newest or 0


async def answers(
    tx: Tx, retention: Retention, *, now: datetime, newest: int, limit: int
) -> tuple[ResetId, ...]:
    """Lock and return the oldest answers that may go. Rows that others have locked are passed over."""
    if retention.answers is None:
        return ()
    promised = and_(MAY_BE_DONE_NEXT_TIME, exists().where(IDEMPOTENCY_KEYS.c.reset_id == RESETS.c.id))
    beyond = and_(await _beyond(tx, _ANSWERED & _NAMES_ONE, retention.most_answers), ~promised)
    beyond_unknown = await _beyond(tx, _ANSWERED & _UNKNOWN, retention.most_unknown)
    old = RESETS.c.updated_at < now - retention.answers
    old_unknown = and_(_UNKNOWN, or_(RESETS.c.updated_at < now - retention.unknown, beyond_unknown))
    last_of_its_environment = and_(
        ~exists().where(_THERE, _OTHER.c.number > RESETS.c.number),
        exists().where(_THERE, ~_OTHER_IS_AN_ANSWER),
    )
    due = select(RESETS.c.id).where(_ANSWERED, or_(beyond, old, old_unknown), ~last_of_its_environment)
    return await _locked(tx, due, newest, limit)


async def over(
    tx: Tx, retention: Retention, *, now: datetime, newest: int, limit: int
) -> tuple[ResetId, ...]:
    """Lock and return the oldest resets that are over and may go. Rows that others have locked are passed over."""
    if retention.resets is None:
        return ()
    due = select(RESETS.c.id).where(
        _OVER,
        RESETS.c.updated_at < now - retention.resets,
        exists().where(_THERE, _OTHER.c.number > RESETS.c.number, ~_OTHER_IS_AN_ANSWER),
        ~exists().where(BACKUPS.c.reset_id == RESETS.c.id),
        ~exists().where(IDEMPOTENCY_KEYS.c.reset_id == RESETS.c.id),
        ~exists().where(LOCKS.c.reset_id == RESETS.c.id),
    )
    return await _locked(tx, due, newest, limit)


async def _beyond(tx: Tx, among: ColumnElement[bool], most: int) -> ColumnElement[bool]:
    """Make the condition that a reset is not one of the newest `most` of these."""
    oldest = select(RESETS.c.id).where(among).order_by(RESETS.c.id.desc()).offset(max(most - 1, 0)).limit(1)
    kept: str | None = (await tx.connection.execute(oldest)).scalar_one_or_none()
    return and_(among, RESETS.c.id < (kept or ""))


async def _locked(tx: Tx, due: Select[tuple[str]], newest: int, limit: int) -> tuple[ResetId, ...]:
    told = OUTBOX.c.reset_id == RESETS.c.id
    resting = due.where(
        ~RESETS.c.live,
        or_(RESETS.c.lease_owner.is_(None), RESETS.c.lease_until <= tx.clock()),
        ~exists().where(ACTS.c.reset_id == RESETS.c.id, ~ACTS.c.seen),
        ~exists().where(told, or_(OUTBOX_WAITING, OUTBOX.c.id >= newest)),
    )
    locking = resting.order_by(RESETS.c.id).limit(limit).with_for_update(skip_locked=True, of=RESETS)
    return tuple(ResetId(found) for found in (await tx.connection.execute(locking)).scalars())
