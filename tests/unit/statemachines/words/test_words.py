"""A word of a person fills what can't be read of a protected environment. It lifts nothing that is seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.facts import Facts, Unreadable
from schemas.plan import Plan
from schemas.protection import RememberedUse, Scope, Word, WordKind
from schemas.reasons import Reason
from schemas.requests import ResetRequested
from schemas.resets import Channel
from schemas.wire import ResourceKey, ServiceName
from statemachines.planning.planner import plan
from statemachines.refusals import Refusal
from tests.unit.statemachines.planner.world import CATALOG, LOADED, facts, key_of, request, used_by

PRODUCTION = "acme-production"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
CORE, UI = key_of("los-sandbox"), key_of("ui-builder")
ELSEWHERE = ResourceKey("database/9009/los-production")


def gap(
    environment: str = PRODUCTION, service: str | None = "los-core-api", subject: str = "pods"
) -> Unreadable:
    return Unreadable(
        environment=environment,
        service=ServiceName(service) if service else None,
        subject=subject,
        reason=Reason.POD_NOT_FOUND,
        detail="its deployment is scaled to 0",
        protected=environment.endswith("-production"),
    )


def word(scope: str = f"{PRODUCTION}/los-core-api", **changes: object) -> Word:
    fields: dict[str, object] = {
        "id": f"word-about-{scope}",
        "kind": WordKind.CONFIRM,
        "scope": Scope.of_text(scope),
        "uses": (),
        "reason": "it is down for good",
        "given_by": "ben",
        "given_at": NOW,
        "expires_at": NOW + 30 * DAY,
    }
    return Word.model_validate(fields | changes)


def remembered(key: ResourceKey = CORE, **changes: object) -> RememberedUse:
    fields: dict[str, object] = {
        "environment": PRODUCTION,
        "service": "los-core-api",
        "database": "core",
        "key": key,
        "first_seen_at": NOW - 9 * DAY,
        "last_seen_at": NOW - DAY,
    }
    return RememberedUse.model_validate(fields | changes)


def knowing(
    *words: Word,
    gaps: tuple[Unreadable, ...] = (gap(),),
    memory: tuple[RememberedUse, ...] = (),
    known: Facts | None = None,
) -> Facts:
    changes = {
        "words": words,
        "unreadable": gaps,
        "remembered": memory,
        "remembered_protected": tuple(sorted({use.key for use in memory})),
    }
    return (known or facts()).model_copy(update=changes)


def answer(known: Facts, *joined: str, asked: ResetRequested | None = None) -> Plan | Refusal:
    return plan(asked or request(), Channel.HTTP, CATALOG, LOADED.id, known, joined)


def made(known: Facts, *joined: str, asked: ResetRequested | None = None) -> Plan:
    answered = answer(known, *joined, asked=asked)
    assert isinstance(answered, Plan), answered
    return answered


def reasons(known: Facts, *joined: str) -> set[Reason]:
    answered = answer(known, *joined)
    assert isinstance(answered, Refusal), answered.hash
    return {each.reason for each in answered.reasons}


def relied_on(made: Plan) -> tuple[Word, ...]:
    """The words that a plan relies on, as they were given."""
    return tuple(
        Word(**{name: getattr(each, name) for name in Word.model_fields}) for each in made.assurances
    )


def protected(made: Plan) -> set[str]:
    return {resource.key for resource in made.resources if resource.protected}


def test_c3_without_a_word_one_production_service_that_is_down_stops_every_plan() -> None:
    refusal = answer(knowing())
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.SHARING_UNKNOWN
    assert f"resetd protected confirm {PRODUCTION}/los-core-api" in refusal.detail


@pytest.mark.parametrize(
    "scope",
    [PRODUCTION, f"{PRODUCTION}/los-core-api", f"{PRODUCTION}/los-core-api/core"],
)
def test_c3_a_word_about_what_is_down_lets_the_others_go_on(scope: str) -> None:
    given = word(scope)
    plan = made(knowing(given))
    assert relied_on(plan) == (given,)
    assert plan.approvals_required == 0
    assert any("ben says until 2026-12-23 12:00 UTC" in warning for warning in plan.warnings)


@pytest.mark.parametrize(
    "scope",
    [
        "other-production/los-core-api",
        f"{PRODUCTION}/ui-builder-api",
        f"{PRODUCTION}/los-core-api/data-builder",
        f"{PRODUCTION}/{CORE}",
    ],
)
def test_a_word_about_something_else_does_not_count(scope: str) -> None:
    assert reasons(knowing(word(scope))) == {Reason.SHARING_UNKNOWN}


def test_words_about_each_database_of_a_service_say_as_much_as_one_about_the_service() -> None:
    service = f"{PRODUCTION}/data-builder-api"
    core, own = word(f"{service}/core"), word(f"{service}/data-builder")
    gaps = (gap(service="data-builder-api"),)
    assert reasons(knowing(core, gaps=gaps)) == {Reason.SHARING_UNKNOWN}
    assert relied_on(made(knowing(core, own, gaps=gaps))) == (core, own)
    only = (gap(service="data-builder-api", subject="database core"),)
    assert relied_on(made(knowing(core, own, gaps=only))) == (core,)


def test_a_word_about_one_resource_counts_for_plans_that_touch_nothing_else() -> None:
    known = knowing(word(f"{PRODUCTION}/{UI}"), gaps=(gap(), gap(service=None, subject="namespace")))
    only = request(services=["ui-builder-api"], git=False)
    assert len(made(known, asked=only).assurances) == 1
    assert isinstance(answer(known), Refusal)
    both = request(services=["ui-builder-api", "workflow-api"], git=False)
    assert isinstance(answer(known, asked=both), Refusal)


def test_what_the_word_says_is_in_use_is_protected() -> None:
    plan = made(knowing(word(uses=(CORE, ELSEWHERE))))
    assert protected(plan) == {CORE}
    assert plan.approvals_required == 1
    (core,) = [resource for resource in plan.resources if resource.key == CORE]
    assert PRODUCTION in core.users


def test_what_is_remembered_still_holds_where_the_word_says_so() -> None:
    plan = made(knowing(word(uses=None), memory=(remembered(),)))
    assert protected(plan) == {CORE}
    assert PRODUCTION in str(plan.resources)


def test_a_word_that_points_to_an_empty_memory_says_nothing() -> None:
    assert reasons(knowing(word(uses=None))) == {Reason.SHARING_UNKNOWN}
    of_another = remembered(environment="other-production")
    assert reasons(knowing(word(uses=None), memory=(of_another,))) == {Reason.SHARING_UNKNOWN}


def test_a_word_that_nothing_is_in_use_lifts_neither_what_is_remembered_nor_what_is_seen() -> None:
    none = word(PRODUCTION)
    assert protected(made(knowing(none, memory=(remembered(),)))) == {CORE}
    seen = used_by(facts(), CORE, PRODUCTION)
    assert protected(made(knowing(none, known=seen))) == {CORE}
    both = (none, word(PRODUCTION, id="word-2", kind=WordKind.FORGET))
    assert protected(made(knowing(*both, known=seen, memory=(remembered(),)))) == {CORE}


@pytest.mark.parametrize("joined", [(), ("dan", " BEN ")])
def test_nobody_relies_on_a_word_of_their_own(joined: tuple[str, ...]) -> None:
    own = word(given_by="ben" if joined else "Ana")
    assert Reason.OWN_WORD in reasons(knowing(own), *joined)
    another = word(id="word-of-cleo", given_by="cleo")
    assert relied_on(made(knowing(own, another), *joined)) == (another,)


def test_the_hash_covers_the_words() -> None:
    given = word()
    first = made(knowing(given))
    for other in (
        word(id="another"),
        word(given_by="cleo"),
        word(reason="another reason"),
        word(expires_at=NOW + 31 * DAY),
        word(PRODUCTION),
    ):
        assert made(knowing(other)).hash != first.hash
    assert made(knowing(given)).hash == first.hash
    unused = word("other-production")
    assert made(knowing(given, unused)) == first


def test_what_is_forgotten_is_not_protected_until_it_is_seen_again() -> None:
    forget = word(f"{PRODUCTION}/{CORE}", kind=WordKind.FORGET)
    plan = made(knowing(forget, gaps=(), memory=(remembered(),)))
    assert protected(plan) == set()
    assert relied_on(plan) == (forget,)
    again = remembered(last_seen_at=NOW + timedelta(seconds=1))
    assert protected(made(knowing(forget, gaps=(), memory=(again,)))) == {CORE}
    also = remembered(environment="other-production")
    assert protected(made(knowing(forget, gaps=(), memory=(remembered(), also)))) == {CORE}


def test_nobody_takes_protection_away_by_forgetting_it_and_asks_for_a_reset_then() -> None:
    forget = word(PRODUCTION, kind=WordKind.FORGET, given_by="ana")
    assert Reason.OWN_WORD in reasons(knowing(forget, gaps=(), memory=(remembered(),)))
    other = request(services=["ui-builder-api"], git=False)
    assert made(knowing(forget, gaps=(), memory=(remembered(),)), asked=other).assurances == ()


def test_forgetting_answers_nothing_that_can_not_be_read() -> None:
    assert Reason.SHARING_UNKNOWN in reasons(knowing(word(PRODUCTION, kind=WordKind.FORGET)))


@pytest.mark.parametrize(
    "text",
    [
        PRODUCTION,
        f"{PRODUCTION}/los-core-api",
        f"{PRODUCTION}/los-core-api/core",
        f"{PRODUCTION}/{CORE}",
        f"{PRODUCTION}/repository/fuse/acme-workflows/main",
        f"{PRODUCTION}/database/7001/a/b",
    ],
)
def test_a_scope_is_read_as_it_is_written(text: str) -> None:
    assert Scope.of_text(text).text == text


@pytest.mark.parametrize("text", ["", "/", f"{PRODUCTION}/", f"{PRODUCTION}//core", "a/b/", "a/b/c/d", "/b"])
def test_what_is_no_scope_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a scope is"):
        Scope.of_text(text)


ENVIRONMENTS = st.sampled_from([PRODUCTION, "other-production"])
SERVICES = st.sampled_from(["los-core-api", "ui-builder-api", "data-builder-api"])
KEYS = st.sampled_from([CORE, UI, ELSEWHERE])
SCOPES = st.one_of(
    ENVIRONMENTS,
    st.builds("{}/{}".format, ENVIRONMENTS, SERVICES),
    st.builds("{}/{}/core".format, ENVIRONMENTS, SERVICES),
    st.builds("{}/{}".format, ENVIRONMENTS, KEYS),
)


@st.composite
def words(draw: st.DrawFn) -> tuple[Word, ...]:
    return tuple(
        word(
            draw(SCOPES),
            id=f"word-{number}",
            kind=draw(st.sampled_from(WordKind)),
            uses=draw(st.none() | st.tuples() | st.tuples(KEYS)),
            given_by=draw(st.sampled_from(["ana", "ben"])),
        )
        for number in range(draw(st.integers(0, 4)))
    )


@given(words(), st.sets(KEYS), st.booleans())
def test_no_word_lifts_what_is_seen_and_no_own_word_is_relied_on(
    given_words: tuple[Word, ...], seen: set[ResourceKey], down: bool
) -> None:
    known = facts()
    for key in seen & known.users.keys():
        known = used_by(known, key, PRODUCTION)
    memory = (remembered(), remembered(UI, service="ui-builder-api", database="ui-builder"))
    gaps = (gap(), gap("other-production", "ui-builder-api")) if down else ()
    answered = answer(knowing(*given_words, gaps=gaps, memory=memory, known=known))
    if isinstance(answered, Plan):
        assert all(each.given_by == "ben" for each in answered.assurances)
        assert seen & known.users.keys() <= protected(answered)
        assert not down or answered.assurances
    elif not down:
        assert {each.reason for each in answered.reasons} == {Reason.OWN_WORD}
