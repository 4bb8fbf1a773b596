from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.wire import ResetId, ResourceKey
from statemachines.locks import Ask, Blocked, blocked, grantable

KEYS = [ResourceKey(f"database/1/{name}") for name in "abcdef"]


def ask(ticket: int, *names: str, granted: bool = False) -> Ask:
    keys = frozenset(ResourceKey(f"database/1/{name}") for name in names)
    return Ask(ResetId(f"r{ticket}"), ticket, keys, granted)


asks = st.lists(st.frozensets(st.sampled_from(KEYS), min_size=1), min_size=1, max_size=12).map(
    lambda wants: [Ask(ResetId(f"r{number}"), number, keys) for number, keys in enumerate(wants, start=1)]
)


def settle(everyone: list[Ask]) -> list[Ask]:
    """Grant all that may be granted."""
    allowed = set(grantable(everyone))
    return [
        Ask(one.reset_id, one.ticket, one.keys, one.granted or one.reset_id in allowed) for one in everyone
    ]


@given(asks)
def test_no_two_hold_the_same_resource(everyone: list[Ask]) -> None:
    held = [key for one in settle(everyone) if one.granted for key in one.keys]
    assert len(held) == len(set(held))


@given(asks, st.randoms())
def test_everybody_gets_a_turn_and_those_who_want_the_same_in_order_of_their_tickets(
    everyone: list[Ask], chance: object
) -> None:
    served: list[Ask] = []
    waiting = everyone
    for _ in range(len(everyone)):
        waiting = settle(waiting)
        holders = [one for one in waiting if one.granted]
        assert holders, "somebody must be served, or all wait for ever"
        done = chance.choice(holders)  # type: ignore[attr-defined]
        served.append(done)
        waiting = [one for one in waiting if one is not done]
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
    granted = {one.reset_id for one in settled if one.granted}
    newcomers = [Ask(ResetId(f"n{number}"), 100 + number, keys) for number, keys in enumerate(later)]
    waiting = [one for one in settled if not one.granted]
    for name in grantable([*settled, *newcomers]):
        newcomer = next(one for one in newcomers if one.reset_id == name)
        assert not any(newcomer.keys & one.keys for one in waiting)
    assert granted == {one.reset_id for one in settle(everyone) if one.granted}


def test_a_wide_request_is_not_starved_by_narrow_ones() -> None:
    holder, wide, narrow = ask(1, "a", granted=True), ask(2, "a", "b"), ask(3, "b")
    assert grantable([holder, wide, narrow]) == ()
    assert grantable([wide, narrow]) == ("r2",)


def test_those_who_share_nothing_go_in_parallel() -> None:
    assert grantable([ask(1, "a"), ask(2, "b"), ask(3, "a")]) == ("r1", "r2")


def test_who_waits_is_told_for_what_and_behind_whom() -> None:
    others = [ask(1, "a", granted=True), ask(2, "b", "c"), ask(4, "b")]
    mine = ask(3, "a", "b")
    assert blocked(mine, others) == Blocked(("database/1/a", "database/1/b"), ("r1", "r2"))  # type: ignore[arg-type]


def test_who_holds_is_never_blocked_and_holding_counts_more_than_a_late_ticket() -> None:
    late = ask(9, "a", granted=True)
    assert blocked(late, [ask(1, "a")]) is None
    assert grantable([late, ask(1, "a")]) == ()
