"""Which freeze stops a reset before its first destructive step, and since when that step counts as crossed.

1. A freeze stops attempts that are recorded after it. The store looks in the transaction that records the first
   destructive attempt of a reset, so no attempt slips in between.
2. An attempt that was recorded before the freeze and launched at once is under way: it goes on, and with it its reset.
3. An attempt that was recorded before and never launched, because its process died, is given up: its reset waits.
4. A freeze that says `now` also pauses resets that have crossed it, between steps, as long as a step is left that
   writes. They keep their locks, and dump and shake hands again when it is over.
5. A freeze is about its own environment, and about every plan that touches what this environment uses.
6. It is over once the store's clock, the worker's own clock and the worker's monotonic time all say so. Ending one
   too late costs patience; ending one too early costs data.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from schemas.freezes import Freeze
from schemas.plan import Plan
from schemas.resets import Attempt, Reset, Step
from schemas.wire import AttemptId, StepName
from statemachines.lifecycle import STEP_DONE
from statemachines.steps.retry import was_launched

LONGEST = timedelta(days=30)
"""How long a freeze or a hold lasts at most."""


def concerned(environment: str, plan: Plan | None) -> frozenset[str]:
    """Return the environments that a reset concerns: its own, and those that use what its plan touches."""
    resources = plan.resources if plan else ()
    return frozenset({environment, *(user for resource in resources for user in resource.users)})


def stopping(freezes: Iterable[Freeze], environments: Collection[str]) -> Freeze | None:
    """Return the freeze about one of these environments that lasts longest; None where none is about them."""
    about = (each for each in freezes if each.environment is None or each.environment in environments)
    return max(about, key=lambda each: (each.expires_at, each.id), default=None)


def in_force(freezes: Iterable[Freeze], now: datetime) -> tuple[Freeze, ...]:
    """Return the freezes that have not expired at `now`."""
    return tuple(each for each in freezes if now < each.expires_at)


def has_crossed(reset: Reset) -> bool:
    """Tell whether the reset has crossed its first destructive step: a freeze does not stop it any more."""
    return reset.destroyed


def never_crossed(plan: Plan | None, attempts: Iterable[Attempt], but: AttemptId) -> bool:
    """Tell whether none of a reset's attempts but that one may have destroyed anything.

    Attempts of steps that the present plan does not have may have. One that is known never to have started has not.
    """
    harmless = {step.name for step in plan.steps if not step.destructive} if plan else set()
    return all(
        each.id == but
        or each.step in harmless
        or (each.outcome is not None and not was_launched(each.outcome))
        for each in attempts
    )


def pauses(plan: Plan | None, steps: Mapping[StepName, Step]) -> bool:
    """Tell whether a freeze that says `now` pauses a reset at work: as long as a step is left that writes.

    With none left it goes on, so that its services come back.
    """
    return any(
        step.writes and steps[step.name].state not in STEP_DONE for step in (plan.steps if plan else ())
    )


def sentence(freeze: Freeze) -> str:
    """Say for people who froze what, until when and why."""
    return f"{freeze.given_by} froze {freeze.scope} until {freeze.expires_at.isoformat()}: {freeze.reason}"
