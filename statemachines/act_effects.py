"""What an act changes once it is allowed: the move, the fields, the steps and attempts that go with it. Pure.

`statemachines.acts` says whether an act is allowed; the lease holder commits the effect with the act's line of audit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from schemas.learned import Learned
from schemas.plan import Plan
from schemas.reasons import Reason
from schemas.resets import Act, ActKind, Approval, Attempt, Outcome, OutcomeKind, Reset, Step, StepState
from schemas.wire import StepName
from statemachines.acts import plans_anew, to_accept
from statemachines.lifecycle import Trigger
from statemachines.reset_update import UNCHANGED, ResetUpdate
from statemachines.steps.accepts import accepted_by, accepted_once_more, accepts_required, hint_of
from statemachines.steps.learned import NOTHING_TAKEN, UNMET, Taken, accepted_change, without
from statemachines.steps.outcomes import interrupted
from statemachines.steps.progress import ended, resolved, skipped, to_run_again
from statemachines.steps.resuming import to_repeat


@dataclass(frozen=True, kw_only=True)
class ResetEffect:
    """What an act makes of its reset, in one commit."""

    trigger: Trigger | None = None
    update: ResetUpdate = UNCHANGED
    steps: tuple[Step, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    step_event: tuple[Step, Attempt | None] | None = None
    """A step, and its attempt where one ended, that a status tells of."""
    tell_again: bool = False
    """Whether a status is told although the state stays."""
    taken: Taken = NOTHING_TAKEN
    """What is learned, and no longer expected, because of it."""
    accepts: str | None = None
    """`1 of 2`, where an acceptance takes more than one person's word."""

    @property
    def repeated(self) -> tuple[StepName, ...]:
        """Steps that run again because of it."""
        return tuple(step.name for step in self.steps if step.state is StepState.PENDING)


@dataclass(frozen=True)
class ResetSnapshot:
    """The reset as its lease holder has it when the act is read."""

    reset: Reset
    plan: Plan | None
    steps: Mapping[StepName, Step]
    open_attempts: Mapping[StepName, Attempt]
    learned: tuple[Learned, ...] = ()
    """What is learned of the environment's steps; read for `accept` alone."""
    forfeited: frozenset[str] = frozenset()
    """People whose earlier accepts count no more: they may not approve any longer."""


def effect_of(act: Act, snapshot: ResetSnapshot, *, now: datetime) -> ResetEffect:
    """What an act that `check_act` allows changes. A kind that nothing acts on changes nothing."""
    effect = _EFFECTS.get(act.kind)
    return ResetEffect() if effect is None else effect(act, snapshot, now)


def _approve(act: Act, snapshot: ResetSnapshot, _now: datetime) -> ResetEffect:
    approval = Approval(actor=act.actor, plan_hash=act.plan_hash or "", at=act.at)
    return ResetEffect(update=ResetUpdate(approvals=(*snapshot.reset.approvals, approval)))


def _deny(act: Act, snapshot: ResetSnapshot, _now: datetime) -> ResetEffect:
    """The end of the reset; where it has destroyed something it stops, so that it can go on or back later."""
    return ResetEffect(
        trigger=Trigger.FAIL if snapshot.reset.destroyed else Trigger.DENY,
        update=ResetUpdate(
            cause=Reason.DENIED,
            detail=_who_and_why(act),
            stopped_in=snapshot.reset.state if snapshot.reset.destroyed else None,
            waiting_for=None,
            wake_at=None,
        ),
    )


def _cancel(act: Act, snapshot: ResetSnapshot, _now: datetime) -> ResetEffect:
    return ResetEffect(
        trigger=Trigger.CANCEL,
        update=ResetUpdate(
            cancel_requested=True,
            stopped_in=snapshot.reset.stopped_in or snapshot.reset.state,
            cause=Reason.CANCELLED_BY_REQUEST,
            detail=_who_and_why(act),
            hint=None,
            waiting_for=None,
        ),
    )


def _resume(act: Act, snapshot: ResetSnapshot, now: datetime) -> ResetEffect:
    replan = plans_anew(act, snapshot.reset, snapshot.plan, tuple(snapshot.steps.values()))
    names = to_repeat(snapshot.plan, snapshot.steps, act.step) if snapshot.plan else ()
    return ResetEffect(
        trigger=Trigger.REPLAN if replan else Trigger.RESUME,
        steps=tuple(to_run_again(snapshot.steps[name]) for name in names),
        attempts=tuple(
            ended(attempt, interrupted("the reset stopped meanwhile"), at=now)
            for attempt in snapshot.open_attempts.values()
            if attempt.control is None
        ),
        update=ResetUpdate(
            cause=None,
            detail=None,
            hint=None,
            stopped_in=None,
            stopped_at=None,
            cancel_requested=False,
            waiting_for=None,
            wake_at=None,
        ),
    )


def _release(act: Act, snapshot: ResetSnapshot, _now: datetime) -> ResetEffect:
    """What the reset keeps at rest is given back by whoever sweeps; the reset stays where it stopped."""
    detail = f"{snapshot.reset.detail or ''} (released {_who_and_why(act)})".strip()
    return ResetEffect(update=ResetUpdate(released=True, detail=detail), tell_again=True)


def _skip(act: Act, snapshot: ResetSnapshot, _now: datetime) -> ResetEffect:
    step = skipped(_named(act, snapshot))
    return ResetEffect(steps=(step,), step_event=(step, None))


def _accept(act: Act, snapshot: ResetSnapshot, now: datetime) -> ResetEffect:
    """The step is done as its check would have said, and the reset goes on behind it. Nothing runs again for it.

    Where another step failed, too, or another check of this one, the reset stays where it stopped. It stays as it is,
    too, until as many people have accepted as have to.
    """
    reset, plan, steps = snapshot.reset, snapshot.plan, snapshot.steps
    failed = to_accept(act, reset, tuple(steps.values()))
    if plan is None or failed is None or failed.outcome is None or act.check_name is None:
        raise RuntimeError("an acceptance of no failed check was allowed")
    earlier = accepted_by(failed.outcome, act.check_name, reset)
    people = (*(name for name in earlier if name not in snapshot.forfeited), act.actor)
    required = accepts_required(plan, reset)
    accepts = f"{len(people)} of {required}" if required > 1 else None
    if len(people) < required:
        outcome = accepted_once_more(failed.outcome, act.check_name, reset, people, required)
        return ResetEffect(
            steps=(resolved(failed, StepState.FAILED, outcome),),
            update=_told_of(outcome, failed, reset),
            tell_again=True,
            accepts=accepts,
        )
    taken = accepted_change(plan, failed, act.check_name, snapshot.learned, reset, at=now)
    outcome = without(failed.outcome, act.check_name)
    if outcome.facts[UNMET]:
        step = resolved(failed, StepState.FAILED, outcome)
        update = _told_of(outcome, failed, reset)
        return ResetEffect(steps=(step,), update=update, tell_again=True, taken=taken, accepts=accepts)
    done = Outcome(
        kind=OutcomeKind.SUCCEEDED,
        exit_code=outcome.exit_code,
        detail=f"{act.check_name} accepted {_who_and_why(act, people)}",
        facts={**outcome.facts, "acceptedBy": " and ".join(people)},
    )
    step = resolved(failed, StepState.SUCCEEDED, done)
    after = replace(snapshot, steps={**steps, step.name: step})
    left = next((one for one in after.steps.values() if one.state is StepState.FAILED), None)
    if left is not None:
        update = ResetUpdate(
            cause=left.outcome.cause if left.outcome else None,
            detail=left.outcome.detail if left.outcome else None,
            hint=left.outcome.hint if left.outcome else None,
            stopped_at=left.name,
        )
        return ResetEffect(
            steps=(step,),
            update=update,
            step_event=(step, None),
            tell_again=True,
            taken=taken,
            accepts=accepts,
        )
    # As any resume does: what was dumped before the stop, and is still to be destroyed, is dumped once more.
    on = _resume(act.model_copy(update={"step": None}), after, now)
    return replace(on, steps=(step, *on.steps), step_event=(step, None), taken=taken, accepts=accepts)


def _told_of(outcome: Outcome, failed: Step, reset: Reset) -> ResetUpdate:
    """What the reset says of the step that still fails by `outcome`, where it is the one at which the reset stopped."""
    if failed.name != reset.stopped_at:
        return UNCHANGED
    return ResetUpdate(detail=outcome.detail, hint=hint_of(outcome, reset))


def _resolve(act: Act, snapshot: ResetSnapshot, now: datetime) -> ResetEffect:
    """A person's word about one step. The reset goes on, or fails, once no step of it is unknown."""
    succeeded = act.outcome is OutcomeKind.SUCCEEDED
    outcome = Outcome(
        kind=OutcomeKind.SUCCEEDED if succeeded else OutcomeKind.FAILED,
        cause=None if succeeded else Reason.COMMAND_FAILED,
        detail=f"resolved {_who_and_why(act)}",
        facts={"resolvedBy": act.actor},
    )
    step = resolved(_named(act, snapshot), StepState.SUCCEEDED if succeeded else StepState.FAILED, outcome)
    running = snapshot.open_attempts.get(step.name)
    attempt = ended(running, outcome, at=now) if running is not None else None
    trigger, update = _after_resolving(step, snapshot)
    again = _outdated(step, snapshot) if trigger is Trigger.RESUME else ()
    return ResetEffect(
        trigger=trigger,
        update=update,
        steps=(step, *again),
        attempts=(attempt,) if attempt else (),
        step_event=(step, attempt),
    )


def _outdated(step: Step, snapshot: ResetSnapshot) -> tuple[Step, ...]:
    """The steps that run again because the reset goes on: what was dumped before the stop is dumped once more."""
    steps = {**snapshot.steps, step.name: step}
    names = to_repeat(snapshot.plan, steps) if snapshot.plan else ()
    return tuple(to_run_again(steps[name]) for name in names)


def _after_resolving(step: Step, snapshot: ResetSnapshot) -> tuple[Trigger | None, ResetUpdate]:
    others = [other for other in snapshot.steps.values() if other.name != step.name]
    unknown = next((other for other in others if other.state is StepState.UNKNOWN), None)
    if unknown is not None:
        # Locks are let go and steps tried again only once every outcome is known.
        return None, ResetUpdate(stopped_at=unknown.name)
    if snapshot.reset.cancel_requested:
        # Somebody asked for the end of this reset before: the cancel goes on, and nothing else.
        return Trigger.CANCEL, ResetUpdate(stopped_at=None, waiting_for=None)
    failed = next((each for each in (step, *others) if each.state is StepState.FAILED), None)
    if failed is None:
        return Trigger.RESUME, ResetUpdate(
            cause=None, detail=None, hint=None, stopped_in=None, stopped_at=None, waiting_for=None
        )
    return Trigger.FAIL, ResetUpdate(
        cause=failed.outcome.cause if failed.outcome else None,
        detail=failed.outcome.detail if failed.outcome else None,
        hint="`resetd resume ID` runs the step again.",
        stopped_at=failed.name,
        waiting_for=None,
    )


_EFFECTS: Mapping[ActKind, Callable[[Act, ResetSnapshot, datetime], ResetEffect]] = {
    ActKind.APPROVE: _approve,
    ActKind.DENY: _deny,
    ActKind.CANCEL: _cancel,
    ActKind.RESUME: _resume,
    ActKind.RELEASE: _release,
    ActKind.SKIP: _skip,
    ActKind.RESOLVE: _resolve,
    ActKind.ACCEPT: _accept,
}


def _named(act: Act, snapshot: ResetSnapshot) -> Step:
    """The step that the act names. `check_act` refuses an act without one."""
    if act.step is None:
        raise RuntimeError(f"{act.kind.value} without a step was allowed")
    return snapshot.steps[act.step]


def _who_and_why(act: Act, people: Sequence[str] = ()) -> str:
    who = " and ".join(people) or act.actor
    return f"by {who}: {act.reason}" if act.reason else f"by {who}"
