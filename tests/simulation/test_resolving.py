"""A person says what became of a step: from then on nothing of it starts, and nothing of it runs."""

from __future__ import annotations

import pytest

from schemas.requests import Mode, ResetRequested
from schemas.resets import ActKind, OutcomeKind, ResetState, StepState
from tests.simulation.conftest import Begin
from tests.simulation.history import History

STEP = "seed.beta-api.system"


def unknown(history: History, launch_after: float) -> None:
    """A `never` step whose launch is under way for so long; nobody may look at its pod, so its outcome is unknown."""
    history.publish(
        ResetRequested(environment="los-sandbox", requested_by="ana", mode=Mode.SEED, services=("beta-api",))
    )
    history.network.delay(("pods", "launch"), launch_after)
    history.loop.run_for(60.0, until=lambda: bool(history.store.state.attempts.get(attempt(history))))
    history.crash(0)
    history.crash(1)
    for _ in range(200):
        history.network.fail(("pods", "follow"), after=False, forbidden=True)
    for worker in history.workers:
        worker.boot()
    history.loop.run_for(300.0, until=lambda: history.resets()[0].state is ResetState.NEEDS_OPERATOR)
    history.network.heal()
    assert history.store.state.steps[history.resets()[0].id][STEP].state is StepState.UNKNOWN


def attempt(history: History) -> str:
    return f"{history.resets()[0].id}/{STEP}/1" if history.resets() else ""


@pytest.mark.parametrize("resumed", [False, True])
def test_a_launch_that_is_still_under_way_starts_nothing_after_somebody_said_that_it_failed(
    begin: Begin, resumed: bool
) -> None:
    history = begin()
    unknown(history, launch_after=400.0)
    [reset] = history.resets()
    history.resolve(reset, "oli")
    if resumed:
        history.act(reset, ActKind.RESUME, "oli")
    history.pass_time(500.0)
    history.look()
    assert [one.attempt for one in history.witness.runs if one.attempt == attempt(history)] == []
    assert history.resets()[0].state is (ResetState.DONE if resumed else ResetState.FAILED)


def test_what_still_runs_is_stopped_before_it_is_called_failed(begin: Begin) -> None:
    history = begin()
    history.platform.slow = 300.0
    unknown(history, launch_after=1.0)
    [reset] = history.resets()
    assert history.witness.alive(reset.id, STEP)
    history.act(reset, ActKind.RESOLVE, "oli", step=STEP, outcome=OutcomeKind.FAILED)
    history.pass_time(60.0)
    history.look()
    assert not history.witness.alive(reset.id, STEP)
    assert history.resets()[0].state is ResetState.FAILED
