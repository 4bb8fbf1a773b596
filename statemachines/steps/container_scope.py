"""Steps of scope `container`: their effect lives in the container that they ran in, and no other container has it."""

from __future__ import annotations

from schemas.plan import Plan, PlannedStep, Scope
from schemas.resets import Outcome, OutcomeKind, Step, StepState

_CONTAINER = "container"


def with_container(planned: PlannedStep, outcome: Outcome, container: str) -> Outcome:
    """Add to the outcome of an attempt that succeeded the container in which its effect lives."""
    if planned.scope is not Scope.CONTAINER or outcome.kind is not OutcomeKind.SUCCEEDED:
        return outcome
    return outcome.model_copy(update={"facts": {**outcome.facts, _CONTAINER: container}})


def needed_before(plan: Plan | None, planned: PlannedStep) -> tuple[PlannedStep, ...]:
    """List the steps before this one whose effect has to be in the container that this one runs in."""
    found: list[PlannedStep] = []
    for step in plan.steps if plan else ():
        if step.name == planned.name:
            return tuple(found)
        if step.scope is Scope.CONTAINER and step.service is not None and step.service == planned.service:
            found.append(step)
    return ()


def succeeded_elsewhere(former: Step, container: str) -> bool:
    """Whether the step succeeded, but in another container than this one or in one that was not recorded.

    It is False for a skipped step: a person said to go on without its effect.
    """
    if former.state is not StepState.SUCCEEDED:
        return False
    return former.outcome is None or former.outcome.facts.get(_CONTAINER) != container
