"""Asking people again for their consent to the present plan: theirs was spent before a stop, or is too old."""

from __future__ import annotations

from datetime import datetime

from daemon.engine.leased_reset import LeasedReset
from daemon.engine.states.waiting import WaitingLimits
from schemas.reasons import TEXTS, Reason
from statemachines.lifecycle import Trigger
from statemachines.reset_update import ResetUpdate
from statemachines.steps.progress import to_run_again
from statemachines.steps.resuming import to_repeat


async def ask_again(
    leased: LeasedReset, now: datetime, limits: WaitingLimits, *, reason: Reason | None = None
) -> None:
    """Lead the reset to `awaiting-approval`, with new time to approve. `reason`: why approvals it had do not count.

    It lets its locks go, so that others may write to the databases meanwhile: they are dumped again afterwards.
    """
    reset = leased.reset
    void = reason is Reason.CONSENT_VOID and reset.cause is reason
    spent = tuple(approval for approval in reset.approvals if approval.spent)
    again = to_repeat(leased.plan, leased.steps) if leased.plan is not None else ()
    await leased.commit(
        ResetUpdate(
            approvals=spent if reason is Reason.APPROVAL_EXPIRED else reset.approvals,
            approval_expires_at=limits.agree_until(reset, leased.plan, now),
            cause=reason,
            detail=reset.detail if void else TEXTS[reason] if reason is not None else None,
            waiting_for=None,
        ),
        trigger=Trigger.NEEDS_APPROVAL,
        steps=[to_run_again(leased.steps[name]) for name in again],
    )
