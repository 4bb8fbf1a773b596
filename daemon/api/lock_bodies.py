"""Bodies in which the API shows locks."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.api.context import ApiContext
from daemon.api.tokens import Caller
from daemon.ports.store.queries import LockRow
from schemas.api import LockBody
from schemas.wire import ResetId


async def lock_bodies(context: ApiContext, caller: Caller, rows: Sequence[LockRow]) -> tuple[LockBody, ...]:
    """Make the bodies of the locks that the caller may see, held or asked for, in the order of `rows`.

    A lock that is asked for names the resets that come before it on its resource. So `rows` has to hold all locks: one
    that the caller may not see can come before another.
    """
    ids = {row.reset_id for row in rows if caller.sees(row.environment)}
    found = [await context.store.find(reset_id) for reset_id in sorted(ids)]
    references = {reset.id: f"{reset.environment}/{reset.number}" for reset in found if reset is not None}
    return tuple(
        LockBody(
            key=row.key,
            reset_id=row.reset_id,
            reference=references[row.reset_id],
            environment=row.environment,
            granted=row.granted,
            ticket=row.ticket,
            since=row.since,
            waits_for=() if row.granted else _before(row, rows),
        )
        for row in rows
        if row.reset_id in references
    )


def _before(mine: LockRow, rows: Sequence[LockRow]) -> tuple[ResetId, ...]:
    others = [row for row in rows if row.key == mine.key and row.reset_id != mine.reset_id]
    before = [row for row in others if row.granted or row.ticket < mine.ticket]
    return tuple(row.reset_id for row in sorted(before, key=lambda row: (not row.granted, row.ticket)))
