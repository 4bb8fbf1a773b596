"""Who has to agree to a plan, and whose agreement counts."""

from __future__ import annotations

from schemas.plan import Plan
from schemas.resets import (
    Reset,
)


def consenting(reset: Reset) -> tuple[str, ...]:
    """Who agreed to the present plan and counts: each person once, nobody who asked for the reset.

    Somebody who approved may have joined the request later; then the approval counts no longer.
    """
    asked = {person(name) for name in reset.requested_by}
    people: dict[str, str] = {}
    for approval in reset.approvals:
        who = person(approval.actor)
        if approval.plan_hash == reset.plan_hash and who not in asked:
            people.setdefault(who, approval.actor)
    return tuple(people.values())


def lacks_consent(reset: Reset) -> bool:
    """Whether fewer people agreed to the present plan than it needs."""
    return len(consenting(reset)) < reset.approvals_required


def needs_consent(plan: Plan | None, reset: Reset) -> bool:
    """Whether consent is needed for what the reset touches."""
    return reset.approvals_required > 0 or (plan is not None and any(one.protected for one in plan.resources))


def person(name: str) -> str:
    """Names are compared without regard to case and spaces around them: `Ana` must not approve for `ana`."""
    return name.strip().casefold()
