from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.plan import Phase
from schemas.resets import ResetState
from statemachines.lifecycle import (
    AT_REST,
    KEEP_LOCKS,
    PHASE_OF,
    TERMINAL,
    WAITING,
    WORKING,
    ForbiddenTransitionError,
    Trigger,
    advance,
    allows,
)


def exits(state: ResetState) -> dict[Trigger, ResetState]:
    return {trigger: advance(state, trigger) for trigger in Trigger if allows(state, trigger)}


def reachable(start: ResetState) -> set[ResetState]:
    seen, todo = {start}, [start]
    while todo:
        for after in exits(todo.pop()).values():
            if after not in seen:
                seen.add(after)
                todo.append(after)
    return seen


def test_the_way_of_a_reset_that_meets_no_trouble() -> None:
    state = ResetState.PLANNING
    way = [state]
    for trigger in (Trigger.NEEDS_APPROVAL, Trigger.APPROVED, Trigger.LOCKED, *[Trigger.NEXT] * len(WORKING)):
        state = advance(state, trigger)
        way.append(state)
    assert way == [
        ResetState.PLANNING,
        ResetState.AWAITING_APPROVAL,
        ResetState.QUEUED,
        ResetState.QUIESCING,
        ResetState.BACKING_UP,
        ResetState.MIGRATING_CORE,
        ResetState.SEEDING,
        ResetState.RESETTING_GIT,
        ResetState.VERIFYING,
        ResetState.RELEASING,
        ResetState.DONE,
    ]


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_nothing_leads_out_of_a_terminal_state(state: ResetState) -> None:
    assert exits(state) == {}


@pytest.mark.parametrize("state", list(ResetState))
def test_every_state_can_be_reached_and_can_end(state: ResetState) -> None:
    assert state in reachable(ResetState.PLANNING)
    assert reachable(state) & TERMINAL


@given(st.lists(st.integers(0, 100), max_size=40))
def test_whatever_happens_some_way_to_an_end_is_left(choices: list[int]) -> None:
    state = ResetState.PLANNING
    for choice in choices:
        ways = sorted(exits(state).items())
        if not ways:
            break
        state = ways[choice % len(ways)][1]
    assert reachable(state) & TERMINAL


@pytest.mark.parametrize("state", sorted(set(ResetState) - AT_REST))
def test_what_is_not_at_rest_can_be_handed_to_an_operator(state: ResetState) -> None:
    assert advance(state, Trigger.LOSE) is ResetState.NEEDS_OPERATOR


@pytest.mark.parametrize("state", list(ResetState))
def test_a_cancellation_always_makes_sure_first_that_nothing_runs(state: ResetState) -> None:
    if allows(state, Trigger.CANCEL):
        assert advance(state, Trigger.CANCEL) is ResetState.CANCELLING


def test_nobody_gets_to_work_except_by_the_queue() -> None:
    ways_in = {
        state
        for state in ResetState
        for after in exits(state).values()
        if after in WORKING and state not in WORKING
    }
    assert ways_in == {ResetState.QUEUED}


@pytest.mark.parametrize("state", [ResetState.FAILED, ResetState.NEEDS_OPERATOR, ResetState.CANCELLED])
def test_what_stopped_can_be_resumed_planned_again_or_rolled_back(state: ResetState) -> None:
    assert advance(state, Trigger.RESUME) is ResetState.QUEUED
    assert advance(state, Trigger.REPLAN) is ResetState.PLANNING
    assert advance(state, Trigger.ROLL_BACK) is ResetState.ROLLING_BACK


def test_a_trigger_that_leads_nowhere_is_an_error_and_no_silence() -> None:
    with pytest.raises(ForbiddenTransitionError, match="next does not lead out of done"):
        advance(ResetState.DONE, Trigger.NEXT)


def test_each_phase_has_its_state_in_the_pipelines_order() -> None:
    assert [PHASE_OF[state] for state in WORKING] == list(Phase)
    assert PHASE_OF[ResetState.MIGRATING_CORE] is Phase.MIGRATE


def test_locks_are_kept_while_anything_may_run_and_let_go_where_it_stopped() -> None:
    assert {*WORKING, ResetState.CANCELLING, ResetState.NEEDS_OPERATOR} <= KEEP_LOCKS
    assert ResetState.FAILED not in KEEP_LOCKS
    assert not KEEP_LOCKS & TERMINAL


def test_what_counts_as_waiting_has_touched_nothing_yet() -> None:
    assert not WAITING & (AT_REST | set(WORKING))
