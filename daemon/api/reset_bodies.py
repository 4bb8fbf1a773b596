"""What the API shows of what the store holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from daemon.ports.store.queries import LockRow
from schemas.api import Approvals, LockBody, ResetBody, ResetSummary
from schemas.resets import Attempt, Reset, Step
from schemas.wire import ResetId


def summary(reset: Reset) -> ResetSummary:
    """A reset in a list."""
    return ResetSummary.model_validate(_shown(reset))


def body(reset: Reset, steps: tuple[Step, ...], attempts: tuple[Attempt, ...], unread: int) -> ResetBody:
    """A reset with its steps and attempts, and how many acts are unread."""
    return ResetBody.model_validate(
        _shown(reset) | {"steps": steps, "attempts": attempts, "unread_acts": unread}
    )


def locks(rows: Sequence[LockRow], references: Mapping[ResetId, str]) -> tuple[LockBody, ...]:
    """Locks that are held or asked for, each with those that come before it on the same resource."""
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


def etag(reset: Reset) -> str:
    """Changes with each change of the reset."""
    return f'"{reset.version}"'


def _shown(reset: Reset) -> dict[str, Any]:
    values = {name: getattr(reset, name) for name in ResetSummary.model_fields if name in Reset.model_fields}
    return values | {
        "reference": f"{reset.environment}/{reset.number}",
        "approvals": Approvals(
            required=reset.approvals_required, given=reset.approvals, expires_at=reset.approval_expires_at
        ),
    }
