from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from schemas.wire import ResetId, ResourceKey
from statemachines.locks import Ask, Blocked, blocked

KEYS = [ResourceKey(f"database/1/{name}") for name in "abcdef"]


def ask(ticket: int, *names: str, granted: bool = False) -> Ask:
    keys = frozenset(ResourceKey(f"database/1/{name}") for name in names)
    return Ask(ResetId(f"r{ticket}"), ticket, keys, granted)


asks = st.lists(st.frozensets(st.sampled_from(KEYS), min_size=1), min_size=1, max_size=12).map(
    lambda wants: [Ask(ResetId(f"r{number}"), number, keys) for number, keys in enumerate(wants, start=1)]
)


def settle(asks: Iterable[Ask]) -> list[Ask]:
    """Let each ask once, in the order of the tickets, and grant what nothing blocks, as the stores do."""
    everyone = sorted(asks, key=lambda ask: ask.ticket)
    for place, mine in enumerate(everyone):
        if blocked(mine, everyone) is None:
            everyone[place] = replace(mine, granted=True)
    return everyone


def granted_now(asks: Iterable[Ask]) -> tuple[str, ...]:
    """Who is granted now of those that wait, by ticket."""
    waiting = {ask.reset_id for ask in asks if not ask.granted}
    return tuple(ask.reset_id for ask in settle(asks) if ask.granted and ask.reset_id in waiting)


@given(asks)
def test_no_two_hold_the_same_resource(everyone: list[Ask]) -> None:
    held = [key for reset in settle(everyone) if reset.granted for key in reset.keys]
    assert len(held) == len(set(held))


@given(asks, st.randoms())
def test_everybody_gets_a_turn_and_those_who_want_the_same_in_order_of_their_tickets(
    everyone: list[Ask], chance: object
) -> None:
    served: list[Ask] = []
    waiting = everyone
    for _ in range(len(everyone)):
        waiting = settle(waiting)
        holders = [reset for reset in waiting if reset.granted]
        assert holders, "somebody must be served, or all wait for ever"
        done = chance.choice(holders)  # type: ignore[attr-defined]
        served.append(done)
        waiting = [reset for reset in waiting if reset is not done]
    assert waiting == []
    for place, later in enumerate(served):
        for earlier in served[:place]:
            if earlier.keys & later.keys:
                assert earlier.ticket < later.ticket


@given(asks, st.lists(st.frozensets(st.sampled_from(KEYS), min_size=1), max_size=12))
def test_nobody_who_comes_later_takes_the_place_of_one_who_waits(
    everyone: list[Ask], later: list[frozenset[ResourceKey]]
) -> None:
    settled = settle(everyone)
    granted = {reset.reset_id for reset in settled if reset.granted}
    newcomers = [Ask(ResetId(f"n{number}"), 100 + number, keys) for number, keys in enumerate(later)]
    waiting = [reset for reset in settled if not reset.granted]
    for name in granted_now([*settled, *newcomers]):
        newcomer = next(reset for reset in newcomers if reset.reset_id == name)
        assert not any(newcomer.keys & reset.keys for reset in waiting)
    assert granted == {reset.reset_id for reset in settle(everyone) if reset.granted}


def test_a_wide_request_is_not_starved_by_narrow_ones() -> None:
    holder, wide, narrow = ask(1, "a", granted=True), ask(2, "a", "b"), ask(3, "b")
    assert granted_now([holder, wide, narrow]) == ()
    assert granted_now([wide, narrow]) == ("r2",)


def test_those_who_share_nothing_go_in_parallel() -> None:
    assert granted_now([ask(1, "a"), ask(2, "b"), ask(3, "a")]) == ("r1", "r2")


def test_who_waits_is_told_for_what_and_behind_whom() -> None:
    others = [ask(1, "a", granted=True), ask(2, "b", "c"), ask(4, "b")]
    mine = ask(3, "a", "b")
    assert blocked(mine, others) == Blocked(("database/1/a", "database/1/b"), ("r1", "r2"))  # type: ignore[arg-type]


def test_who_holds_is_never_blocked_and_holding_counts_more_than_a_late_ticket() -> None:
    late = ask(9, "a", granted=True)
    assert blocked(late, [ask(1, "a")]) is None
    assert granted_now([late, ask(1, "a")]) == ()
