"""Which acts a reset takes.

Over 300 lines: one table of acts and states.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.plan import Plan
from schemas.reasons import Reason
from schemas.resets import (
    Act,
    ActKind,
    Approval,
    Channel,
    HistoryEntry,
    OutcomeKind,
    Reset,
    ResetState,
    Step,
    StepState,
)
from schemas.wire import ResetId
from statemachines.acts import ANSWERS, check_act, sequence_of_stop
from statemachines.consent import answerable, consenting
from statemachines.lifecycle import TERMINAL, Trigger, allows
from tests.unit.statemachines.planner.world import facts, planned, request

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PLAN = planned(request("qa-production"), facts("qa-production"))
FREE = planned()
SKIPPABLE = "seed.workflow-api.seed"
SYSTEM = "seed.los-core-api.system"
ID = ResetId("01890000-0000-7000-8000-000000000001")
LEADS = {
    ActKind.DENY: Trigger.DENY,
    ActKind.CANCEL: Trigger.CANCEL,
    ActKind.RESUME: Trigger.RESUME,
    ActKind.ROLLBACK: Trigger.ROLL_BACK,
}


def reset(state: ResetState = ResetState.AWAITING_APPROVAL, **fields: object) -> Reset:
    base: dict[str, object] = {
        "id": ID,
        "number": 1,
        "environment": "qa-production",
        "request": request("qa-production"),
        "channel": Channel.HTTP,
        "requested_by": ("ana",),
        "state": state,
        "plan_hash": PLAN.hash,
        "approvals_required": 1,
        "approval_expires_at": NOW + timedelta(hours=1),
        "destroyed": True,
        "sequence": 7,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Reset.model_validate(base | fields)


def act(kind: ActKind, actor: str = "ben", channel: Channel = Channel.HTTP, **fields: object) -> Act:
    base: dict[str, object] = {
        "reset_id": ID,
        "kind": kind,
        "actor": actor,
        "channel": channel,
        "reason": "why not",
        "at": NOW,
    }
    return Act.model_validate(base | fields)


def steps(plan: Plan = PLAN, **states: StepState) -> tuple[Step, ...]:
    named = {name.replace("__", ".").replace("_", "-"): state for name, state in states.items()}
    return tuple(
        Step(name=step.name, index=index, state=named.get(step.name, StepState.PENDING))
        for index, step in enumerate(plan.steps)
    )


def reason(
    asked: Act,
    of: Reset,
    plan: Plan | None = PLAN,
    known: tuple[Step, ...] | None = None,
    **more: Any,  # noqa: ANN401 - as `check_act` takes it
) -> Reason | None:
    refusal = check_act(asked, of, plan, steps() if known is None else known, **more)
    return refusal.reason if refusal else None


def approve(actor: str = "ben", **fields: object) -> Act:
    return act(ActKind.APPROVE, actor, **({"plan_hash": PLAN.hash} | fields))  # type: ignore[arg-type]


def test_somebody_else_may_approve_the_plan_that_is() -> None:
    assert reason(approve(), reset()) is None


@pytest.mark.parametrize("actor", ["ana", "Ana", " ana "])
def test_nobody_approves_what_they_asked_for(actor: str) -> None:
    assert reason(approve(actor), reset()) is Reason.SELF_APPROVAL


def test_nobody_who_joined_the_request_approves_it() -> None:
    assert reason(approve("cleo"), reset(requested_by=("ana", "cleo"))) is Reason.SELF_APPROVAL


@pytest.mark.parametrize("plan_hash", [None, FREE.hash, "sha256:0"])
def test_an_approval_of_another_plan_is_refused(plan_hash: str | None) -> None:
    assert reason(approve(plan_hash=plan_hash), reset()) is Reason.WRONG_PLAN


def test_the_same_person_does_not_count_twice() -> None:
    given_once = reset(approvals=(Approval(actor="ben", plan_hash=PLAN.hash, at=NOW),))
    assert reason(approve("Ben"), given_once) is Reason.ALREADY_APPROVED
    assert reason(approve("cleo"), given_once) is None


def test_an_approval_of_an_older_plan_does_not_keep_anybody_from_approving_this_one() -> None:
    assert reason(approve(), reset(approvals=(Approval(actor="ben", plan_hash="sha256:0", at=NOW),))) is None


def test_an_approval_that_comes_too_late_is_refused() -> None:
    assert reason(approve(at=NOW + timedelta(hours=1)), reset()) is Reason.APPROVAL_EXPIRED


@pytest.mark.parametrize("channel", [Channel.KAFKA, Channel.PROVISIONING])
@pytest.mark.parametrize("kind", sorted(set(ActKind) - {ActKind.CANCEL, ActKind.RESUME}))
@pytest.mark.parametrize("state", list(ResetState))
def test_a_topic_has_no_authority(kind: ActKind, channel: Channel, state: ResetState) -> None:
    asked = act(kind, "ben", channel, plan_hash=PLAN.hash)
    assert reason(asked, reset(state)) is Reason.CONSENT_NEEDS_A_TOKEN


def test_a_protected_reset_is_not_resumed_over_kafka_but_by_a_person() -> None:
    over_kafka = act(ActKind.RESUME, channel=Channel.KAFKA)
    assert reason(over_kafka, reset(ResetState.FAILED)) is Reason.CONSENT_NEEDS_A_TOKEN
    assert reason(act(ActKind.RESUME), reset(ResetState.FAILED)) is None
    free = reset(ResetState.FAILED, plan_hash=FREE.hash, approvals_required=0)
    assert reason(over_kafka, free, FREE) is None


def test_d4_a_cancellation_over_kafka_ends_nothing_protected() -> None:
    over_kafka = act(ActKind.CANCEL, channel=Channel.KAFKA)
    free = {"plan_hash": FREE.hash, "approvals_required": 0}
    for state in (state for state in ResetState if allows(state, Trigger.CANCEL)):
        assert reason(over_kafka, reset(state)) is Reason.CONSENT_NEEDS_A_TOKEN
        assert reason(over_kafka, reset(state, **free), PLAN) is Reason.CONSENT_NEEDS_A_TOKEN
        assert reason(over_kafka, reset(state, **free), FREE) is None
        assert reason(act(ActKind.CANCEL), reset(state)) is None


@pytest.mark.parametrize("channel", [Channel.KAFKA, Channel.PROVISIONING])
def test_d4_an_event_ends_nothing_of_which_nobody_knows_yet_whether_it_is_protected(channel: Channel) -> None:
    event = act(ActKind.CANCEL, channel=channel)
    new: dict[str, object] = {"plan_hash": None, "approvals_required": 0, "destroyed": False}
    by_a_token = reset(ResetState.PLANNING, **new)
    by_an_event = reset(ResetState.PLANNING, **new, claimed_by=("ana",))
    assert reason(event, by_a_token, None) is Reason.CONSENT_NEEDS_A_TOKEN
    assert reason(event, by_an_event, None, protected_kind=True) is Reason.CONSENT_NEEDS_A_TOKEN
    assert reason(event, by_an_event, None) is None
    assert reason(act(ActKind.CANCEL), by_a_token, None, protected_kind=True) is None


def test_d4_a_deprovisioned_environment_ends_what_waits_and_nothing_protected_or_begun() -> None:
    gone = act(ActKind.CANCEL, channel=Channel.PROVISIONING)
    free: dict[str, object] = {"plan_hash": FREE.hash, "approvals_required": 0}
    for state in (state for state in ResetState if allows(state, Trigger.CANCEL)):
        waits = state in {ResetState.PLANNING, ResetState.AWAITING_APPROVAL, ResetState.QUEUED}
        assert reason(gone, reset(state, destroyed=False)) is Reason.CONSENT_NEEDS_A_TOKEN
        expected = None if waits else Reason.WRONG_STATE
        assert reason(gone, reset(state, **free, destroyed=False), FREE) is expected
        assert reason(gone, reset(state, **free, destroyed=True), FREE) is Reason.WRONG_STATE


def test_d5_who_asked_cancels_until_the_work_begins_and_an_operator_at_any_time() -> None:
    mine, operators = act(ActKind.CANCEL, "ana", as_requester=True), act(ActKind.CANCEL, "olga")
    waiting = {ResetState.PLANNING, ResetState.AWAITING_APPROVAL, ResetState.QUEUED}
    for state in (state for state in ResetState if allows(state, Trigger.CANCEL)):
        new = reset(state, destroyed=False)
        assert reason(mine, new) is (None if state in waiting else Reason.FORBIDDEN)
        assert reason(mine, reset(state, destroyed=False, stops=1)) is Reason.FORBIDDEN
        assert reason(mine, reset(state, destroyed=True)) is Reason.FORBIDDEN
        assert reason(operators, reset(state)) is None


def test_d4_a_name_that_an_event_claims_takes_nobodys_right_to_approve() -> None:
    claimed = reset(requested_by=("ana", "ben"), claimed_by=("ben",))
    assert reason(approve("ben"), claimed) is None
    given_by = (Approval(actor="ben", plan_hash=PLAN.hash, at=NOW),)
    assert consenting(claimed.model_copy(update={"approvals": given_by})) == ("ben",)
    assert reason(approve("ana"), claimed) is Reason.SELF_APPROVAL


def test_d4_a_name_in_which_an_event_joins_speaks_for_nobody() -> None:
    joined = reset(requested_by=("ana", "ben", "cleo"), claimed_by=("ana", "cleo"))
    assert answerable(joined) == ("ana", "ben")


def test_rolling_back_needs_a_reason_and_nobodys_consent() -> None:
    """The consent to a plan includes the way back."""
    stopped = reset(ResetState.FAILED, approvals=())
    assert reason(act(ActKind.ROLLBACK), stopped) is None
    assert reason(act(ActKind.ROLLBACK, reason=None), stopped) is Reason.REASON_REQUIRED
    later = ResetId("01890000-0000-7000-8000-000000000002")
    assert reason(act(ActKind.ROLLBACK), stopped, superseded_by=later) is Reason.SUPERSEDED


@pytest.mark.parametrize("kind", sorted(LEADS))
@pytest.mark.parametrize("state", list(ResetState))
def test_what_moves_a_reset_is_allowed_exactly_where_the_life_cycle_has_a_way(
    kind: ActKind, state: ResetState
) -> None:
    allowed = allows(state, LEADS[kind])
    assert reason(act(kind), reset(state)) is (None if allowed else Reason.WRONG_STATE)


@given(st.sampled_from(ActKind), st.sampled_from(sorted(TERMINAL)), st.sampled_from(Channel))
def test_what_is_over_stays_over(kind: ActKind, state: ResetState, channel: Channel) -> None:
    asked = act(kind, channel=channel, plan_hash=PLAN.hash, step=SKIPPABLE, outcome=OutcomeKind.FAILED)
    assert reason(asked, reset(state)) is not None


def test_a_reset_cancelled_before_it_destroyed_anything_is_over() -> None:
    over = reset(ResetState.CANCELLED, destroyed=False)
    assert reason(act(ActKind.RESUME), over) is Reason.WRONG_STATE
    assert reason(act(ActKind.ROLLBACK), over) is Reason.WRONG_STATE


def test_an_act_that_saw_an_older_status_is_refused() -> None:
    assert reason(act(ActKind.RESUME, sequence=6), reset(ResetState.FAILED)) is Reason.STALE_SEQUENCE
    assert reason(act(ActKind.RESUME, sequence=7), reset(ResetState.FAILED)) is None


@pytest.mark.parametrize("kind", sorted(ANSWERS))
def test_what_answers_a_stop_is_refused_where_it_was_taken_down_before_that_stop(kind: ActKind) -> None:
    stopped = reset(ResetState.NEEDS_OPERATOR)
    assert reason(act(kind, last_status=5), stopped, stop_sequence=6) is Reason.STALE_SEQUENCE
    for answers in (
        reason(act(kind, last_status=6), stopped, stop_sequence=6),
        reason(act(kind), stopped, stop_sequence=6),
    ):
        assert answers is not Reason.STALE_SEQUENCE


@given(st.lists(st.sampled_from(ResetState)))
def test_a_stop_began_with_the_first_status_since_which_the_reset_did_not_go_on(
    states: list[ResetState],
) -> None:
    told = [
        HistoryEntry(reset_id=ID, sequence=number, at=NOW, type="x", data={"state": state.value})
        for number, state in enumerate(states, 1)
    ]
    at_a_stop = [
        state in {ResetState.FAILED, ResetState.NEEDS_OPERATOR, ResetState.CANCELLED} for state in states
    ]
    began = sequence_of_stop(told)
    if began is None:
        assert not at_a_stop or not at_a_stop[-1]
    else:
        assert all(at_a_stop[began - 1 :])
        assert began == 1 or not at_a_stop[began - 2]


@pytest.mark.parametrize("kind", [ActKind.RESUME, ActKind.ROLLBACK])
def test_nothing_is_taken_up_again_that_a_later_reset_has_touched(kind: ActKind) -> None:
    later = ResetId("01890000-0000-7000-8000-000000000002")
    assert reason(act(kind), reset(ResetState.FAILED), superseded_by=later) is Reason.SUPERSEDED


def test_the_unknown_has_to_be_resolved_before_a_resume() -> None:
    lost = steps(seed__workflow_api__seed=StepState.UNKNOWN)
    stopped = reset(ResetState.NEEDS_OPERATOR)
    assert reason(act(ActKind.RESUME), stopped, known=lost) is Reason.OUTCOME_UNKNOWN
    asked = act(ActKind.RESOLVE, step=SKIPPABLE, outcome=OutcomeKind.SUCCEEDED)
    assert reason(asked, stopped, known=lost) is None
    assert reason(asked.model_copy(update={"outcome": OutcomeKind.FAILED}), stopped, known=lost) is None
    assert reason(asked.model_copy(update={"outcome": None}), stopped, known=lost) is Reason.WRONG_STATE
    assert reason(asked, stopped) is Reason.WRONG_STATE
    assert reason(asked, reset(ResetState.FAILED), known=lost) is Reason.WRONG_STATE


def test_what_must_succeed_can_be_neither_skipped_nor_resolved_as_succeeded() -> None:
    for step in PLAN.steps:
        if step.skippable:
            continue
        failed = (Step(name=step.name, index=0, state=StepState.FAILED),)
        skip = act(ActKind.SKIP, step=step.name)
        assert reason(skip, reset(ResetState.FAILED), known=failed) is Reason.NOT_SKIPPABLE
        unknown = (Step(name=step.name, index=0, state=StepState.UNKNOWN),)
        resolve = act(ActKind.RESOLVE, step=step.name, outcome=OutcomeKind.SUCCEEDED)
        assert reason(resolve, reset(ResetState.NEEDS_OPERATOR), known=unknown) is Reason.NOT_SKIPPABLE


def test_a_skippable_step_may_be_skipped_unless_it_runs_or_is_done() -> None:
    skip = act(ActKind.SKIP, step=SKIPPABLE)
    assert (
        reason(skip, reset(ResetState.FAILED), known=steps(seed__workflow_api__seed=StepState.FAILED)) is None
    )
    assert reason(skip, reset(ResetState.SEEDING)) is None
    for state in (StepState.RUNNING, StepState.SUCCEEDED, StepState.UNKNOWN):
        known = steps(seed__workflow_api__seed=state)
        assert reason(skip, reset(ResetState.SEEDING), known=known) is Reason.WRONG_STATE


def test_a_step_that_the_plan_does_not_have_is_unknown() -> None:
    failed = reset(ResetState.FAILED)
    assert reason(act(ActKind.SKIP, step="seed.nobody.seed"), failed) is Reason.UNKNOWN_STEP
    assert reason(act(ActKind.RESUME, step="seed.nobody.seed"), failed) is Reason.UNKNOWN_STEP
    assert reason(act(ActKind.SKIP), failed) is Reason.UNKNOWN_STEP


def test_a_reset_that_has_no_plan_yet_is_resumed_by_planning() -> None:
    assert reason(act(ActKind.RESUME), reset(ResetState.FAILED, plan_hash=None), None, ()) is None


def test_consent_counts_people_and_only_for_the_present_plan() -> None:
    def by(actor: str, plan_hash: str = PLAN.hash) -> Approval:
        return Approval(actor=actor, plan_hash=plan_hash, at=NOW)

    given_by = (by("ben"), by("BEN"), by("cleo", "sha256:0"), by("dora"), by("ana"))
    assert consenting(reset(approvals=given_by)) == ("ben", "dora")
    assert consenting(reset(approvals=given_by, requested_by=("ana", "dora"))) == ("ben",)
