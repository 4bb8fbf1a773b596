"""What a person's acceptance of a learned check allows and changes, and what it leaves to others."""

from __future__ import annotations

import pytest

from schemas.checks import LearnedCheck, PlannedCheck
from schemas.learned import Learned, LearnedKey
from schemas.plan import Phase, Plan
from schemas.reasons import Reason
from schemas.requests import Mode, Option
from schemas.resets import ActKind, Channel, Outcome, OutcomeKind, Reset, ResetState, Step, StepState
from schemas.wire import StepName
from statemachines.act_effects import ResetEffect, ResetSnapshot, effect_of
from statemachines.acts import check_act
from statemachines.lifecycle import Trigger
from statemachines.steps.learned import KEPT_IMAGES, judge_learned, key_of, taken_at_done
from tests.unit.statemachines.acts.test_acts import NOW, PLAN, act, reset
from tests.unit.statemachines.planner.world import planned, request

SYSTEM = StepName("seed.los-core-api.system")
INTEGRATIONS = StepName("seed.los-integrations.reset")
CHECK = "learned.core"
WIPE = planned(request(mode=Mode.WIPE))


def failing(*unmet: str, empty: tuple[str, ...] = ("public.b",)) -> Outcome:
    tables = {
        name: {"filled": ["public.a"], "empty": list(empty)} for name in unmet if name.startswith("learned")
    }
    lines = [f"{name.partition('.')[2]}: found it empty" for name in unmet]
    return Outcome(
        kind=OutcomeKind.FAILED,
        exit_code=0,
        cause=Reason.TABLES_EMPTY,
        detail="\n".join(lines),
        hint="look first",
        facts={"tables": tables, "unmet": list(unmet)},
    )


def stopped(plan: Plan, **outcomes: Outcome) -> dict[StepName, Step]:
    """All is done up to the last phase that failed; the steps with outcomes failed."""
    named = {
        StepName(name.replace("__", ".").replace("_", "-")): outcome for name, outcome in outcomes.items()
    }
    last = max(index for index, step in enumerate(plan.steps) if step.name in named)
    return {
        step.name: Step(
            name=step.name,
            index=index,
            state=StepState.FAILED
            if step.name in named
            else StepState.SUCCEEDED
            if index < last
            else StepState.PENDING,
            attempts=int(index <= last),
            outcome=named.get(step.name),
        )
        for index, step in enumerate(plan.steps)
    }


def effect(steps: dict[StepName, Step], plan: Plan = WIPE, learned: tuple[Learned, ...] = ()) -> ResetEffect:
    of = reset(
        ResetState.FAILED, plan_hash=plan.hash, approvals_required=0, stopped_at=SYSTEM, requested_by=("pat",)
    )
    accepts = act(ActKind.ACCEPT, check_name=CHECK)
    assert check_act(accepts, of, plan, tuple(steps.values())) is None
    return effect_of(accepts, ResetSnapshot(of, plan, steps, {}, learned), now=NOW)


def key(plan: Plan, step: StepName, check: str = CHECK) -> LearnedKey:
    planned_step = next(one for one in plan.steps if one.name == step)
    return key_of(plan, planned_step, next(one for one in planned_step.checks if one.name == check))


def test_on_protected_resources_a_second_person_has_to_accept() -> None:
    steps = tuple(stopped(PLAN, seed__los_core_api__system=failing(CHECK)).values())
    of = reset(ResetState.FAILED, stopped_at=SYSTEM)
    refusal = check_act(act(ActKind.ACCEPT, actor=" Ana", check_name=CHECK), of, PLAN, steps)
    assert refusal is not None
    assert refusal.reason is Reason.SELF_APPROVAL
    assert check_act(act(ActKind.ACCEPT, actor="ben", check_name=CHECK), of, PLAN, steps) is None


def claimed(**fields: object) -> Reset:
    """A protected reset that stopped, and that only an event asked for, in the name of Ana."""
    return reset(
        ResetState.FAILED,
        stopped_at=SYSTEM,
        channel=Channel.KAFKA,
        claimed_by=("ana",),
        stops=1,
        **fields,
    )


def accepted(of: Reset, steps: dict[StepName, Step], actor: str) -> ResetEffect:
    accepts = act(ActKind.ACCEPT, actor=actor, check_name=CHECK)
    assert check_act(accepts, of, PLAN, tuple(steps.values())) is None
    return effect_of(accepts, ResetSnapshot(of, PLAN, steps, {}), now=NOW)


def with_steps(steps: dict[StepName, Step], effect: ResetEffect) -> dict[StepName, Step]:
    return steps | {step.name: step for step in effect.steps}


@pytest.mark.parametrize("channel", [Channel.KAFKA, Channel.PROVISIONING])
def test_d4_where_nobody_is_known_to_have_asked_two_people_have_to_accept(channel: Channel) -> None:
    of = claimed().model_copy(update={"channel": channel})
    steps = stopped(PLAN, seed__los_core_api__system=failing(CHECK))
    first = accepted(
        of, steps, "ana"
    )  # the name in the event is a claim: whoever Ana is, she may be the second
    assert (first.trigger, first.taken.learned, first.accepts) == (None, (), "1 of 2")
    assert first.tell_again
    (step,) = first.steps
    assert (step.name, step.state) == (SYSTEM, StepState.FAILED)
    assert first.update.hint == (
        f"1 of 2 accepts of {CHECK} (ana): somebody else has to accept it, too. look first"
    )
    steps = with_steps(steps, first)
    for same in ("ana", " Ana"):
        refusal = check_act(
            act(ActKind.ACCEPT, actor=same, check_name=CHECK), of, PLAN, tuple(steps.values())
        )
        assert refusal is not None
        assert refusal.reason is Reason.ALREADY_ACCEPTED
    second = accepted(of, steps, "ben")
    assert (second.trigger, second.accepts) == (Trigger.RESUME, "2 of 2")
    done = second.steps[0]
    assert done.state is StepState.SUCCEEDED
    assert done.outcome is not None
    assert done.outcome.detail == f"{CHECK} accepted by ana and ben: why not"
    assert done.outcome.facts["acceptedBy"] == "ana and ben"
    assert [one.tables for one in second.taken.learned] == [()]


def test_d4_an_accept_counts_for_its_check_and_its_stop_only() -> None:
    of = claimed()
    steps = stopped(PLAN, seed__los_core_api__system=failing(CHECK, "learned.other"))
    steps = with_steps(steps, accepted(of, steps, "ben"))
    other = act(ActKind.ACCEPT, actor="ben", check_name="learned.other")
    assert check_act(other, of, PLAN, tuple(steps.values())) is None
    changed = effect_of(other, ResetSnapshot(of, PLAN, steps, {}), now=NOW)
    assert (changed.trigger, changed.accepts) == (None, "1 of 2")
    # Even if the very same outcome were found again: with another stop it is another word.
    again = accepted(of.model_copy(update={"stops": 2}), steps, "cleo")
    assert (again.trigger, again.accepts) == (None, "1 of 2")


def test_d4_who_joins_with_a_token_after_having_accepted_is_no_second_person() -> None:
    of = claimed()
    steps = stopped(PLAN, seed__los_core_api__system=failing(CHECK))
    steps = with_steps(steps, accepted(of, steps, "ben"))
    joined = of.model_copy(update={"requested_by": ("ana", "Ben")})
    assert accepted(joined, steps, "cleo").accepts == "1 of 2"
    refusal = check_act(
        act(ActKind.ACCEPT, actor="ben", check_name=CHECK), joined, PLAN, tuple(steps.values())
    )
    assert refusal is not None
    assert refusal.reason is Reason.SELF_APPROVAL


def test_one_person_accepts_what_is_not_protected_or_was_asked_for_with_a_token() -> None:
    steps = stopped(PLAN, seed__los_core_api__system=failing(CHECK))
    changed = accepted(reset(ResetState.FAILED, stopped_at=SYSTEM), steps, "ben")
    assert (changed.trigger, changed.accepts) == (Trigger.RESUME, None)
    free = claimed(approvals_required=0, plan_hash=WIPE.hash)
    wiped = stopped(WIPE, seed__los_core_api__system=failing(CHECK))
    accepts = act(ActKind.ACCEPT, check_name=CHECK)
    assert check_act(accepts, free, WIPE, tuple(wiped.values())) is None
    assert effect_of(accepts, ResetSnapshot(free, WIPE, wiped, {}), now=NOW).trigger is Trigger.RESUME


@pytest.mark.parametrize("over", [Channel.KAFKA, Channel.PROVISIONING])
def test_no_event_accepts_anything(over: Channel) -> None:
    steps = tuple(stopped(PLAN, seed__los_core_api__system=failing(CHECK)).values())
    asked = act(ActKind.ACCEPT, actor="ben", check_name=CHECK, channel=over)
    refusal = check_act(asked, reset(ResetState.FAILED), PLAN, steps)
    assert refusal is not None
    assert refusal.reason is Reason.CONSENT_NEEDS_A_TOKEN


def test_the_step_is_done_and_only_what_is_still_to_be_destroyed_is_dumped_again() -> None:
    steps = stopped(WIPE, seed__los_core_api__system=failing(CHECK))
    changed = effect(steps)
    assert changed.trigger is Trigger.RESUME
    done, *again = changed.steps
    assert done.outcome is not None
    assert (done.name, done.state, done.outcome.exit_code) == (SYSTEM, StepState.SUCCEEDED, 0)
    named = {step.name: step for step in WIPE.steps}
    destroyed = {
        key
        for step in WIPE.steps
        if step.destructive and steps[step.name].state is StepState.PENDING
        for key in step.touches
    }
    assert destroyed
    assert {named[step.name].phase for step in again} == {Phase.BACKUP}
    assert all(destroyed & set(named[step.name].touches) for step in again)


def test_where_nothing_more_is_destroyed_nothing_runs_again() -> None:
    seed = planned(request(mode=Mode.SEED))
    steps = stopped(seed, seed__los_core_api__system=failing(CHECK))
    for name, step in steps.items():
        destroys = any(one.name == name and one.destructive for one in seed.steps)
        if destroys and step.state is StepState.PENDING:
            steps[name] = step.model_copy(update={"state": StepState.SUCCEEDED})
    assert [step.name for step in effect(steps, seed).steps] == [SYSTEM]


def test_another_check_of_the_step_keeps_the_reset_where_it_is() -> None:
    steps = stopped(WIPE, seed__los_core_api__system=failing(CHECK, "learned.other"))
    changed = effect(steps)
    (step,) = changed.steps
    assert (changed.trigger, step.state) == (None, StepState.FAILED)
    assert step.outcome is not None
    assert step.outcome.facts["unmet"] == ["learned.other"]
    assert step.outcome.detail == changed.update.detail == "other: found it empty"
    once_more = act(ActKind.ACCEPT, check_name=CHECK)
    refusal = check_act(once_more, reset(ResetState.FAILED), PLAN, (step,))
    assert refusal is not None
    assert refusal.reason is Reason.NOT_ACCEPTABLE


def test_another_step_that_failed_keeps_the_reset_where_it_is() -> None:
    other = Outcome(kind=OutcomeKind.FAILED, exit_code=1, cause=Reason.COMMAND_FAILED, detail="it broke")
    steps = stopped(WIPE, seed__los_core_api__system=failing(CHECK), seed__los_integrations__reset=other)
    changed = effect(steps)
    assert (changed.trigger, [step.name for step in changed.steps]) == (None, [SYSTEM])
    assert (changed.update.cause, changed.update.stopped_at) == (Reason.COMMAND_FAILED, INTEGRATIONS)


def test_the_tables_are_not_expected_any_more_wherever_that_database_is_looked_at() -> None:
    verify = StepName("verify.los-core-api.rows")
    before = tuple(
        Learned(key=key(WIPE, step), tables=("public.a", "public.b"), reset_id=reset().id, at=NOW)
        for step in (SYSTEM, verify)
    )
    changed = effect(stopped(WIPE, seed__los_core_api__system=failing(CHECK)), learned=before)
    assert {one.key.step: one.tables for one in changed.taken.learned} == {
        SYSTEM: ("public.a",),
        verify: ("public.a",),
    }


def test_a_step_that_filled_nothing_may_be_accepted_as_one_that_fills_nothing() -> None:
    steps = stopped(WIPE, seed__los_core_api__system=failing(CHECK, empty=()))
    (taken,) = effect(steps).taken.learned
    assert (taken.key, taken.tables) == (key(WIPE, SYSTEM), ())


def test_what_was_learned_counts_for_the_same_step_options_integrations_and_image_only() -> None:
    step = next(one for one in WIPE.steps if one.name == SYSTEM)
    check = PlannedCheck(database="core", resource=step.touches[0], learned=LearnedCheck(emptied=True))
    here = key_of(WIPE, step, check)
    known = (Learned(key=here, tables=("public.b",), reset_id=reset().id, at=NOW),)
    found = {"public.a": True, "public.b": False}
    assert judge_learned(check, here, known, found).reason is Reason.TABLES_EMPTY
    others = (
        {"options": (Option.MOCK,)},
        {"integrations": ("crm",)},
        {"image": "sha256:other"},
        {"step": "seed.other"},
        {"environment": "qb-sandbox"},
    )
    for other in others:
        assert judge_learned(check, here.model_copy(update=other), known, found).reason is None
    # Tables that are all gone show nothing: that is no yes.
    assert judge_learned(check, here, known, {}).reason is Reason.TABLES_EMPTY
    assert judge_learned(check, here, known, {"public.b": True}).reason is None


def test_a_wipe_that_is_done_teaches_what_it_wiped_and_old_images_are_forgotten() -> None:
    refresh = planned(request(mode=Mode.REFRESH))
    for plan, kept, learns in ((WIPE, [], True), (WIPE, None, False), (refresh, [], False)):
        # Where nobody looked before the first seed, nothing is learned.
        looked: dict[str, object] = {} if kept is None else {"kept": kept}
        facts = {"tables": {CHECK: {"filled": ["public.a"], "empty": [], **looked}}}
        done = Outcome(kind=OutcomeKind.SUCCEEDED, facts=facts)
        steps = {
            step.name: Step(name=step.name, index=index, state=StepState.SUCCEEDED, outcome=done)
            for index, step in enumerate(plan.steps)
        }
        old = tuple(
            Learned(
                key=key(plan, SYSTEM).model_copy(update={"image": f"sha256:{number}"}),
                tables=(),
                reset_id=reset().id,
                at=NOW.replace(minute=number),
            )
            for number in range(1, KEPT_IMAGES + 1)
        )
        taken = taken_at_done(plan, steps, old, reset(), at=NOW)
        assert (key(plan, SYSTEM) in {one.key for one in taken.learned}) == learns
        assert taken.forgotten == ((old[0].key,) if learns else ())
