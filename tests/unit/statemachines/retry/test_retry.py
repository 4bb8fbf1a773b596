from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalog.operations import Retry
from schemas.plan import Idempotency, Phase, PlannedStep, Repeat, StepKind
from schemas.resets import Outcome, OutcomeKind, Step, StepState
from schemas.wire import StepName
from statemachines.steps.retry import backoff, decide_retry, needs_check, remembering

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
POLICY = Retry()

policies = st.builds(
    lambda attempts, initial, factor, more: Retry(
        attempts=attempts, initial_delay=initial, factor=factor, maximum_delay=initial + more
    ),
    st.integers(1, 100),
    st.floats(0.01, 3600),
    st.floats(1, 10),
    st.floats(0, 3600),
)
temporary = Outcome(kind=OutcomeKind.FAILED, exit_code=1, temporary=True)
interrupted = Outcome(kind=OutcomeKind.INTERRUPTED)


def planned(idempotent: Idempotency = Idempotency.SAFE, **fields: object) -> PlannedStep:
    base: dict[str, object] = {
        "name": "seed.workflow-api.seed",
        "phase": Phase.SEED,
        "kind": StepKind.COMMAND,
        "batch": 0,
        "idempotent": idempotent,
    }
    return PlannedStep.model_validate(base | fields)


def step(attempts: int = 1) -> Step:
    return Step(name=StepName("seed.workflow-api.seed"), index=0, attempts=attempts)


def decide(
    outcome: Outcome, of: PlannedStep | None = None, attempts: int = 1, bound: int | None = None
) -> tuple[StepState, bool]:
    """What becomes of the step, and whether its next attempt by itself begins with its check."""
    of = of or planned()
    made = decide_retry(of, step(attempts), outcome, POLICY, now=NOW, jitter=0.5, bound=bound)
    return made.state, made.state is StepState.PENDING and needs_check(of, remembering(None, outcome))


@given(policies, st.integers(1, 10_000), st.floats(0, 1))
def test_a_back_off_is_never_negative_nor_over_the_maximum(
    policy: Retry, attempts: int, jitter: float
) -> None:
    assert 0 <= backoff(attempts, policy, jitter) <= policy.maximum_delay


@given(policies, st.integers(1, 200), st.floats(0, 1))
def test_without_luck_a_later_back_off_is_never_shorter(policy: Retry, attempts: int, jitter: float) -> None:
    assert backoff(attempts, policy, jitter) <= backoff(attempts + 1, policy, 1.0) + 1e-9


def test_delays_double_up_to_the_maximum() -> None:
    assert [backoff(n, POLICY, 1.0) for n in range(1, 8)] == [2, 4, 8, 16, 32, 60, 60]


@given(policies, st.integers(1, 300), st.floats(0, 1), st.sampled_from(Idempotency), st.booleans())
def test_attempts_are_bounded_whatever_the_policy(
    policy: Retry, attempts: int, jitter: float, idempotent: Idempotency, launched: bool
) -> None:
    outcome = temporary.model_copy(update={"facts": {"launched": launched}})
    made = decide_retry(planned(idempotent), step(attempts), outcome, policy, now=NOW, jitter=jitter)
    if attempts >= policy.attempts:
        assert made.state is StepState.FAILED
    elif made.state is StepState.PENDING:
        assert made.not_before is not None
        assert NOW <= made.not_before <= NOW + timedelta(seconds=policy.maximum_delay)


def test_success_ends_a_step() -> None:
    assert decide(Outcome(kind=OutcomeKind.SUCCEEDED, exit_code=0)) == (StepState.SUCCEEDED, False)


@pytest.mark.parametrize("idempotent", list(Idempotency))
def test_the_unknown_is_never_tried_again_and_never_success(idempotent: Idempotency) -> None:
    outcome = Outcome(kind=OutcomeKind.UNKNOWN, temporary=True)
    assert decide(outcome, planned(idempotent)) == (StepState.UNKNOWN, False)


@pytest.mark.parametrize(
    ("idempotent", "after"),
    [
        (Idempotency.SAFE, (StepState.PENDING, False)),
        (Idempotency.RERUN_AFTER_CHECK, (StepState.PENDING, True)),
        (Idempotency.NEVER, (StepState.FAILED, False)),
    ],
)
@pytest.mark.parametrize("outcome", [temporary, interrupted])
def test_the_class_decides_whether_a_command_that_ran_may_run_again(
    outcome: Outcome, idempotent: Idempotency, after: tuple[StepState, bool]
) -> None:
    assert decide(outcome, planned(idempotent)) == after


@pytest.mark.parametrize("idempotent", list(Idempotency))
def test_a_command_that_never_started_may_start_whatever_its_class(idempotent: Idempotency) -> None:
    outcome = temporary.model_copy(update={"facts": {"launched": False}})
    assert decide(outcome, planned(idempotent)) == (StepState.PENDING, False)


def test_a_lasting_failure_is_not_tried_again() -> None:
    assert decide(Outcome(kind=OutcomeKind.FAILED, exit_code=1)) == (StepState.FAILED, False)


def test_a_person_who_asks_for_a_step_again_gives_it_all_of_its_automatic_tries() -> None:
    again = step(POLICY.attempts + 1).model_copy(update={"attempts_before": POLICY.attempts})
    made = decide_retry(planned(), again, temporary, POLICY, now=NOW, jitter=1.0)
    assert made.state is StepState.PENDING
    assert made.not_before == NOW + timedelta(seconds=POLICY.initial_delay)
    for attempts, state in (
        (2 * POLICY.attempts - 1, StepState.PENDING),
        (2 * POLICY.attempts, StepState.FAILED),
    ):
        tried = again.model_copy(update={"attempts": attempts})
        assert decide_retry(planned(), tried, temporary, POLICY, now=NOW, jitter=1.0).state is state


def test_the_outside_may_ask_for_more_patience_than_the_policy() -> None:
    outcome = temporary.model_copy(update={"delay": 300.0})
    made = decide_retry(planned(), step(), outcome, POLICY, now=NOW, jitter=1.0)
    assert made.not_before == NOW + timedelta(seconds=300)


def reverting() -> PlannedStep:
    return planned(
        Idempotency.RERUN_AFTER_CHECK,
        check=("check",),
        repeat=Repeat(until="Nothing to revert!", bound=("show",)),
    )


def test_a_repeated_step_goes_on_until_its_output_says_so() -> None:
    again = Outcome(kind=OutcomeKind.SUCCEEDED, exit_code=0, facts={"repeat": True})
    over = Outcome(kind=OutcomeKind.SUCCEEDED, exit_code=0)
    assert decide(again, reverting(), attempts=3, bound=5) == (StepState.PENDING, False)
    assert decide(over, reverting(), attempts=4, bound=5) == (StepState.SUCCEEDED, False)


def test_a_repeated_step_is_bounded_by_what_was_applied() -> None:
    again = Outcome(kind=OutcomeKind.SUCCEEDED, exit_code=0, facts={"repeat": True})
    assert decide(again, reverting(), attempts=5, bound=5) == (StepState.PENDING, False)
    assert decide(again, reverting(), attempts=6, bound=5) == (StepState.FAILED, False)
