"""Who has to agree to a plan, whose agreement counts, and for how long.

1. A consent is to one plan. It is spent when the first destructive step is launched on it, and looked at no more
   until the reset stops.
2. A stop (`failed`, `cancelled`, `needs-operator`) ends what was spent. Before anything more is destroyed people have
   to agree again.
3. A consent that was never spent outlasts a stop. Its age is looked at when it is used.
4. A consent includes the way back: one operator, with a reason, may roll back to the reset's own first dumps
   (`statemachines.acts`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from schemas.plan import Plan
from schemas.requests import Mode
from schemas.resets import Approval, Reset


def consenting(reset: Reset) -> tuple[str, ...]:
    """List the people whose approval of the present plan counts, each once, as they first wrote their name.

    Approvals of people who asked for the reset with a token do not count, also where they joined the request after
    they approved. A name that came by Kafka is a claim, and takes nobody's right away.
    """
    return _people(reset, (approval for approval in reset.approvals if not approval.spent))


def lacks_consent(reset: Reset) -> bool:
    """Whether fewer people agreed to the present plan than it needs to destroy anything."""
    return len(consenting(reset)) < reset.approvals_required


def never_agreed(reset: Reset) -> bool:
    """Whether fewer people ever agreed to the present plan than it needs. What destroys nothing may go on otherwise."""
    return len(_people(reset, reset.approvals)) < reset.approvals_required


def expired(reset: Reset, now: datetime) -> bool:
    """Whether the consent that the reset has is too old to be used now. One that was spent is used already."""
    expires = reset.approval_expires_at
    return reset.approvals_required > 0 and not reset.consent_spent and expires is not None and now >= expires


def usable_until(reset: Reset, ttl: timedelta) -> datetime | None:
    """Return until when the approvals that count may be used: `ttl` after the oldest of them; None without any."""
    counted = set(consenting(reset))
    given = [each.at for each in reset.approvals if each.actor in counted and _of_present_plan(reset, each)]
    return min(given) + ttl if given else None


def needs_consent(plan: Plan | None, reset: Reset) -> bool:
    """Whether the reset touches something that needs consent, given or not."""
    if reset.approvals_required > 0:
        return True
    return plan is not None and any(resource.protected for resource in plan.resources)


def known_requesters(reset: Reset) -> frozenset[str]:
    """Return those who asked for the reset with a token, as `person` writes them."""
    return frozenset(person(name) for name in reset.requested_by if name not in reset.claimed_by)


def answerable(reset: Reset) -> tuple[str, ...]:
    """Return who the reset was asked for by: the first name, whoever gave it, and all others that a token showed.

    A name in which an event joins it later is a claim, and speaks for nobody.
    """
    return tuple(
        name for index, name in enumerate(reset.requested_by) if index == 0 or name not in reset.claimed_by
    )


def needs_name(plan: Plan | None, reset: Reset) -> bool:
    """Tell whether whoever agrees has to type the environment's name: the plan wipes, and needs consent."""
    modes = {plan.mode, *plan.service_modes.values()} if plan is not None else set()
    return Mode.WIPE in modes and needs_consent(plan, reset)


def rights_needed(plan: Plan | None, reset: Reset) -> tuple[str, ...]:
    """Return the environments in each of which a person needs the role approver, for their consent to count."""
    return (plan.approvers_in if plan is not None else ()) or (reset.environment,)


def approvers_text(environments: Sequence[str]) -> str:
    """Say for people who may approve: `approver in los-demo-production and los-demo-sandbox`."""
    *others, last = environments
    return f"approver in {', '.join(others)} and {last}" if others else f"approver in {last}"


TOO_FEW = "Too few people can approve this"
"""How the warning begins that `too_few` gives."""


def too_few(able: Iterable[str], plan: Plan, askers: Iterable[str]) -> str | None:
    """Warn where fewer people can approve the plan than it needs; None where there are enough.

    `able` are those with a token that gives the role approver in each of the plan's `approvers_in`. `askers` are those
    who asked with a token: they can't approve.
    """
    asked = {person(name) for name in askers}
    left = sorted({person(name): name for name in able if person(name) not in asked}.values())
    if len(left) >= plan.approvals_required:
        return None
    who = f"only {', '.join(left)}" if left else "nobody"
    needed = f"it needs {plan.approvals_required}, and {who} has a token for it beside those who asked"
    return f"{TOO_FEW}: {needed} ({approvers_text(plan.approvers_in)})."


def person(name: str) -> str:
    """Return a name as it is compared: without case and outer spaces, so that `Ana` cannot approve for `ana`."""
    return name.strip().casefold()


def _people(reset: Reset, approvals: Iterable[Approval]) -> tuple[str, ...]:
    asked = known_requesters(reset)
    people: dict[str, str] = {}
    for approval in approvals:
        who = person(approval.actor)
        if approval.plan_hash == reset.plan_hash and who not in asked:
            people.setdefault(who, approval.actor)
    return tuple(people.values())


def _of_present_plan(reset: Reset, approval: Approval) -> bool:
    return approval.plan_hash == reset.plan_hash and not approval.spent
