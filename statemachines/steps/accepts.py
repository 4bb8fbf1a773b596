"""Who has accepted what a learned check found, and how many people have to, before it is the new truth.

1. One person is enough, who on protected resources is another one than those who asked.
2. Where a protected reset was not asked for with a token nobody is known to have asked, so two people have to say the
   same: a name that came by Kafka is a claim.
3. An accept is kept with the outcome of the step that failed. It counts for that check, and for that stop of the reset,
   as long as the one who gave it may approve.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from schemas.plan import Plan
from schemas.resets import Channel, Outcome, Reset, Step
from statemachines.consent import known_requesters, needs_consent, person

ACCEPTS = "accepts"
"""The fact of an outcome: a learned check's name -> `required`, `by` (who has accepted it), `stop` (the number of stops
of the reset by then)."""

_NOBODY_KNOWN = 2


def accepts_required(plan: Plan | None, reset: Reset) -> int:
    """Return how many people have to accept what a learned check of this reset found."""
    known = reset.channel is Channel.HTTP
    return _NOBODY_KNOWN if needs_consent(plan, reset) and not known else 1


def accepted_by(outcome: Outcome, check: str, reset: Reset) -> tuple[str, ...]:
    """List who has accepted the check since the reset stopped, without those who asked for the reset with a token."""
    kept = outcome.facts.get(ACCEPTS, {}).get(check)
    if kept is None or kept["stop"] != reset.stops:
        return ()
    return tuple(name for name in kept["by"] if person(name) not in known_requesters(reset))


def all_who_accepted(steps: Iterable[Step]) -> frozenset[str]:
    """Return the names of all whose accepts are kept with these steps."""
    outcomes = [step.outcome for step in steps if step.outcome is not None]
    kept = [each for outcome in outcomes for each in outcome.facts.get(ACCEPTS, {}).values()]
    return frozenset(name for each in kept for name in each["by"])


def accepted_once_more(
    outcome: Outcome, check: str, reset: Reset, people: Sequence[str], required: int
) -> Outcome:
    """The failed outcome with `people` as those who have accepted the check: too few as yet."""
    kept = {"required": required, "by": list(people), "stop": reset.stops}
    accepts = {**outcome.facts.get(ACCEPTS, {}), check: kept}
    return outcome.model_copy(update={"facts": {**outcome.facts, ACCEPTS: accepts}})


def hint_of(outcome: Outcome, reset: Reset) -> str | None:
    """What to do next about a failed outcome: its own hint, after the accepts that need another person's."""
    lines = [
        f"{len(people)} of {kept['required']} accepts of {check} ({', '.join(people)}): "
        "somebody else has to accept it, too."
        for check, kept in outcome.facts.get(ACCEPTS, {}).items()
        if (people := accepted_by(outcome, check, reset))
    ]
    return " ".join([*lines, *([outcome.hint] if outcome.hint else [])]) or None
