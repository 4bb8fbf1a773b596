from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.plan import Idempotency, Phase, Plan, StepKind
from schemas.requests import Mode
from schemas.resets import Step, StepState
from schemas.wire import ServiceName, StepName
from statemachines.steps.resuming import carried_over, to_repeat
from tests.unit.statemachines.planner.world import planned, request

PLAN = planned(request(mode=Mode.WIPE))
DONE = frozenset({StepState.SUCCEEDED, StepState.SKIPPED})
CHANGING = frozenset({Phase.MIGRATE, Phase.SEED, Phase.GIT})

states = st.lists(
    st.sampled_from([StepState.SUCCEEDED, StepState.FAILED, StepState.PENDING, StepState.SKIPPED]),
    min_size=len(PLAN.steps),
    max_size=len(PLAN.steps),
)


def steps(each: list[StepState]) -> dict[StepName, Step]:
    """The plan's steps in these states; those that are not pending were tried once."""
    return {
        step.name: Step(
            name=step.name, index=index, state=state, attempts=int(state is not StepState.PENDING)
        )
        for index, (step, state) in enumerate(zip(PLAN.steps, each, strict=True))
    }


def to_destroy(held: dict[StepName, Step], again: tuple[StepName, ...] = ()) -> set[str]:
    """What is still to be destroyed, `again` being steps that run once more."""
    return {
        key
        for step in PLAN.steps
        if step.destructive and (held[step.name].state not in DONE or step.name in again)
        for key in step.touches
    }


def another_image(service: str) -> Plan:
    return PLAN.model_copy(update={"images": {**PLAN.images, ServiceName(service): "sha256:another"}})


@given(states)
def test_all_that_failed_and_nothing_else_that_changes_anything_is_tried_again(each: list[StepState]) -> None:
    held = steps(each)
    again = [name for name in to_repeat(PLAN, held) if PLAN.steps[held[name].index].phase is not Phase.BACKUP]
    failed = [name for name, step in held.items() if step.state is StepState.FAILED]
    assert again == [name for name in failed if PLAN.steps[held[name].index].phase is not Phase.BACKUP]


@given(states, st.sampled_from(PLAN.steps))
def test_a_backup_is_taken_again_where_something_is_still_to_be_destroyed_and_only_there(
    each: list[StepState], start: object
) -> None:
    held = steps(each)
    for name in (None, StepName(start.name)):  # type: ignore[attr-defined]
        again = to_repeat(PLAN, held, name)
        for step in PLAN.steps:
            if step.phase is Phase.BACKUP and held[step.name].state in DONE:
                assert (step.name in again) is bool(set(step.touches) & to_destroy(held, again))


@given(states)
def test_what_the_daemon_itself_did_when_it_stopped_is_done_again_and_a_command_in_a_pod_never(
    each: list[StepState],
) -> None:
    held = steps([StepState.RUNNING if state is StepState.PENDING else state for state in each])
    again = to_repeat(PLAN, held)
    for step in PLAN.steps:
        if held[step.name].state is StepState.RUNNING:
            assert (step.name in again) is (step.kind is not StepKind.COMMAND)


@given(states, st.sampled_from([step for step in PLAN.steps if step.phase in CHANGING]))
def test_from_a_step_on_what_was_done_is_done_again_but_a_skip_stays_unless_its_step_is_named(
    each: list[StepState], start: object
) -> None:
    held = steps(each)
    begin = held[start.name].index  # type: ignore[attr-defined]
    again = to_repeat(PLAN, held, start.name)  # type: ignore[attr-defined]
    for name, step in held.items():
        if step.index >= begin and step.state in DONE and PLAN.steps[step.index].phase in CHANGING:
            assert (name in again) is (step.state is StepState.SUCCEEDED or step.index == begin)


@given(states)
def test_the_same_plan_again_carries_over_all_that_was_done_but_backups_of_what_is_still_to_be_destroyed(
    each: list[StepState],
) -> None:
    held = steps(each)
    for index, step in enumerate(PLAN.steps):
        kept = carried_over(PLAN, held, PLAN, index, 7)
        stale = step.phase is Phase.BACKUP and set(step.touches) & to_destroy(held)
        if held[step.name].state in DONE and not stale:
            assert kept == held[step.name]
        else:
            assert (kept.state, kept.attempts, kept.attempts_before) == (StepState.PENDING, 7, 7)


@given(states)
def test_what_another_image_did_is_done_again_unless_its_class_is_never(each: list[StepState]) -> None:
    held, new = steps(each), another_image("los-integrations")
    for index, step in enumerate(PLAN.steps):
        if step.phase in CHANGING and held[step.name].state in DONE:
            again = carried_over(PLAN, held, new, index, 1).state is StepState.PENDING
            assert again is (step.service == "los-integrations" and step.idempotent is not Idempotency.NEVER)


def test_a_step_that_the_old_plan_did_not_have_starts_from_nothing() -> None:
    kept = carried_over(None, {}, PLAN, 0, 0)
    assert kept == Step(name=PLAN.steps[0].name, index=0)
