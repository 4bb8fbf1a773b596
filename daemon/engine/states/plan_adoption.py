"""Taking a plan for a reset: steps carry over what was done under the plan before, and consent is to the new hash."""

from __future__ import annotations

from daemon.engine.leased_reset import LeasedReset
from daemon.engine.states.waiting import WaitingLimits
from daemon.ports.clock import Clock
from schemas.plan import Plan
from statemachines.lifecycle import Trigger
from statemachines.reset_update import ResetUpdate
from statemachines.steps.resuming import carried_over


async def adopt_plan(
    leased: LeasedReset, plan: Plan, clock: Clock, *, limits: WaitingLimits, replanned: bool = False
) -> None:
    """Store the plan and lead the reset on: to `planned`, `awaiting-approval` or `queued`.

    `replanned`: the plan replaces the one that the reset was queued with. The locks of that plan are let go. Consent to
    another plan is void in any case.
    """
    used = await _attempt_numbers(leased)
    steps = [
        carried_over(leased.plan, leased.steps, plan, index, used.get(planned.name, 0))
        for index, planned in enumerate(plan.steps)
    ]
    trigger = Trigger.REPLANNED if replanned else Trigger.PLANNED
    expires = None
    if leased.reset.request.dry_run:
        trigger = Trigger.DRY_RUN
    elif plan.approvals_required:
        trigger = Trigger.NEEDS_APPROVAL
        expires = limits.agree_until(leased.reset, plan, clock.now())
    await leased.commit(
        ResetUpdate(
            plan_hash=plan.hash,
            approvals_required=plan.approvals_required,
            approvals=(),
            approval_expires_at=expires,
            waiting_for=None,
        ),
        trigger=trigger,
        plan=plan,
        steps=steps,
        release_locks=replanned,
    )


async def _attempt_numbers(leased: LeasedReset) -> dict[str, int]:
    """Step -> the highest number of an attempt under any plan of the reset: an attempt's id is used once."""
    used: dict[str, int] = {}
    for attempt in await leased.attempts():
        used[attempt.step] = max(used.get(attempt.step, 0), attempt.number)
    return used
