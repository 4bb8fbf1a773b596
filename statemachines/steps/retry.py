"""Whether a step is tried again without anybody asking, and when. Time and chance are arguments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from schemas.catalog.operations import Retry
from schemas.plan import Idempotency, PlannedStep
from schemas.resets import Outcome, OutcomeKind, Step, StepState

MOST_REPETITIONS = 1000
"""The most repetitions of a `repeat` step whose bound was not read."""

MOST_WITHOUT_FALL = 3
"""Repetitions after which no less is left to undo: so many, in one series, end the step. A pod that restarts once and
migrates by itself leads to one of them."""

_LEFT = "leftToUndo"
"""The fact of a repetition: how much was left to undo right before it was launched."""
_WITHOUT_FALL = "withoutFall"
"""The fact of a repetition: how many repetitions before it, in its series, left no less to undo."""
_HALF_DONE = "halfDone"
"""The fact that marks an attempt which launched nothing, after an earlier attempt that may be half done."""


@dataclass(frozen=True)
class RetryDecision:
    """The state that an attempt's outcome puts its step into. In `pending` the step is attempted again by itself."""

    state: StepState
    not_before: datetime | None = None
    """When the next attempt may start; None where it may start at once or there is none."""


def decide_retry(
    planned: PlannedStep,
    step: Step,
    outcome: Outcome,
    policy: Retry,
    *,
    now: datetime,
    jitter: float,
    bound: int | None = None,
) -> RetryDecision:
    """Decide what the outcome of an attempt makes of its step.

    `step.attempts` includes the attempt that `outcome` is of. `step.attempts_before` is how many of the attempts do not
    count against the policy: those before somebody's resume, and those before a repetition that succeeded. `jitter` is
    a random number from 0 to 1. `bound` is how many repetitions a `repeat` step can need at most.

    A command that was launched is launched again only where the step's class allows it and the command is known to be
    dead: never after `unknown`.
    """
    if outcome.kind is OutcomeKind.UNKNOWN:
        return RetryDecision(StepState.UNKNOWN)
    if outcome.kind is OutcomeKind.SUCCEEDED:
        return _repeat(planned, step, outcome, bound)
    if not _may_run_again(planned, outcome):
        return RetryDecision(StepState.FAILED)
    tries = step.attempts - step.attempts_before
    if tries >= policy.attempts:
        return RetryDecision(StepState.FAILED)
    wait = max(backoff(tries, policy, jitter), outcome.delay or 0.0)
    return RetryDecision(StepState.PENDING, not_before=now + timedelta(seconds=wait))


def after_cancel(planned: PlannedStep, step: Step, outcome: Outcome) -> StepState:
    """Return the state of a step whose attempt a cancellation has ended.

    A `repeat` step whose repetition succeeded is `pending`, because there may be more to do.
    """
    if outcome.kind is OutcomeKind.UNKNOWN:
        return StepState.UNKNOWN
    if outcome.kind is OutcomeKind.SUCCEEDED:
        return _repeat(planned, step, outcome, None).state
    return StepState.FAILED


def backoff(attempts: int, policy: Retry, jitter: float) -> float:
    """Return the seconds to wait after that many attempts: exponential, capped, with full jitter."""
    # The exponent is capped as well, because 2 ** 2000 is too large for a float.
    growth = policy.factor ** min(max(attempts - 1, 0), 64)
    return min(policy.maximum_delay, policy.initial_delay * growth) * min(max(jitter, 0.0), 1.0)


def was_launched(outcome: Outcome) -> bool:
    """Whether the command may have done anything. The fact `launched: false` says that it never started."""
    return outcome.facts.get("launched") is not False


def needs_check(planned: PlannedStep, last: Outcome | None) -> bool:
    """Whether the step's `check` has to say (exit code 0) that the command must run again before it is launched.

    `last` is the step's last outcome, as `remembering` returned it.
    """
    return planned.idempotent is Idempotency.RERUN_AFTER_CHECK and may_be_half_done(last)


def may_be_half_done(last: Outcome | None) -> bool:
    """Whether the command was launched and has not succeeded since, so that it may have done a part of its work.

    `last` is the step's last outcome, as `remembering` returned it.
    """
    if last is None or last.kind is OutcomeKind.SUCCEEDED:
        return False
    return was_launched(last) or last.facts.get(_HALF_DONE) is True


def remembering(before: Outcome | None, outcome: Outcome) -> Outcome:
    """Return the outcome of an attempt, marked as half done where an attempt before it may have left that behind.

    `before` is the step's outcome before the attempt. Only an attempt that launched nothing needs the mark.
    """
    if was_launched(outcome) or not may_be_half_done(before):
        return outcome
    return outcome.model_copy(update={"facts": {**outcome.facts, _HALF_DONE: True}})


@dataclass(frozen=True)
class Repetitions:
    """How a series of repetitions goes, told by what is left to undo before each of them."""

    left: int
    """How much is left now."""
    without_fall: int
    """How many repetitions of the series that succeeded left no less than there was before."""

    @property
    def stuck(self) -> bool:
        """Whether another repetition would only be one more that undoes nothing."""
        return self.without_fall >= MOST_WITHOUT_FALL


def repetitions(last: Outcome | None, left: int) -> Repetitions:
    """Return how the series goes whose last repetition came to `last`, now that so much is left to undo."""
    facts = last.facts if last is not None else {}
    before, without_fall = facts.get(_LEFT), facts.get(_WITHOUT_FALL)
    if not isinstance(before, int) or not isinstance(without_fall, int):
        return Repetitions(left, 0)
    return Repetitions(left, without_fall + (left >= before))


def with_repetitions(outcome: Outcome, series: Repetitions | None) -> Outcome:
    """Return the outcome of a repetition with how its series stood before it; `series` is None for other steps."""
    if series is None or not outcome.facts.get("repeat"):
        return outcome
    facts = {**outcome.facts, _LEFT: series.left, _WITHOUT_FALL: series.without_fall}
    return outcome.model_copy(update={"facts": facts})


def _repeat(planned: PlannedStep, step: Step, outcome: Outcome, bound: int | None) -> RetryDecision:
    if planned.repeat is None or not outcome.facts.get("repeat"):
        return RetryDecision(StepState.SUCCEEDED)
    # One repetition more than there is to undo: the last one finds that nothing is left.
    if step.attempts > (MOST_REPETITIONS if bound is None else bound):
        return RetryDecision(StepState.FAILED)
    return RetryDecision(StepState.PENDING)


def _may_run_again(planned: PlannedStep, outcome: Outcome) -> bool:
    if outcome.kind is OutcomeKind.FAILED and not outcome.temporary:
        return False
    return planned.idempotent is not Idempotency.NEVER or not was_launched(outcome)
