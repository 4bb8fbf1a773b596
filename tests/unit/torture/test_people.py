"""What people say in a round is a matter of its seed, and over many askings nothing is left out that they may say."""

from __future__ import annotations

from itertools import chain

from tests.torture.script.people import (
    APPROVAL_TTL,
    ASKED_AT_MOST,
    IN_CAPITALS,
    OPERATOR,
    PEOPLE,
    Reply,
    Which,
    replies,
)

ABLE = {"ben", "cleo", "fay"}


def asked(number: int = 300, required: int = 1, *requesters: str) -> list[tuple[Reply, ...]]:
    return [replies(f"s#{one}", one % ASKED_AT_MOST, required, requesters) for one in range(number)]


def counting(said: tuple[Reply, ...], requesters: tuple[str, ...] = ()) -> set[str]:
    """Who agrees to the present plan, may do so, and is not too late."""
    return {
        one.by
        for one in said
        if one.act == "approve" and one.plan is Which.PRESENT and one.after < APPROVAL_TTL
        if one.by in ABLE - {*requesters}
    }


def test_the_same_asking_is_answered_in_the_same_way() -> None:
    assert replies("s", 1, 2, ["operator"]) == replies("s", 1, 2, ["operator"])
    assert replies("s", 1, 2, ["operator"]) != replies("t", 1, 2, ["operator"])


def test_people_answer_a_few_times_only_so_that_every_reset_comes_to_rest() -> None:
    assert all(replies(f"s#{one}", ASKED_AT_MOST, 1, ()) == () for one in range(50))


def test_most_askings_get_their_consent_and_some_get_too_little_or_none_or_get_it_too_late() -> None:
    for required in (1, 2):
        enough = [len(counting(said)) >= required for said in asked(300, required)]
        assert 150 < sum(enough) < 290
    said = asked()
    assert () in said
    assert any(one.act == "deny" for one in chain(*said))
    assert any(one.after > APPROVAL_TTL for one in chain(*said))
    assert any(APPROVAL_TTL - 2.1 < one.after < APPROVAL_TTL for one in chain(*asked(300, 2)))


def test_everybody_says_what_does_not_count_at_times() -> None:
    said = list(chain(*asked(300, 1, "operator", "ben")))
    assert {one.by for one in said} == {one.subject for one in PEOPLE}
    assert {one.plan for one in said} == set(Which)


def test_who_asked_is_not_needed_for_enough_approvals() -> None:
    for said in asked(100, 2, "ben"):
        assert len(counting(said, ("ben",))) in {0, 1, 2}
    assert any(len(counting(said, ("ben",))) == 2 for said in asked(100, 2, "ben"))


def test_who_asks_also_has_a_token_under_another_spelling() -> None:
    assert IN_CAPITALS.subject != OPERATOR.subject
    assert IN_CAPITALS.subject.casefold() == OPERATOR.subject
    assert "approver" in IN_CAPITALS.roles
