"""At the end of a history all that was asked for has come to rest, also what was asked for in the very last instant."""

from __future__ import annotations

from schemas.requests import Mode, ResetRequested
from schemas.resets import ActKind, ResetState
from tests.simulation.conftest import Begin

ASKED = ResetRequested(environment="qa-sandbox", requested_by="ana", mode=Mode.SEED, services=("alpha-api",))


def test_an_event_of_the_last_instant_is_waited_for(begin: Begin) -> None:
    history = begin()
    history.pass_time(30.0)
    history.publish(ASKED)
    history.make_peace()
    assert [one.state for one in history.resets()] == [ResetState.DONE]


def test_an_act_of_the_last_instant_is_waited_for(begin: Begin) -> None:
    history = begin()
    history.publish(ASKED)
    history.make_peace()
    history.act(history.resets()[0], ActKind.CANCEL, "oli")
    history.make_peace()
    assert history.resets()[0].acts_seen == history.store.state.acts[-1].id
