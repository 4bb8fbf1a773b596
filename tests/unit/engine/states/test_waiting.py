"""A reset that waits for facts looks for them less and less often."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from daemon.engine.states.planning import facts_unread
from schemas.resets import ResetState, Waiting
from tests.unit.statemachines.acts.test_acts import reset

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("waited", "pause"), [(0.0, 2.0), (8.0, 2.0), (20.0, 5.0), (60.0, 15.0), (1800.0, 15.0), (-3600.0, 2.0)]
)
def test_the_pause_is_a_quarter_of_what_was_waited_between_2_and_15_seconds(
    waited: float, pause: float
) -> None:
    waiting = Waiting(reason="facts", detail="pod-not-ready", since=NOW - timedelta(seconds=waited))
    assert (
        facts_unread(reset(ResetState.PLANNING, waiting_for=waiting), "pod-not-ready", NOW).seconds == pause
    )


def test_what_was_waited_for_something_else_does_not_count() -> None:
    waiting = Waiting(reason="locks", detail="of another", since=NOW - timedelta(hours=1))
    assert facts_unread(reset(ResetState.PLANNING, waiting_for=waiting), "pod-not-ready", NOW).seconds == 2.0
