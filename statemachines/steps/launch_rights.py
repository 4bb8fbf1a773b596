"""What a destructive step needs right before it starts: a consent that counts, and dumps from after the last stop.

The order of a plan promises both. This is looked at all the same, at each launch: days may lie between a dump and the
step, people may have mended what a stopped reset left behind, and a plan may promise too little.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from schemas.backups import Proof
from schemas.plan import Plan, PlannedStep, StepKind
from schemas.reasons import Reason
from schemas.resets import Reset, Step, StepState
from schemas.wire import ResourceKey, StepName
from statemachines.consent import expired, lacks_consent
from statemachines.lifecycle import STEP_DONE
from statemachines.refusals import Refused

TAKEN_AFTER = "stops"
"""The fact of a backup step that says how many times its reset had stopped when the dump began."""


def left_to_destroy(plan: Plan | None, steps: Mapping[StepName, Step]) -> tuple[PlannedStep, ...]:
    """List the destructive steps that are not done."""
    planned = plan.steps if plan else ()
    return tuple(step for step in planned if step.destructive and steps[step.name].state not in STEP_DONE)


def dumped(reset: Reset, plan: Plan | None, steps: Mapping[StepName, Step]) -> Mapping[ResourceKey, Step]:
    """Return the databases that were dumped since the reset's last stop, each with the step that did it."""
    return {
        key: steps[planned.name]
        for planned in (plan.steps if plan else ())
        if planned.kind is StepKind.BACKUP_DATABASE and _is_current(reset, steps[planned.name])
        for key in planned.touches
    }


def last_dumps(plan: Plan | None, steps: Mapping[StepName, Step]) -> Mapping[ResourceKey, Step]:
    """Return the databases of which there is a dump, from before or after a stop, each with the step that made it."""
    return {
        key: steps[planned.name]
        for planned in (plan.steps if plan else ())
        if planned.kind is StepKind.BACKUP_DATABASE and steps[planned.name].state is StepState.SUCCEEDED
        for key in planned.touches
    }


def missing_right(
    reset: Reset, plan: Plan | None, steps: Mapping[StepName, Step], step: PlannedStep, *, now: datetime
) -> Refused | None:
    """Say what a destructive step lacks to be launched now; None where it lacks nothing, and for any other step."""
    if not step.destructive:
        return None
    if lacks_consent(reset):
        detail = f"{step.name} needs the consent of {reset.approvals_required} to {reset.plan_hash}"
        return Refused(Reason.CONSENT_SPENT, f"{detail} since the reset last stopped")
    if expired(reset, now):
        return Refused(Reason.APPROVAL_EXPIRED, f"{step.name} comes after {reset.approval_expires_at}")
    if step.kind is StepKind.RESET_REPOSITORY:
        return None  # it makes its backup branch itself, in the same instant
    touched = {key for key in step.touches if key.startswith("database/")}
    missing = touched - dumped(reset, plan, steps).keys()
    if touched and not missing:
        return _unproven(reset, plan, steps, step, touched)
    old = missing & last_dumps(plan, steps).keys()
    if old and old == missing:
        return Refused(
            Reason.BACKUP_OUTDATED,
            f"{step.name} needs a dump of {', '.join(sorted(old))} from after the reset's last stop",
        )
    return no_backup(step, missing)


def _unproven(
    reset: Reset,
    plan: Plan | None,
    steps: Mapping[StepName, Step],
    step: PlannedStep,
    touched: Collection[ResourceKey],
) -> Refused | None:
    """Say which dumps lack the receipt that the plan asks for: of a restore, bound to that very dump."""
    lacking = sorted(set(touched) & to_be_restored(plan) - restored(reset, plan, steps))
    if not lacking:
        return None
    detail = (
        f"{step.name} needs the backup of {', '.join(lacking)} restored and compared with its manifest first"
    )
    return Refused(Reason.BACKUP_UNPROVEN, detail)


def to_be_restored(plan: Plan | None) -> frozenset[ResourceKey]:
    """Return the databases whose backups the plan wants to be restored before anything is destroyed."""
    return frozenset(
        key
        for planned in (plan.steps if plan else ())
        if planned.kind is StepKind.BACKUP_DATABASE and planned.proof is Proof.RESTORED
        for key in planned.touches
    )


def restored(reset: Reset, plan: Plan | None, steps: Mapping[StepName, Step]) -> frozenset[ResourceKey]:
    """Return the databases whose dump since the last stop has a receipt of a restore, bound to its SHA-256."""
    dumps = dumped(reset, plan, steps)
    return frozenset(
        key
        for planned in (plan.steps if plan else ())
        if planned.kind is StepKind.PROVE_BACKUP
        for key in planned.touches
        if key in dumps and _same_dump(dumps[key], steps[planned.name])
    )


def _same_dump(dump: Step, proof: Step) -> bool:
    if proof.state is not StepState.SUCCEEDED or proof.outcome is None or dump.outcome is None:
        return False
    sha256 = proof.outcome.facts.get("sha256")
    return sha256 is not None and bool(sha256 == dump.outcome.facts.get("sha256"))


def no_backup(step: PlannedStep, missing: Collection[ResourceKey]) -> Refused:
    """Say that these databases, which the step touches, have no backup; none: it is unknown what it touches."""
    return Refused(
        Reason.BACKUP_UNPROVEN,
        f"{step.name} needs a backup of {', '.join(sorted(missing)) or 'what it touches'}, "
        "and none has succeeded and is still there",
    )


def _is_current(reset: Reset, step: Step) -> bool:
    if step.state is not StepState.SUCCEEDED or step.outcome is None:
        return False
    return bool(step.outcome.facts.get(TAKEN_AFTER, 0) == reset.stops)
