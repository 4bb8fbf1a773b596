"""Nothing is destroyed on a consent or a dump from before the last stop, whatever happens in whatever order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from schemas.plan import Phase, PlannedStep, StepKind
from schemas.reasons import Reason
from schemas.requests import Mode
from schemas.resets import (
    Act,
    ActKind,
    Approval,
    Channel,
    Outcome,
    OutcomeKind,
    Reset,
    ResetState,
    Step,
    StepState,
)
from schemas.wire import ResetId, StepName
from statemachines.act_effects import ResetSnapshot, effect_of
from statemachines.acts import check_act
from statemachines.commits import check_commit
from statemachines.consent import consenting, expired, lacks_consent, usable_until
from statemachines.lifecycle import STOPPED, advance
from statemachines.reset_update import UNCHANGED, ResetUpdate, updated
from statemachines.steps.launch_rights import TAKEN_AFTER, left_to_destroy, missing_right
from statemachines.steps.progress import begun, resolved
from tests.unit.statemachines.planner.world import facts, planned, request

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TTL = timedelta(hours=24)
PLAN = planned(request("qa-production", mode=Mode.WIPE), facts("qa-production"))
DESTRUCTIVE = [step for step in PLAN.steps if step.destructive]
DUMPS = [step for step in PLAN.steps if step.kind is StepKind.BACKUP_DATABASE]
PROOFS = [step for step in PLAN.steps if step.kind is StepKind.PROVE_BACKUP]
ID = ResetId("01890000-0000-7000-8000-000000000001")


def production(**fields: object) -> Reset:
    base: dict[str, object] = {
        "id": ID,
        "number": 1,
        "environment": "qa-production",
        "request": request("qa-production", mode=Mode.WIPE),
        "channel": Channel.HTTP,
        "requested_by": ("ana",),
        "state": ResetState.MIGRATING_CORE,
        "plan_hash": PLAN.hash,
        "approvals_required": 1,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Reset.model_validate(base | fields)


def unstarted() -> dict[StepName, Step]:
    return {step.name: Step(name=step.name, index=index) for index, step in enumerate(PLAN.steps)}


def dump(stops: int) -> Outcome:
    facts = {TAKEN_AFTER: stops, "path": "p", "sizeBytes": 1, "sha256": f"{stops:064}"}
    return Outcome(kind=OutcomeKind.SUCCEEDED, facts=facts)


def taken_and_proven(
    steps: dict[StepName, Step], which: PlannedStep, stops: int, receipt_of: int | None = None
) -> None:
    """Let a dump succeed, and the proof of it; `receipt_of` the dump after that many stops, if of another one."""
    steps[which.name] = resolved(steps[which.name], StepState.SUCCEEDED, dump(stops))
    for proof in PROOFS:
        if proof.touches == which.touches:
            receipt = dump(stops if receipt_of is None else receipt_of)
            steps[proof.name] = resolved(steps[proof.name], StepState.SUCCEEDED, receipt)


class Stops(RuleBasedStateMachine):
    """A production that is dumped, agreed to, destroyed, stopped and resumed; what is believed of it is kept beside."""

    def __init__(self) -> None:
        super().__init__()
        self.reset = production()
        self.steps = unstarted()
        self.stops = 0
        self.dumped: dict[str, int] = {}
        """Database -> how many stops there were when it was last dumped."""
        self.agreed: int | None = None
        """How many stops there were when somebody last agreed."""
        self.destroyed_after: int | None = None
        """How many stops there were when something was last destroyed."""

    def change(self, update: ResetUpdate, state: ResetState | None = None) -> None:
        self.reset = updated(self.reset, update, state=state or self.reset.state, at=NOW)
        check_commit(self.reset, None, ())

    @precondition(lambda self: self.reset.state not in STOPPED)
    @rule(which=st.sampled_from(DUMPS))
    def dumps(self, which: object) -> None:
        name = which.name  # type: ignore[attr-defined]
        if self.steps[name].state is StepState.SUCCEEDED:
            return
        taken_and_proven(self.steps, which, self.reset.stops)  # type: ignore[arg-type]
        self.dumped.update(dict.fromkeys(which.touches, self.stops))  # type: ignore[attr-defined]

    @precondition(lambda self: self.reset.state not in STOPPED)
    @rule()
    def somebody_agrees(self) -> None:
        if lacks_consent(self.reset):
            given = Approval(actor=f"ben-{self.stops}", plan_hash=PLAN.hash, at=NOW)
            self.change(ResetUpdate(approvals=(*self.reset.approvals, given)))
            self.agreed = self.stops

    @precondition(lambda self: self.reset.state not in STOPPED)
    @rule(which=st.sampled_from(DESTRUCTIVE), well=st.booleans())
    def destroys(self, which: object, *, well: bool) -> None:
        step = which
        if self.steps[step.name].state is not StepState.PENDING:  # type: ignore[attr-defined]
            return
        lacking = missing_right(self.reset, PLAN, self.steps, step, now=NOW)  # type: ignore[arg-type]
        fresh = step.kind is StepKind.RESET_REPOSITORY or all(  # type: ignore[attr-defined]
            self.dumped.get(key) == self.stops
            for key in step.touches  # type: ignore[attr-defined]
        )
        consented = self.agreed is not None and (
            self.destroyed_after in (None, self.stops) or self.agreed > self.destroyed_after
        )
        assert (lacking is None) is (fresh and consented)
        if lacking is not None:
            return
        name = step.name  # type: ignore[attr-defined]
        self.change(ResetUpdate(destroyed=True, consent_spent=True))
        self.destroyed_after = self.stops
        kind = OutcomeKind.SUCCEEDED if well else OutcomeKind.FAILED
        state = StepState.SUCCEEDED if well else StepState.FAILED
        self.steps[name] = resolved(begun(self.steps[name], 1), state, Outcome(kind=kind))

    @precondition(lambda self: self.reset.state not in STOPPED)
    @rule(state=st.sampled_from(sorted(STOPPED)))
    def stops_with(self, state: ResetState) -> None:
        self.change(UNCHANGED, state)
        self.stops += 1

    @precondition(lambda self: self.reset.state in STOPPED)
    @rule(start=st.none() | st.sampled_from([step.name for step in PLAN.steps]))
    def somebody_resumes(self, start: StepName | None) -> None:
        act = Act(
            reset_id=ID,
            kind=ActKind.RESUME,
            actor="ana",
            channel=Channel.HTTP,
            step=start,
            force=True,
            at=NOW,
        )
        if check_act(act, self.reset, PLAN, tuple(self.steps.values())) is not None:
            return
        effect = effect_of(act, ResetSnapshot(self.reset, PLAN, self.steps, {}), now=NOW)
        self.steps |= {step.name: step for step in effect.steps}
        assert effect.trigger is not None
        self.change(effect.update, advance(self.reset.state, effect.trigger))
        if self.reset.state is ResetState.PLANNING:  # another plan, which happens to be the same
            self.reset = self.reset.model_copy(update={"approvals": ()})
            self.agreed = None
        self.reset = self.reset.model_copy(update={"state": ResetState.QUEUED})

    @invariant()
    def what_is_left_to_destroy_finds_no_dump_done_that_is_old(self) -> None:
        """After a resume the order of the plan itself leads to new dumps: the guard at the launch is a second one."""
        if self.reset.state in STOPPED:
            return
        left = {key for step in left_to_destroy(PLAN, self.steps) for key in step.touches}
        for step in DUMPS:
            if self.steps[step.name].state is StepState.SUCCEEDED and left & set(step.touches):
                assert all(self.dumped[key] == self.stops for key in step.touches)


TestStops = Stops.TestCase


@pytest.mark.parametrize("state", sorted(STOPPED))
def test_d1_a_stop_spends_the_consent_on_which_something_was_destroyed_and_no_other(
    state: ResetState,
) -> None:
    given = (Approval(actor="ben", plan_hash=PLAN.hash, at=NOW),)
    for destroyed in (True, False):
        reset = production(approvals=given, destroyed=destroyed, consent_spent=destroyed)
        after = updated(reset, UNCHANGED, state=state, at=NOW)
        assert (after.stops, after.consent_spent, lacks_consent(after)) == (1, False, destroyed)
        assert updated(after, UNCHANGED, state=state, at=NOW) == after


@pytest.mark.parametrize("state", [state for state in ResetState if state not in STOPPED])
def test_d1_neither_a_retry_nor_any_other_move_is_a_stop(state: ResetState) -> None:
    given = (Approval(actor="ben", plan_hash=PLAN.hash, at=NOW),)
    reset = production(approvals=given, destroyed=True, consent_spent=True)
    after = updated(reset, UNCHANGED, state=state, at=NOW)
    assert (after.stops, consenting(after)) == (0, ("ben",))


def test_d1_no_commit_destroys_on_a_consent_that_was_spent_and_what_destroys_nothing_may_go_on() -> None:
    spent = (Approval(actor="ben", plan_hash=PLAN.hash, at=NOW, spent=True),)
    check_commit(production(state=ResetState.VERIFYING, approvals=spent, destroyed=True, stops=1), None, ())
    with pytest.raises(ValueError, match="without consent"):
        check_commit(production(approvals=spent, destroyed=True, stops=1, consent_spent=True), None, ())


def test_d2_the_age_of_a_consent_counts_until_it_is_used() -> None:
    given = (
        Approval(actor="ben", plan_hash=PLAN.hash, at=NOW),
        Approval(actor="cleo", plan_hash=PLAN.hash, at=NOW + timedelta(hours=1)),
    )
    reset = production(approvals=given, approvals_required=2)
    until = usable_until(reset, TTL)
    assert until == NOW + TTL
    reset = reset.model_copy(update={"approval_expires_at": until})
    steps = unstarted()
    for step in DUMPS:
        taken_and_proven(steps, step, 0)
    for late, reason in ((timedelta(seconds=-1), None), (timedelta(), Reason.APPROVAL_EXPIRED)):
        lacking = missing_right(reset, PLAN, steps, DESTRUCTIVE[0], now=NOW + TTL + late)
        assert (lacking and lacking.reason) is reason
        assert expired(reset, NOW + TTL + late) is (reason is not None)
    used = reset.model_copy(update={"consent_spent": True})
    assert missing_right(used, PLAN, steps, DESTRUCTIVE[0], now=NOW + 100 * TTL) is None


@pytest.mark.parametrize("stops", [1, 2, 7])
def test_d1_a_dump_from_before_the_last_stop_is_no_dump_wherever_the_plan_has_it(stops: int) -> None:
    given = (Approval(actor="ben", plan_hash=PLAN.hash, at=NOW),)
    reset, steps = production(approvals=given, stops=stops), unstarted()
    command = next(step for step in DESTRUCTIVE if step.kind is StepKind.COMMAND)
    for taken_after, reason in (
        (0, Reason.BACKUP_OUTDATED),
        (stops - 1, Reason.BACKUP_OUTDATED),
        (stops, None),
    ):
        for step in DUMPS:
            taken_and_proven(steps, step, taken_after)
        lacking = missing_right(reset, PLAN, steps, command, now=NOW)
        assert (lacking and lacking.reason) is reason
    gone = missing_right(reset, PLAN, unstarted(), command, now=NOW)
    assert gone is not None
    assert gone.reason is Reason.BACKUP_UNPROVEN


@pytest.mark.parametrize("proof", ["missing", "failed", "of another dump"])
def test_a_backup_of_what_is_protected_needs_the_receipt_of_its_restore(proof: str) -> None:
    given = (Approval(actor="ben", plan_hash=PLAN.hash, at=NOW),)
    reset, steps = production(approvals=given, stops=1), unstarted()
    command = next(step for step in DESTRUCTIVE if step.kind is StepKind.COMMAND)
    for step in DUMPS:
        taken_and_proven(steps, step, 1, receipt_of=0 if proof == "of another dump" else None)
    for step in PROOFS:
        if proof == "missing":
            steps[step.name] = unstarted()[step.name]
        if proof == "failed":
            steps[step.name] = resolved(steps[step.name], StepState.FAILED, dump(1))
    lacking = missing_right(reset, PLAN, steps, command, now=NOW)
    assert lacking is not None
    assert lacking.reason is Reason.BACKUP_UNPROVEN
    unplanned = PLAN.model_copy(update={"steps": tuple(step for step in PLAN.steps if step not in PROOFS)})
    assert missing_right(reset, unplanned, steps, command, now=NOW) is not None


def test_what_destroys_nothing_needs_no_right() -> None:
    lacking = production(approvals=())
    for step in PLAN.steps:
        refused = missing_right(lacking, PLAN, unstarted(), step, now=NOW)
        assert (refused is None) is not step.destructive
        assert step.destructive or step.phase in {Phase.BACKUP, Phase.VERIFY} or not step.touches


def test_d1_a_resume_waits_until_what_runs_in_a_pod_has_ended() -> None:
    """A dump beside a command that writes would show something that never was."""
    work = next(step for step in DESTRUCTIVE if step.kind is StepKind.COMMAND)
    held = unstarted()
    held[work.name] = begun(held[work.name], 1)
    stopped = production(state=ResetState.NEEDS_OPERATOR, destroyed=True, stops=1)
    act = Act(reset_id=ID, kind=ActKind.RESUME, actor="olga", channel=Channel.HTTP, at=NOW)
    refusal = check_act(act, stopped, PLAN, tuple(held.values()))
    assert refusal is not None
    assert refusal.reason is Reason.OUTCOME_UNKNOWN
    cancel = act.model_copy(update={"kind": ActKind.CANCEL})
    assert check_act(cancel, stopped, PLAN, tuple(held.values())) is None
