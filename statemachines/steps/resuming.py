"""Which steps a resumed reset runs again, and which it leaves as they were done."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.plan import Idempotency, Phase, Plan, PlannedStep, StepKind
from schemas.resets import Step, StepState
from schemas.wire import StepName
from statemachines.lifecycle import STEP_DONE
from statemachines.steps.retry import may_be_half_done, was_launched

_BEFORE = frozenset({Phase.QUIESCE, Phase.BACKUP})
_CHANGING = frozenset({Phase.MIGRATE, Phase.SEED, Phase.GIT})


def to_repeat(
    plan: Plan, steps: Mapping[StepName, Step], start: StepName | None = None
) -> tuple[StepName, ...]:
    """List the steps that a resume with the same plan runs again, in the plan's order.

    - Steps that failed.
    - From `start` on, also steps that succeeded. Skipped steps stay skipped, unless the skipped step is `start` itself.
    - Backups of resources that the reset has not touched. It let its locks go, so others may have written to them.
      Backups of touched resources stay: they alone show how the resource was before.
    """
    touched = _touched(plan, steps)
    begin = steps[start].index if start is not None else len(plan.steps)
    return tuple(
        planned.name
        for planned in plan.steps
        if (step := steps[planned.name]).state is StepState.FAILED
        or (planned.phase is Phase.BACKUP and step.state in STEP_DONE and not set(planned.touches) & touched)
        or (step.index >= begin and step.state is StepState.SUCCEEDED and planned.phase not in _BEFORE)
        or (step.index == begin and step.state is StepState.SKIPPED and planned.phase not in _BEFORE)
    )


def carried_over(
    old: Plan | None, steps: Mapping[StepName, Step], new: Plan, index: int, attempts: int
) -> Step:
    """Return the step at `index` of a new plan, done already where the very same step was done under the old plan.

    A step that another image did is done again by the new image, unless its class is `never`. `attempts` is the highest
    number of an attempt that the reset ever made at a step of that name.
    """
    planned = new.steps[index]
    fresh = Step(name=planned.name, index=index, attempts=attempts, attempts_before=attempts)
    step = steps.get(planned.name)
    before = next((former for former in old.steps if former.name == planned.name), None) if old else None
    if old is None or step is None or before is None:
        return fresh
    if step.state not in STEP_DONE or not _is_same_step(old, before, new, planned):
        return fresh.model_copy(update={"outcome": step.outcome})
    if planned.phase is Phase.BACKUP and not set(planned.touches) & _touched(old, steps):
        return fresh.model_copy(update={"outcome": step.outcome})
    return step.model_copy(update={"index": index})


def _is_same_step(old: Plan, before: PlannedStep, new: Plan, planned: PlannedStep) -> bool:
    if before.touches != planned.touches:
        return False
    if before.idempotent is planned.idempotent is Idempotency.NEVER:
        # It stays done, even where the command has changed: only a person may have it run once more.
        return True
    if before.argv != planned.argv:
        return False
    if planned.phase is Phase.BACKUP or planned.service is None:
        return True
    return old.images.get(planned.service) == new.images.get(planned.service)


def unrepeatable(step: PlannedStep) -> bool:
    """Whether the step, once it succeeded, runs again only where a person says so."""
    return step.idempotent is not Idempotency.SAFE or step.kind is StepKind.RESET_REPOSITORY


def _may_have_been_launched(step: Step) -> bool:
    """Whether the command of the step may have been launched, by any of its attempts."""
    if step.state is StepState.SUCCEEDED:
        return True
    launched = step.outcome is None or was_launched(step.outcome) or may_be_half_done(step.outcome)
    return step.attempts > 0 and launched


def _touched(plan: Plan, steps: Mapping[StepName, Step]) -> set[str]:
    """Collect the resources that a step of this reset may have changed."""
    return {
        key
        for planned in plan.steps
        if planned.phase in _CHANGING and _may_have_been_launched(steps[planned.name])
        for key in planned.touches
    }
