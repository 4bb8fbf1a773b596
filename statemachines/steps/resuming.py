"""Which steps a resumed reset runs again, and which it leaves as they were done."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.plan import Idempotency, Phase, Plan, PlannedStep, StepKind
from schemas.reasons import Reason
from schemas.resets import Step, StepState
from schemas.wire import ResourceKey, StepName
from statemachines.lifecycle import STEP_DONE

_BEFORE = frozenset({Phase.QUIESCE, Phase.BACKUP})


def to_repeat(
    plan: Plan, steps: Mapping[StepName, Step], start: StepName | None = None
) -> tuple[StepName, ...]:
    """List the steps that a resume with the same plan runs again, in the plan's order.

    - Steps that failed, and steps of the daemon's own (a dump, a branch) that the stop cut short.
    - From `start` on, also steps that succeeded. Skipped steps stay skipped, unless the skipped step is `start` itself.
    - Backups of what is still to be written to, each as a new dump: others may have written to it since the reset
      stopped. The dumps before stay where they are.
    - What was quiesced, as long as anything is to be written to: it may have been released meanwhile.
    - Backups of what a step found in another server than the dumped one: who resumes says that this one is right.
    """
    begin = steps[start].index if start is not None else len(plan.steps)

    def again(planned: PlannedStep) -> bool:
        step = steps[planned.name]
        if step.state is StepState.FAILED or (step.state is StepState.RUNNING and not runs_in_pod(planned)):
            return True
        if planned.phase in _BEFORE:
            return False
        named = step.state is StepState.SKIPPED and step.index == begin
        return named or (step.state is StepState.SUCCEEDED and step.index >= begin)

    written = {
        key
        for planned in plan.steps
        if (planned.writes and (steps[planned.name].state not in STEP_DONE or again(planned)))
        or _was_elsewhere(steps[planned.name])
        for key in planned.touches
    }
    return tuple(
        planned.name
        for planned in plan.steps
        if again(planned) or _is_outdated(planned, steps[planned.name], written)
    )


def runs_in_pod(step: PlannedStep) -> bool:
    """Whether the step's command goes on in a pod when the daemon stops."""
    return step.kind is StepKind.COMMAND


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
    if planned.phase in _BEFORE and _is_outdated(planned, step, _left_to_write(old, steps, new)):
        return fresh.model_copy(update={"outcome": step.outcome})
    return step.model_copy(update={"index": index})


def _left_to_write(old: Plan, steps: Mapping[StepName, Step], new: Plan) -> set[ResourceKey]:
    """Collect what the steps of the new plan that write touch, but for those that are done already."""
    return {
        key
        for index, planned in enumerate(new.steps)
        if (planned.writes and carried_over(old, steps, new, index, 0).state not in STEP_DONE)
        or ((step := steps.get(planned.name)) is not None and _was_elsewhere(step))
        for key in planned.touches
    }


def _was_elsewhere(step: Step) -> bool:
    """Whether the step failed because another server answered than the one that was dumped."""
    mismatch = step.outcome is not None and step.outcome.cause is Reason.DATABASE_MISMATCH
    return step.state is StepState.FAILED and mismatch


def _is_outdated(planned: PlannedStep, step: Step, written: set[ResourceKey]) -> bool:
    """Whether a step before the work was done before a stop, for something that is still to be written to.

    What was quiesced may have been released meanwhile. It is quiesced again as long as anything is to be written to.
    """
    if step.state not in STEP_DONE:
        return False
    if planned.phase is Phase.QUIESCE:
        return bool(written)
    return planned.phase is Phase.BACKUP and bool(written & set(planned.touches))


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
