"""The judge finds each flaw in what a reset told the world."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.torture.judge.evidence import Told
from tests.unit.torture.cases import (
    RESET,
    STATES,
    rules,
    story,
    told,
    well,
)


def test_a_gap_in_the_status_events_is_found() -> None:
    events = story(RESET, STATES)
    assert "gap" in rules(replace(well(), told=(*events[:3], *events[4:])))
    assert rules(replace(well(), told=events[:-1])) >= {"gap"}


def test_a_duplicate_is_no_gap_and_a_changed_one_is_found() -> None:
    events = story(RESET, STATES)
    assert rules(replace(well(), told=(*events, events[4]))) == set()
    changed = replace(events[4], value=b"{}")
    assert rules(replace(well(), told=(*events, changed))) == {"changed-event"}


def test_events_in_another_order_are_found() -> None:
    events = story(RESET, STATES)
    swapped = (*events[:2], events[3], events[2], *events[4:])
    assert rules(replace(well(), told=swapped)) == {"order"}


def test_one_place_in_the_history_has_one_event() -> None:
    events = story(RESET, STATES)
    second = replace(events[4], event_id="another")
    assert "changed-event" in rules(replace(well(), told=(*events, second)))


@pytest.mark.parametrize(
    "states",
    [
        ("queued", *STATES[1:]),
        (*STATES[:3], *STATES[4:]),
        (*STATES[:5], "cancelled", *STATES[6:]),
        (*STATES[:9], "exploded"),
        (*STATES[:9], "failed"),
    ],
    ids=["begins in the middle", "leaves one out", "cancelled at once", "no such state", "not what it is"],
)
def test_states_that_never_were_are_found(states: tuple[str, ...]) -> None:
    assert "impossible-state" in rules(replace(well(), told=story(RESET, states)))


def test_a_step_told_in_a_state_that_was_not_entered_is_found() -> None:
    events = list(story(RESET, STATES))
    wrong = told(RESET, 5, "verifying", 5.0)
    data = dict(wrong.data)
    events[4] = Told(
        wrong.event_id, "com.fuse.environment.reset.step-started.v1", json.dumps(data).encode(), data
    )
    assert "impossible-state" in rules(replace(well(), told=tuple(events)))
