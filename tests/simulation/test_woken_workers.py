"""A worker that stood still for longer than its lease, at any call that it made, and goes on: it does nothing."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from schemas.requests import Mode, ResetRequested
from schemas.resets import ResetState
from tests.simulation.conftest import Begin
from tests.simulation.history import History

COMMITS = 40
"""More than a refresh has in all."""


def stopped_at_commit(history: History, number: int) -> bool:
    """Whether a worker of a refresh stands still since that commit: it took place, and its answer was not heard."""
    return stopped_at(history, ("store", "save"), number)


def stopped_at(history: History, call: tuple[str, str], number: int) -> bool:
    """The same for another call to a port."""
    history.platform.push("los-sandbox")
    history.publish(ResetRequested(environment="los-sandbox", requested_by="ana", mode=Mode.REFRESH))
    history.stop_at(call, after=True, skip=number, kill=False)
    history.loop.run_for(60.0, until=lambda: any(one.stands_still for one in history.workers))
    return any(one.stands_still for one in history.workers)


def wakes_up(history: History) -> None:
    for worker in history.workers:
        worker.go_on()
    history.pass_time(15.0)
    history.look()


@pytest.mark.parametrize("away", ["pods", "repositories", "databases"])
def test_whatever_was_given_up_meanwhile_by_a_person_or_for_lack_of_answers_stays_undone(
    begin: Begin, away: str
) -> None:
    for number in range(COMMITS):
        history = begin()
        if not stopped_at_commit(history, number):
            assert number > 20
            return
        history.network.down[away] = history.loop.time() + 180.0
        history.pass_time(185.0)
        [reset] = history.resets()
        if reset.state is ResetState.NEEDS_OPERATOR:
            history.resolve(reset, "oli")
            history.pass_time(10.0)
        wakes_up(history)


def test_whatever_another_worker_has_done_meanwhile_is_not_done_again(begin: Begin) -> None:
    for number in range(COMMITS):
        history = begin()
        if not stopped_at_commit(history, number):
            assert number > 20
            return
        history.pass_time(90.0)
        assert [reset.state for reset in history.resets()] == [ResetState.DONE]
        wakes_up(history)


def test_it_has_nothing_to_say_of_an_attempt_whose_end_it_had_seen(begin: Begin) -> None:
    for number in range(COMMITS):
        history = begin()
        if not stopped_at(history, ("pods", "gone"), number):
            assert number > 5
            return
        history.pass_time(90.0)
        with capture_logs() as logs:
            wakes_up(history)
        assert [one for one in logs if one["event"] == "step.attempt-ended"] == []
