"""What a resumed reset does again, and what it may leave as it was done."""

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
    """Steps that a resume with the same plan runs again, in the plan's order.

    Those that failed; from `start` on those that succeeded, too, whereas a person's word to go on without a step
    stands, unless that step is `start`; and what was backed up of a resource that nothing has touched since: its locks
    were let go, so others may have written to it. Backups of what was touched stay, as they are the only ones of how
    it was before.
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
    """The step at `index` of a new plan, with what was done of the very same one under the old plan.

    What another image did is done again by the new one, unless its class forbids that; `attempts` is the highest
    number of an attempt at a step of that name.
    """
    planned = new.steps[index]
    fresh = Step(name=planned.name, index=index, attempts=attempts, attempts_before=attempts)
    step = steps.get(planned.name)
    before = next((one for one in old.steps if one.name == planned.name), None) if old else None
    if old is None or step is None or before is None:
        return fresh
    if step.state not in STEP_DONE or not _same(old, before, new, planned):
        return fresh.model_copy(update={"outcome": step.outcome})
    if planned.phase is Phase.BACKUP and not set(planned.touches) & _touched(old, steps):
        return fresh.model_copy(update={"outcome": step.outcome})
    return step.model_copy(update={"index": index})


def _same(old: Plan, before: PlannedStep, new: Plan, planned: PlannedStep) -> bool:
    if before.touches != planned.touches:
        return False
    if before.idempotent is planned.idempotent is Idempotency.NEVER:
        # Done is done, also where the command is another one by now: only a person has it run once more.
        return True
    if before.argv != planned.argv:
        return False
    if planned.phase is Phase.BACKUP or planned.service is None:
        return True
    return old.images.get(planned.service) == new.images.get(planned.service)


def unrepeatable(step: PlannedStep) -> bool:
    """Whether a person has to say so before it runs again after it succeeded."""
    return step.idempotent is not Idempotency.SAFE or step.kind is StepKind.RESET_REPOSITORY


def _may_have_been_launched(step: Step) -> bool:
    """Whether something of the step may have been launched, ever."""
    if step.state is StepState.SUCCEEDED:
        return True
    launched = step.outcome is None or was_launched(step.outcome) or may_be_half_done(step.outcome)
    return step.attempts > 0 and launched


def _touched(plan: Plan, steps: Mapping[StepName, Step]) -> set[str]:
    """Resources that a step of this reset may have changed."""
    return {
        key
        for planned in plan.steps
        if planned.phase in _CHANGING and _may_have_been_launched(steps[planned.name])
        for key in planned.touches
    }
