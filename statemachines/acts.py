"""Checks whether a reset in its present state takes an act: cancel, resume, skip, resolve, approve and so on.

Each act is checked twice. The API checks it when it comes in, so that the person gets an answer. The lease holder
checks it again when it reads the act, because the reset may be in another state by then. What a token's roles and
environments allow is checked by the API alone.

Over 300 lines: the guards of all acts, which share their answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from schemas.plan import Plan
from schemas.reasons import Reason
from schemas.resets import (
    Act,
    ActKind,
    Channel,
    HistoryEntry,
    OutcomeKind,
    Reset,
    ResetState,
    Step,
    StepState,
)
from schemas.wire import ResetId, StepName
from statemachines.consent import consenting, known_requesters, needs_consent, person
from statemachines.lifecycle import (
    STOPPED,
    TERMINAL,
    WAITING,
    WORKING,
    Trigger,
    allows,
    cancelled_for_good,
    needs_rest,
)
from statemachines.refusals import Refusal, refuse
from statemachines.steps.accepts import accepted_by
from statemachines.steps.learned import acceptable
from statemachines.steps.resuming import runs_in_pod, to_repeat, unrepeatable

OVER_KAFKA = frozenset({ActKind.CANCEL, ActKind.RESUME})
"""Acts that an event may ask for. Over Kafka who asks is a claim, so an event gives no consent."""

ANSWERS = frozenset({ActKind.RESUME, ActKind.RESOLVE, ActKind.ROLLBACK, ActKind.ACCEPT})
"""Acts that answer a stop: with one of them a person says what to do after having seen how the reset stopped."""


def check_act(
    act: Act,
    reset: Reset,
    plan: Plan | None,
    steps: Sequence[Step],
    *,
    superseded_by: ResetId | None = None,
    stop_sequence: int | None = None,
    protected_kind: bool = False,
) -> Refusal | None:
    """Return why the act is refused, or None where it may be applied.

    `superseded_by` is a later reset that has touched one of this reset's resources. `stop_sequence` is what
    `sequence_of_stop` returns for this reset. `protected_kind`: whether the environment's own kind is protected, which
    is known before there is a plan.
    """
    if act.channel is not Channel.HTTP and act.kind not in OVER_KAFKA:
        return refuse(Reason.CONSENT_NEEDS_A_TOKEN, f"{act.kind.value} is not taken from {act.channel.value}")
    if act.sequence is not None and act.sequence < reset.sequence:
        return refuse(
            Reason.STALE_SEQUENCE, f"it names status {act.sequence}, the last one is {reset.sequence}"
        )
    if (
        act.kind in ANSWERS
        and stop_sequence is not None
        and act.last_status is not None
        and act.last_status < stop_sequence
    ):
        detail = f"it came after status {act.last_status}, and the reset stopped with status {stop_sequence}"
        return refuse(Reason.STALE_SEQUENCE, detail)
    if (
        act.kind in {ActKind.RESUME, ActKind.ROLLBACK, ActKind.ACCEPT}
        and superseded_by is not None
        and reset.state in STOPPED
    ):
        return refuse(Reason.SUPERSEDED, f"{superseded_by} has touched one of its resources since")
    if act.kind is ActKind.CANCEL and act.channel is not Channel.HTTP and allows(reset.state, Trigger.CANCEL):
        claimed = _claimed_cancel(act, reset, plan, protected_kind=protected_kind)
        if claimed is not None:
            return claimed
    return _CHECKS[act.kind](act, reset, plan, steps)


def sequence_of_stop(history: Sequence[HistoryEntry]) -> int | None:
    """Find the sequence of the status with which the reset came to its present stop; None where it has not stopped."""
    found = None
    for entry in reversed(history):
        if entry.data["state"] not in STOPPED:
            break
        found = entry.sequence
    return found


def _approve(act: Act, reset: Reset, plan: Plan | None, _steps: Sequence[Step]) -> Refusal | None:
    if reset.state is not ResetState.AWAITING_APPROVAL or plan is None:
        return _wrong_state(act, reset)
    if reset.approval_expires_at is not None and act.at >= reset.approval_expires_at:
        return refuse(Reason.APPROVAL_EXPIRED, "the time for approving has passed")
    if act.plan_hash is None or not act.plan_hash == plan.hash == reset.plan_hash:
        return refuse(Reason.WRONG_PLAN, f"the plan is {plan.hash}, the approval is of {act.plan_hash}")
    if person(act.actor) in known_requesters(reset):
        return refuse(Reason.SELF_APPROVAL, f"{act.actor} asked for this reset")
    if person(act.actor) in {person(name) for name in consenting(reset)}:
        return refuse(Reason.ALREADY_APPROVED, f"{act.actor} has approved this plan")
    return None


def _deny(act: Act, reset: Reset, _plan: Plan | None, _steps: Sequence[Step]) -> Refusal | None:
    return None if allows(reset.state, Trigger.DENY) else _wrong_state(act, reset)


def _claimed_cancel(act: Act, reset: Reset, plan: Plan | None, *, protected_kind: bool) -> Refusal | None:
    """Why an event may not cancel: it speaks for nobody, and ends nothing that is or may be protected."""
    if needs_consent(plan, reset):
        return refuse(Reason.CONSENT_NEEDS_A_TOKEN, "its plan touches protected resources")
    if plan is None and protected_kind:
        return refuse(Reason.CONSENT_NEEDS_A_TOKEN, f"{reset.environment} is of a protected kind")
    if plan is None and known_requesters(reset):
        detail = "it has no plan yet, so whether it touches protected resources is not known"
        return refuse(Reason.CONSENT_NEEDS_A_TOKEN, detail)
    if act.channel is Channel.PROVISIONING and has_begun(reset):
        return refuse(Reason.WRONG_STATE, "its work has begun: deprovisioning ends what waits")
    return None


def _cancel(act: Act, reset: Reset, _plan: Plan | None, _steps: Sequence[Step]) -> Refusal | None:
    if not allows(reset.state, Trigger.CANCEL):
        return _wrong_state(act, reset)
    if act.as_requester and has_begun(reset):
        return refuse(Reason.FORBIDDEN, "its work has begun: an operator may cancel it")
    return None


def _resume(act: Act, reset: Reset, plan: Plan | None, steps: Sequence[Step]) -> Refusal | None:
    trigger = Trigger.REPLAN if act.replan or plan is None else Trigger.RESUME
    if not allows(reset.state, trigger) or cancelled_for_good(reset):
        return _wrong_state(act, reset)
    if act.channel is not Channel.HTTP and needs_consent(plan, reset):
        return refuse(Reason.CONSENT_NEEDS_A_TOKEN, "its plan touches protected resources")
    doubt = _doubt(plan, steps)
    if doubt is not None:
        return doubt
    # A newer state, which was lost, launched steps: no step that is known here can be resolved for them.
    if reset.cause is Reason.STATE_RESTORED and not act.force:
        return refuse(Reason.WOULD_REPEAT, reset.detail or "a newer state launched steps of it")
    if act.step is not None and all(step.name != act.step for step in steps):
        return _unknown_step(act)
    again = repeats(act, plan, steps)
    if again and not act.force:
        names = ", ".join(step.name for step in again)
        return refuse(Reason.WOULD_REPEAT, f"{names} succeeded already and would run again")
    return None


def repeats(act: Act, plan: Plan | None, steps: Sequence[Step]) -> tuple[Step, ...]:
    """List the steps that succeeded, must not be repeated without a person's word, and would run again by this resume.

    Only a resume from a named step (`act.step`) repeats what succeeded.
    """
    if plan is None or act.step is None:
        return ()
    named = {step.name: step for step in steps}
    planned = {step.name: step for step in plan.steps}
    return tuple(
        named[name]
        for name in to_repeat(plan, named, act.step)
        if named[name].state is StepState.SUCCEEDED and unrepeatable(planned[name])
    )


def plans_anew(act: Act, reset: Reset, plan: Plan | None, steps: Sequence[Step]) -> bool:
    """Whether a resume makes a new plan, which then needs its own consent.

    It does where the act asks for one, where the reset has no plan, and where it repeats on protected resources steps
    that people agreed to once.
    """
    return act.replan or plan is None or (needs_consent(plan, reset) and bool(repeats(act, plan, steps)))


def _skip(act: Act, reset: Reset, plan: Plan | None, steps: Sequence[Step]) -> Refusal | None:
    if not act.reason:
        return _unreasoned(act)
    if (
        plan is None
        or reset.state not in {*WORKING, *STOPPED, ResetState.QUEUED}
        or cancelled_for_good(reset)
    ):
        return _wrong_state(act, reset)
    step = _step(act, steps)
    if step is None:
        return _unknown_step(act)
    if not _skippable(act, plan):
        return refuse(Reason.NOT_SKIPPABLE, f"{act.step} has to succeed")
    if step.state not in {StepState.PENDING, StepState.FAILED}:
        return refuse(Reason.WRONG_STATE, f"{step.name} is {step.state.value}")
    return None


def _resolve(act: Act, reset: Reset, plan: Plan | None, steps: Sequence[Step]) -> Refusal | None:
    if not act.reason:
        return _unreasoned(act)
    if plan is None or reset.state is not ResetState.NEEDS_OPERATOR:
        return _wrong_state(act, reset)
    step = _step(act, steps)
    if step is None:
        return _unknown_step(act)
    if step.state is not StepState.UNKNOWN:
        return refuse(Reason.WRONG_STATE, f"{step.name} is {step.state.value}, nothing about it is unknown")
    if act.outcome not in {OutcomeKind.SUCCEEDED, OutcomeKind.FAILED}:
        return refuse(Reason.WRONG_STATE, "a step is resolved as succeeded or as failed")
    if act.outcome is OutcomeKind.SUCCEEDED and not _skippable(act, plan):
        return refuse(Reason.NOT_SKIPPABLE, f"resolve {act.step} as failed and resume: it runs again")
    return None


def _accept(act: Act, reset: Reset, plan: Plan | None, steps: Sequence[Step]) -> Refusal | None:
    """What a learned check found is the new truth: a person's word, about nothing but tables that are empty."""
    if not act.reason:
        return _unreasoned(act)
    if plan is None or reset.state is not ResetState.FAILED or reset.cause is Reason.STATE_RESTORED:
        return _wrong_state(act, reset)
    doubt = _doubt(plan, steps)
    if doubt is not None:
        return doubt
    failed = to_accept(act, reset, steps)
    if failed is None:
        names = sorted({name for step in steps for name in acceptable(step)})
        detail = f"{act.check_name or '(none was named)'} is no learned check by which alone a step failed"
        return refuse(
            Reason.NOT_ACCEPTABLE,
            f"{detail}; {', '.join(names)} can be accepted"
            if names
            else f"{detail}; nothing can be accepted",
        )
    if needs_consent(plan, reset) and person(act.actor) in known_requesters(reset):
        return refuse(
            Reason.SELF_APPROVAL, f"{act.actor} asked for this reset: a second person has to accept"
        )
    assert failed.outcome is not None
    assert act.check_name is not None
    before = accepted_by(failed.outcome, act.check_name, reset)
    if person(act.actor) in {person(name) for name in before}:
        return refuse(Reason.ALREADY_ACCEPTED, f"{act.actor} has accepted {act.check_name} of {failed.name}")
    return None


def to_accept(act: Act, reset: Reset, steps: Sequence[Step]) -> Step | None:
    """The step that failed by the learned check which the act names: the one at which the reset stopped first."""
    failed = [step for step in steps if act.check_name in acceptable(step)]
    return min(failed, key=lambda step: (step.name != reset.stopped_at, step.index), default=None)


def _doubt(plan: Plan | None, steps: Sequence[Step]) -> Refusal | None:
    """Why nothing may go on yet: what became of a step is not known."""
    unknown = [step.name for step in steps if step.state is StepState.UNKNOWN]
    if unknown:
        return refuse(
            Reason.OUTCOME_UNKNOWN, f"say first what became of {', '.join(unknown)} (`resetd resolve`)"
        )
    running = _running(plan, steps)
    if running:
        # Nothing is dumped and nobody asked beside a command that writes.
        detail = f"{', '.join(running)} may still run: cancel the reset, which ends it, then resume"
        return refuse(Reason.OUTCOME_UNKNOWN, detail)
    return None


def _roll_back(act: Act, reset: Reset, plan: Plan | None, _steps: Sequence[Step]) -> Refusal | None:
    """The consent to a plan includes the way back to the reset's own first dumps: one operator says why."""
    if not act.reason:
        return _unreasoned(act)
    if plan is None or not reset.destroyed or not allows(reset.state, Trigger.ROLL_BACK):
        return _wrong_state(act, reset)
    return None


def _release(act: Act, reset: Reset, plan: Plan | None, steps: Sequence[Step]) -> Refusal | None:
    """Services start on what may be half done: a person says why. What needs no rest is given back anyway."""
    if not act.reason:
        return _unreasoned(act)
    if reset.state not in {ResetState.FAILED, ResetState.CANCELLED} or not needs_rest(reset):
        return _wrong_state(act, reset)
    return _doubt(plan, steps)


_CHECKS: Mapping[ActKind, Callable[[Act, Reset, Plan | None, Sequence[Step]], Refusal | None]] = {
    ActKind.APPROVE: _approve,
    ActKind.DENY: _deny,
    ActKind.CANCEL: _cancel,
    ActKind.RESUME: _resume,
    ActKind.SKIP: _skip,
    ActKind.RESOLVE: _resolve,
    ActKind.ROLLBACK: _roll_back,
    ActKind.RELEASE: _release,
    ActKind.ACCEPT: _accept,
}


def has_begun(reset: Reset) -> bool:
    """Whether the reset's work has begun. From then on only an operator may end it."""
    return reset.state not in WAITING or reset.destroyed or reset.stops > 0


def _running(plan: Plan | None, steps: Sequence[Step]) -> list[StepName]:
    """List the steps whose command may run in a pod."""
    in_pods = {step.name for step in (plan.steps if plan else ()) if runs_in_pod(step)}
    return [step.name for step in steps if step.state is StepState.RUNNING and step.name in in_pods]


def _step(act: Act, steps: Sequence[Step]) -> Step | None:
    return next((step for step in steps if step.name == act.step), None)


def _skippable(act: Act, plan: Plan) -> bool:
    return any(step.name == act.step and step.skippable for step in plan.steps)


def _unreasoned(act: Act) -> Refusal:
    return refuse(Reason.REASON_REQUIRED, f"{act.kind.value} goes on {act.actor}'s word: say why")


def _unknown_step(act: Act) -> Refusal:
    return refuse(Reason.UNKNOWN_STEP, f"there is no step {act.step or '(none was named)'}")


def _wrong_state(act: Act, reset: Reset) -> Refusal:
    over = " and over" if reset.state in TERMINAL else ""
    return refuse(
        Reason.WRONG_STATE, f"{act.kind.value} makes no sense: the reset is {reset.state.value}{over}"
    )
