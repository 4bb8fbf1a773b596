"""The judge finds words that were relied on and did not count, and work beside a production that nobody could see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.torture.judge.evidence import Asked, Evidence, Out, Word
from tests.unit.torture.cases import BEGUN, CORE, ELSEWHERE, RESET, STATES, moment, plan, rules, story, well

PLAN = "sha256:plan"
PRODUCTION, UI = "los-demo-production", "ui-builder-api"
GIVEN = Word("w1", "confirm", "ben", PRODUCTION, service=UI, given_at=BEGUN + 0.5, expires_at=BEGUN + 60)
OUT = Out(PRODUCTION, UI, BEGUN + 0.1, BEGUN + 30)


def used(**more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """The word as a plan shows it that relies on it."""
    scope = {"environment": PRODUCTION, "service": UI, "key": None}
    word = {"id": "w1", "kind": "confirm", "givenBy": "ben", "givenAt": moment(0.6), "scope": scope}
    return word | {"uses": [CORE], "remembered": []} | more


def assured(*words: Word, by: tuple[dict[str, Any], ...] = (used(),), **more: Any) -> Evidence:  # noqa: ANN401
    """A reset that ana asked for: queued at second 2 and let to work at 3, while a production's service was out."""
    values: dict[str, Any] = {
        "asked": (Asked(f"tag of {RESET}", "qa-sandbox", reset_id=RESET, by="ana"),),
        "plans": {RESET: plan() | {"hash": PLAN, "assurances": list(by)}},
        "told": story(RESET, STATES, plan_hash=PLAN),
        "words": words,
        "outages": (OUT,),
        "audit": tuple(_lines(words)),
    }
    return replace(well(), **values | more)


def _lines(words: tuple[Word, ...]) -> list[dict[str, Any]]:
    given = [{"action": word.kind, "verdict": "applied", "facts": {"word": word.id}} for word in words]
    return [*given, *({**line, "action": "withdraw"} for line in given)]


def test_a_word_of_somebody_else_in_force_is_as_it_has_to_be() -> None:
    assert rules(assured(GIVEN)) == set()


@pytest.mark.parametrize(
    "word",
    [
        replace(GIVEN, expires_at=BEGUN + 1.9),
        replace(GIVEN, ended_at=BEGUN + 1.9),
        replace(GIVEN, given_at=BEGUN + 3.5),
        replace(GIVEN, by="Ana"),
    ],
    ids=["it had expired", "it was taken back", "it came later", "of who asked"],
)
def test_a_word_that_does_not_count_is_found(word: Word) -> None:
    assert rules(assured(word)) == {"dead-word"}


def test_a_word_that_ends_while_facts_are_read_may_be_relied_on() -> None:
    assert rules(assured(replace(GIVEN, expires_at=BEGUN + 2.5))) == set()


def test_a_word_that_nobody_gave_is_found() -> None:
    assert rules(assured()) == {"dead-word", "unseen-user"}


def test_a_word_whose_answer_was_lost_is_known_by_who_gave_it_and_about_what() -> None:
    lost = replace(GIVEN, id=None)
    assert rules(assured(lost)) == set()
    assert rules(assured(replace(lost, by="cleo"))) == {"dead-word", "unseen-user"}
    assert rules(assured(replace(lost, service="workflow-api"))) == {"dead-word", "unseen-user"}


@pytest.mark.parametrize(
    ("word", "scope"),
    [
        (replace(GIVEN, service="workflow-api"), {"environment": PRODUCTION, "service": "workflow-api"}),
        (replace(GIVEN, environment="acme-production"), {"environment": "acme-production", "service": UI}),
    ],
    ids=["another service", "another environment"],
)
def test_work_beside_a_service_that_nobody_could_ask_is_found_where_the_word_is_about_something_else(
    word: Word, scope: dict[str, Any]
) -> None:
    assert rules(assured(word, by=(used(scope=scope),))) == {"unseen-user"}


def test_work_beside_a_service_that_nobody_could_ask_is_found_without_any_word() -> None:
    assert rules(assured(by=())) == {"unseen-user"}
    assert rules(assured(by=(), outages=())) == set()


def test_a_word_to_forget_says_nothing_of_what_a_service_uses_now() -> None:
    forget = replace(GIVEN, kind="forget")
    assert rules(assured(forget, by=(used(kind="forget"),))) == {"unseen-user"}


@pytest.mark.parametrize(
    "out",
    [replace(OUT, begun=BEGUN + 2.5), replace(OUT, over=BEGUN + 2.9), replace(OUT, environment="qa-sandbox")],
    ids=["it went later", "it came back", "the reset's own"],
)
def test_an_outage_matters_where_it_lasts_for_all_the_time_in_which_facts_are_read(out: Out) -> None:
    own = {RESET: {**well().resets[RESET], "environment": "qa-sandbox"}}
    assert rules(assured(by=(), outages=(out,), resets=own)) == set()


def test_a_word_about_everything_that_the_environment_uses_covers_each_service() -> None:
    scope = {"environment": PRODUCTION, "service": None, "key": None}
    assert rules(assured(replace(GIVEN, service=None), by=(used(scope=scope),))) == set()


def test_a_word_about_one_database_covers_a_plan_that_touches_no_other() -> None:
    scope = {"environment": PRODUCTION, "service": None, "key": CORE}
    word = replace(GIVEN, service=None, key=CORE)
    assert rules(assured(word, by=(used(scope=scope),))) == set()
    word = replace(word, key=ELSEWHERE)
    assert rules(assured(word, by=(used(scope=scope | {"key": ELSEWHERE}),))) == {"unseen-user"}


def test_the_plan_that_a_reset_had_when_it_began_is_the_one_that_is_judged() -> None:
    former = {"sha256:former": plan() | {"hash": "sha256:former", "assurances": [used()]}}
    evidence = assured(GIVEN, by=())
    told = story(RESET, STATES, plan_hash="sha256:former")
    assert rules(replace(evidence, told=told, former_plans=former)) == set()
    ended = replace(GIVEN, ended_at=BEGUN + 1.0)
    assert rules(replace(evidence, told=told, former_plans=former, words=(ended,))) == {"dead-word"}


def test_words_that_the_audit_does_not_know_are_found() -> None:
    assert rules(assured(GIVEN, audit=())) == {"unaudited"}
    ended = replace(GIVEN, ended_at=BEGUN + 40)
    assert rules(assured(ended, audit=tuple(_lines((GIVEN,))[:1]))) == {"unaudited"}


def test_a_word_without_a_list_covers_only_services_of_which_the_plan_shows_what_is_remembered() -> None:
    shown = [{"environment": PRODUCTION, "service": UI, "database": "ui-builder", "key": CORE}]
    assert rules(assured(GIVEN, by=(used(uses=None, remembered=shown),))) == set()
    others = [{**shown[0], "service": "workflow-api"}]
    elsewhere = [{**shown[0], "environment": "acme-production"}]
    for remembered in ([], others, elsewhere):
        assert rules(assured(GIVEN, by=(used(uses=None, remembered=remembered),))) == {"unseen-user"}


def test_a_word_is_dead_once_a_reset_went_to_work_that_needed_none() -> None:
    other = "0198-other"
    before = story(other, STATES, plan_hash="sha256:free")
    seen = assured(GIVEN, outages=(replace(OUT, begun=BEGUN + 20),))
    told = (*before, *story(RESET, STATES, 20.0, plan_hash=PLAN))
    resets = {**seen.resets, other: {**seen.resets[RESET], "environment": "qa-sandbox"}}
    plans = {**seen.plans, other: plan() | {"hash": "sha256:free", "assurances": []}}
    both = replace(seen, told=told, resets=resets, plans=plans)
    assert "dead-word" in rules(both)
    relied = {**plans, other: plan() | {"hash": "sha256:free", "assurances": [used()]}}
    assert "dead-word" not in rules(replace(both, plans=relied))
    own = {**resets, other: {**resets[other], "environment": PRODUCTION}}
    assert "dead-word" not in rules(replace(both, resets=own))
    late = replace(both, plans={**plans, RESET: _given_late(plans[RESET])})
    assert "dead-word" not in rules(late)


def _given_late(plan: Mapping[str, Any]) -> dict[str, Any]:
    return {**plan, "assurances": [used(givenAt=moment(10.0))]}
