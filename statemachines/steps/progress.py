"""How far a step and its attempts got: each function makes the next row out of the one before."""

from __future__ import annotations

from datetime import datetime

from schemas.catalog.operations import Retry
from schemas.plan import PlannedStep
from schemas.reasons import Reason
from schemas.resets import Attempt, Outcome, OutcomeKind, Step, StepState
from statemachines.steps.retry import decide_retry


def begun(step: Step, number: int) -> Step:
    """The step while its attempt `number` runs."""
    return step.model_copy(update={"state": StepState.RUNNING, "attempts": number, "not_before": None})


def after_attempt(
    planned: PlannedStep,
    step: Step,
    number: int,
    outcome: Outcome,
    policy: Retry,
    *,
    now: datetime,
    jitter: float,
    bound: int | None,
) -> Step:
    """The step after its attempt `number` came to `outcome`; the other arguments are those of `decide_retry`.

    A repetition that succeeded is progress: the attempts up to it use up no automatic retry.
    """
    counted = step.model_copy(update={"attempts": number})
    decision = decide_retry(planned, counted, outcome, policy, now=now, jitter=jitter, bound=bound)
    succeeded = outcome.kind is OutcomeKind.SUCCEEDED
    repeats = decision.state is StepState.PENDING and succeeded
    if decision.state is StepState.FAILED and succeeded:
        outcome = _exhausted(planned, outcome, number)
    return counted.model_copy(
        update={
            "state": decision.state,
            "outcome": outcome,
            "not_before": decision.not_before,
            "attempts_before": number if repeats else step.attempts_before,
        }
    )


def _exhausted(planned: PlannedStep, outcome: Outcome, number: int) -> Outcome:
    """The outcome of a step that is not done although its last repetition succeeded, and no more can be needed."""
    return outcome.model_copy(
        update={
            "kind": OutcomeKind.FAILED,
            "cause": Reason.REPETITION_STUCK,
            "detail": f"{planned.name}: attempt {number} succeeded and did not say that nothing is left, "
            "and no more can be needed",
            "hint": "Look into `resetd logs ID STEP`: does the tool print what it did? Then `resetd resume ID`.",
        }
    )


def resolved(step: Step, state: StepState, outcome: Outcome) -> Step:
    """The step in `state` because of `outcome`: a cancel ended its attempt, or a person said what happened."""
    return step.model_copy(update={"state": state, "outcome": outcome})


def skipped(step: Step) -> Step:
    """The step that a person chose to leave out."""
    return step.model_copy(update={"state": StepState.SKIPPED, "not_before": None})


def to_run_again(step: Step) -> Step:
    """The step as one to run once more, with all of its automatic retries."""
    return step.model_copy(
        update={"state": StepState.PENDING, "not_before": None, "attempts_before": step.attempts}
    )


def lost(step: Step, attempt: Attempt) -> Step:
    """The step whose attempt, perhaps of a state that was lost, has an outcome that nobody knows.

    Its next attempt gets a higher number than any that was ever given.
    """
    return step.model_copy(
        update={
            "state": StepState.UNKNOWN,
            "attempts": max(step.attempts, attempt.number),
            "outcome": attempt.outcome,
            "not_before": None,
        }
    )


def ended(attempt: Attempt, outcome: Outcome, *, at: datetime) -> Attempt:
    """The attempt with its outcome, which was known at `at`."""
    return attempt.model_copy(update={"finished_at": at, "outcome": outcome})


def reassessed(attempt: Attempt, outcome: Outcome) -> Attempt:
    """The attempt that ended before, with what is known of it by now."""
    return attempt.model_copy(update={"outcome": outcome})
