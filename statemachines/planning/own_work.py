"""What a reset's own work has changed speaks not against its plan: a wipe takes what people agreed to lose with it.

Of all that a plan's hash covers, losses are read from what a wipe destroys, and root commits from a branch that a
rewinding moves. Where the plan is made anew, after `--replan`, they are read as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

from schemas.facts import DatabaseFact, Facts, RepositoryFact
from schemas.plan import Plan, StepKind, WipedDatabase
from schemas.repositories import RootCommit
from schemas.resets import Step
from schemas.wire import ServiceName, StepName
from statemachines.lifecycle import STEP_DONE
from statemachines.planning.gaps import LOSSES_OF


def as_agreed(facts: Facts, agreed: Plan, steps: Mapping[StepName, Step]) -> Facts:
    """Return the facts with what people agreed to, for each wipe and each rewinding of the agreed plan that has begun.

    - Of one that is done, or skipped, whatever is there now is not lost by it.
    - Of one that was tried, less may be there than was agreed to. What is there beside that counts as it is read.
    """
    done: dict[tuple[ServiceName | None, str], WipedDatabase] = {}
    tried: dict[tuple[ServiceName | None, str], WipedDatabase] = {}
    for planned in agreed.steps:
        step = steps[planned.name]
        for wiped in planned.wipes:
            if step.state in STEP_DONE:
                done[planned.service, wiped.database] = wiped
            elif step.attempts:
                tried[planned.service, wiped.database] = wiped
    read = {
        (gap.service, gap.subject): gap for gap in facts.unreadable if gap.environment == facts.environment
    }
    over = [read.get((service, f"{LOSSES_OF}{database}")) for service, database in done]

    def agreed_to(fact: DatabaseFact) -> DatabaseFact:
        place = (fact.service, fact.database)
        wiped = done.get(place) or tried.get(place)
        if wiped is None or wiped.resource != fact.key:
            return fact
        less = all(loss in wiped.losses for loss in fact.losses)
        return fact.model_copy(update={"losses": wiped.losses}) if place in done or less else fact

    return facts.model_copy(
        update={
            "databases": tuple(agreed_to(fact) for fact in facts.databases),
            "repositories": tuple(_with_agreed_roots(fact, agreed, steps) for fact in facts.repositories),
            "unreadable": tuple(gap for gap in facts.unreadable if gap not in over),
        }
    )


def _with_agreed_roots(fact: RepositoryFact, agreed: Plan, steps: Mapping[StepName, Step]) -> RepositoryFact:
    """Return the fact with the roots that people agreed to, where the plan's own rewinding may have left only one."""
    for planned in agreed.steps:
        if planned.kind is not StepKind.RESET_REPOSITORY or fact.key not in planned.touches:
            continue
        step, found = steps[planned.name], {root.sha: root for root in fact.roots}
        begun = step.state in STEP_DONE or (step.attempts and found.keys() <= set(planned.repository_roots))
        if begun and planned.repository_roots:
            roots = tuple(found.get(sha, RootCommit(sha=sha)) for sha in planned.repository_roots)
            return fact.model_copy(update={"roots": roots})
    return fact
