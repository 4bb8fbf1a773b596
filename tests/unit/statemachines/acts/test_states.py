"""Every act in every state: what makes sense where, and that all else is refused with a code and a text."""

from __future__ import annotations

from itertools import product

import pytest

from schemas.plan import Plan
from schemas.reasons import TEXTS, Reason
from schemas.requests import Mode
from schemas.resets import Act, ActKind, Outcome, OutcomeKind, Reset, ResetState, Step, StepState
from statemachines.acts import check_act, plans_anew, repeats
from statemachines.lifecycle import WORKING
from tests.unit.statemachines.acts.test_acts import FREE, PLAN, SKIPPABLE, SYSTEM, act, reset
from tests.unit.statemachines.planner.world import planned, request

WIPE = planned(request(mode=Mode.WIPE))
S = ResetState
STOPPED = {S.FAILED, S.NEEDS_OPERATOR, S.CANCELLED}
MAKES_SENSE: dict[ActKind, set[ResetState]] = {
    ActKind.APPROVE: {S.AWAITING_APPROVAL},
    ActKind.DENY: {S.AWAITING_APPROVAL},
    ActKind.CANCEL: {
        S.PLANNING,
        S.AWAITING_APPROVAL,
        S.QUEUED,
        *WORKING,
        S.PAUSED,
        S.FAILED,
        S.NEEDS_OPERATOR,
    },
    ActKind.RESUME: STOPPED,
    ActKind.SKIP: {S.QUEUED, *WORKING, *STOPPED},
    ActKind.RESOLVE: {S.NEEDS_OPERATOR},
    ActKind.ROLLBACK: STOPPED,
    ActKind.RELEASE: {S.FAILED, S.CANCELLED},
    ActKind.ACCEPT: {S.FAILED},
}
"""Written down here once more, by hand, so that a change of the life cycle is a change of this table, too."""


def steps(plan: Plan, default: StepState = StepState.PENDING, **states: StepState) -> tuple[Step, ...]:
    named = {name.replace("__", ".").replace("_", "-"): state for name, state in states.items()}
    return tuple(
        Step(
            name=step.name,
            index=index,
            state=named.get(step.name, default),
            attempts=int(named.get(step.name, default) is not StepState.PENDING),
        )
        for index, step in enumerate(plan.steps)
    )


def empty_tables(step: Step) -> Step:
    """The step, which failed by nothing but a learned check if it failed."""
    facts = {"tables": {"learned.core": {"filled": ["a"], "empty": ["b"]}}, "unmet": ["learned.core"]}
    outcome = Outcome(kind=OutcomeKind.FAILED, cause=Reason.TABLES_EMPTY, facts=facts)
    return step.model_copy(update={"outcome": outcome}) if step.state is StepState.FAILED else step


def fitting(kind: ActKind, state: ResetState) -> tuple[Act, Reset, tuple[Step, ...]]:
    """An act with all that it needs, for a reset in that state whose steps are such that only the state can object."""
    asked = {
        ActKind.APPROVE: {"plan_hash": PLAN.hash},
        ActKind.SKIP: {"step": SKIPPABLE},
        ActKind.RESOLVE: {"step": SKIPPABLE, "outcome": OutcomeKind.SUCCEEDED},
        ActKind.ACCEPT: {"check_name": "learned.core"},
    }.get(kind, {})
    known = steps(PLAN, seed__los_core_api__system=StepState.FAILED)
    if kind is ActKind.ACCEPT:
        return act(kind, **asked), reset(state), tuple(map(empty_tables, known))  # type: ignore[arg-type]
    lost = StepState.UNKNOWN if kind is ActKind.RESOLVE else StepState.PENDING
    return act(kind, **asked), reset(state), steps(PLAN, seed__workflow_api__seed=lost)  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "state"), list(product(ActKind, ResetState)))
def test_an_act_is_taken_where_it_makes_sense_and_refused_with_a_code_and_a_text_elsewhere(
    kind: ActKind, state: ResetState
) -> None:
    asked, of, known = fitting(kind, state)
    refusal = check_act(asked, of, PLAN, known)
    if state in MAKES_SENSE[kind]:
        assert refusal is None
    else:
        assert refusal is not None
        assert refusal.reason is Reason.WRONG_STATE
        assert state.value in refusal.detail
        assert TEXTS[refusal.reason]


@pytest.mark.parametrize(
    ("kind", "state"),
    list(product((ActKind.SKIP, ActKind.RESOLVE, ActKind.ACCEPT, ActKind.RELEASE), ResetState)),
)
@pytest.mark.parametrize("reason", [None, ""])
def test_what_goes_on_a_persons_word_needs_the_word(
    kind: ActKind, state: ResetState, reason: str | None
) -> None:
    asked, of, known = fitting(kind, state)
    refusal = check_act(asked.model_copy(update={"reason": reason}), of, PLAN, known)
    assert refusal is not None
    assert refusal.reason is Reason.REASON_REQUIRED


class TestGoingOnFromAnEarlierStep:
    DONE = steps(WIPE, StepState.SUCCEEDED, verify__los_core_api=StepState.FAILED)
    STOPPED = reset(ResetState.FAILED, approvals_required=0, plan_hash=WIPE.hash)

    def test_what_succeeded_and_is_not_to_be_repeated_runs_again_only_when_somebody_says_so(self) -> None:
        first = act(ActKind.RESUME, step="seed.workflow-api.revert")
        refusal = check_act(first, self.STOPPED, WIPE, self.DONE)
        assert refusal is not None
        assert refusal.reason is Reason.WOULD_REPEAT
        for step in repeats(first, WIPE, self.DONE):
            assert step.name in refusal.detail
        assert check_act(first.model_copy(update={"force": True}), self.STOPPED, WIPE, self.DONE) is None

    def test_what_may_be_repeated_needs_no_force(self) -> None:
        first = next(step.name for step in WIPE.steps if step.name.startswith("verify."))
        asked = act(ActKind.RESUME, step=first)
        assert check_act(asked, self.STOPPED, WIPE, self.DONE) is None
        assert not repeats(asked, WIPE, self.DONE)

    def test_without_a_step_nothing_that_succeeded_is_repeated(self) -> None:
        assert repeats(act(ActKind.RESUME), WIPE, self.DONE) == ()
        assert check_act(act(ActKind.RESUME), self.STOPPED, WIPE, self.DONE) is None

    def test_on_protected_resources_it_asks_for_consent_once_more(self) -> None:
        done = steps(PLAN, StepState.SUCCEEDED, verify__los_core_api=StepState.FAILED)
        forced = act(ActKind.RESUME, step=done[0].name, force=True)
        assert plans_anew(forced, reset(ResetState.FAILED), PLAN, done)
        assert not plans_anew(act(ActKind.RESUME), reset(ResetState.FAILED), PLAN, done)
        free = steps(FREE, StepState.SUCCEEDED)
        unprotected = reset(ResetState.FAILED, approvals_required=0)
        assert not plans_anew(forced, unprotected, FREE, free)


@pytest.mark.parametrize("mode", list(Mode))
def test_the_seed_of_the_roles_is_never_skipped_nor_resolved_as_succeeded(mode: Mode) -> None:
    plan = planned(request(mode=mode))
    skip = act(ActKind.SKIP, step=SYSTEM)
    for state in sorted(MAKES_SENSE[ActKind.SKIP]):
        refusal = check_act(skip, reset(state), plan, steps(plan))
        assert refusal is not None
        assert refusal.reason is Reason.NOT_SKIPPABLE


def test_no_seed_that_a_wipe_makes_necessary_is_skipped() -> None:
    wiped = {key for step in WIPE.steps if step.destructive for key in step.touches}
    for step in WIPE.steps:
        if step.name.startswith("seed.") and set(step.touches) & wiped:
            skip = act(ActKind.SKIP, step=step.name)
            refusal = check_act(skip, reset(ResetState.FAILED), WIPE, steps(WIPE))
            assert refusal is not None, step.name
            assert refusal.reason is Reason.NOT_SKIPPABLE
