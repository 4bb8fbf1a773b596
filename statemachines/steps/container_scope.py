"""Steps whose effect lives in a container: what they did is void in every other one."""

from __future__ import annotations

from schemas.plan import Plan, PlannedStep, Scope
from schemas.resets import Outcome, OutcomeKind, Step, StepState

_CONTAINER = "container"


def with_container(planned: PlannedStep, outcome: Outcome, container: str) -> Outcome:
    """The outcome of an attempt, with the container that its success is good for."""
    if planned.scope is not Scope.CONTAINER or outcome.kind is not OutcomeKind.SUCCEEDED:
        return outcome
    return outcome.model_copy(update={"facts": {**outcome.facts, _CONTAINER: container}})


def needed_before(plan: Plan | None, planned: PlannedStep) -> tuple[PlannedStep, ...]:
    """Steps before this one whose effect has to be in the container that this one runs in."""
    found: list[PlannedStep] = []
    for step in plan.steps if plan else ():
        if step.name == planned.name:
            return tuple(found)
        if step.scope is Scope.CONTAINER and step.service is not None and step.service == planned.service:
            found.append(step)
    return ()


def succeeded_elsewhere(former: Step, container: str) -> bool:
    """Whether a finished step did its work in another container, or nobody knows in which. A skipped one is not."""
    if former.state is not StepState.SUCCEEDED:
        return False
    return former.outcome is None or former.outcome.facts.get(_CONTAINER) != container
