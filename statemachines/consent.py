"""Who has to agree to a plan, and whose agreement counts."""

from __future__ import annotations

from schemas.plan import Plan
from schemas.resets import Reset


def consenting(reset: Reset) -> tuple[str, ...]:
    """List the people whose approval of the present plan counts, each once, as they first wrote their name.

    Approvals of people who asked for the reset do not count, also where they joined the request after they approved.
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
    """Whether the reset touches something that needs consent, given or not."""
    if reset.approvals_required > 0:
        return True
    return plan is not None and any(resource.protected for resource in plan.resources)


def person(name: str) -> str:
    """Return a name as it is compared: without case and outer spaces, so that `Ana` cannot approve for `ana`."""
    return name.strip().casefold()
