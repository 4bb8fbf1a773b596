"""C3: a word answers for each database of each service by itself: by a list, or by memory of exactly that."""

from __future__ import annotations

from datetime import timedelta

import pytest

from schemas.protection import ProtectedUse, RememberedUse, Word, WordKind, is_database
from schemas.reasons import Reason
from schemas.wire import ResourceKey, ServiceName
from statemachines.planning.words import to_remember
from statemachines.refusals import Refusal
from tests.unit.statemachines.planner.world import CATALOG, facts, key_of, repository_key, request
from tests.unit.statemachines.words.test_words import (
    CORE,
    DAY,
    ELSEWHERE,
    NOW,
    PRODUCTION,
    answer,
    gap,
    knowing,
    made,
    protected,
    reasons,
    remembered,
    word,
)

PAIRS = [(service.name, database.name) for service in CATALOG.services for database in service.databases]
UNKNOWN = {Reason.SHARING_UNKNOWN}
LATER = NOW + timedelta(seconds=1)
NAMESPACE = gap(service=None, subject="workloads")


def memory_of(*pairs: tuple[str, str]) -> tuple[RememberedUse, ...]:
    """What is remembered where the production uses databases of its own."""
    return tuple(
        remembered(key_of(database, "9009"), service=service, database=database)
        for service, database in pairs
    )


REPOSITORY = remembered(repository_key("acme"), service=None, database=None)


def leaves(scope: str = PRODUCTION, **changes: object) -> Word:
    """A word that leaves to memory what the scope uses."""
    return word(scope, uses=None, **changes)


@pytest.mark.parametrize(
    "scope", [PRODUCTION, f"{PRODUCTION}/los-core-api", f"{PRODUCTION}/los-core-api/core"]
)
@pytest.mark.parametrize(
    "memory",
    [
        (REPOSITORY,),
        memory_of(("ui-builder-api", "ui-builder")),
        memory_of(("data-builder-api", "core")),
        memory_of(("los-core-api", "former")),
        (remembered(ELSEWHERE, service=None, database=None),),
    ],
    ids=["the repository", "another service", "another service's core", "another database", "no service's"],
)
def test_c3_a_word_that_leaves_it_to_memory_says_nothing_of_what_memory_has_not(
    scope: str, memory: tuple[RememberedUse, ...]
) -> None:
    assert reasons(knowing(leaves(scope), memory=memory)) == UNKNOWN


def test_c3_a_word_that_leaves_it_to_memory_answers_for_one_database_and_not_for_the_other() -> None:
    service = "data-builder-api"
    core, own = memory_of((service, "core"), (service, "data-builder"))
    whole, given = (gap(service=service),), leaves(f"{PRODUCTION}/{service}")
    assert reasons(knowing(given, gaps=whole, memory=(core,))) == UNKNOWN
    assert reasons(knowing(given, gaps=whole, memory=(own,))) == UNKNOWN
    assert made(knowing(given, gaps=whole, memory=(core, own))).approvals_required == 0
    only = (gap(service=service, subject="database core"),)
    assert made(knowing(given, gaps=only, memory=(core,))).assurances
    assert reasons(knowing(given, gaps=only, memory=(own,))) == UNKNOWN


def test_c3_a_namespace_that_can_not_be_read_needs_memory_of_each_database_of_each_service() -> None:
    whole = memory_of(*PAIRS)
    assert made(knowing(leaves(), gaps=(NAMESPACE,), memory=whole)).assurances
    for missing in whole:
        rest = tuple(use for use in whole if use != missing)
        assert reasons(knowing(leaves(), gaps=(NAMESPACE,), memory=rest)) == UNKNOWN
        stated = word(f"{PRODUCTION}/{missing.service}/{missing.database}", uses=(missing.key,))
        assert made(knowing(leaves(), stated, gaps=(NAMESPACE,), memory=rest)).assurances


def test_c3_a_word_about_one_resource_that_leaves_it_to_memory_needs_memory_of_the_service_too() -> None:
    given = leaves(f"{PRODUCTION}/{CORE}")
    of_core = remembered()
    only_core = request(services=["los-core-api"], git=False)
    assert made(knowing(given, memory=(of_core,)), asked=only_core).approvals_required == 1
    other = remembered(service="data-builder-api")
    assert isinstance(answer(knowing(given, memory=(other,)), asked=only_core), Refusal)


def test_c3_the_plan_names_what_a_word_leaves_to_memory_and_its_hash_covers_that() -> None:
    memory = memory_of(("los-core-api", "core"), ("ui-builder-api", "ui-builder"))
    plan = made(knowing(leaves(), memory=memory))
    (assured,) = plan.assurances
    core = ProtectedUse(
        environment=PRODUCTION, service=ServiceName("los-core-api"), database="core", key=memory[0].key
    )
    assert assured.remembered == (core,)
    (told,) = [warning for warning in plan.warnings if "Nobody looked" in warning]
    assert f"los-core-api core: {memory[0].key}" in told
    moved = memory[0].model_copy(update={"key": key_of("core", "9010")})
    assert made(knowing(leaves(), memory=(moved,))).hash != plan.hash
    assert made(knowing(leaves(), memory=(memory[0],))).hash == plan.hash


def test_the_plan_names_what_a_word_takes_from_memory() -> None:
    forget = word(PRODUCTION, kind=WordKind.FORGET)
    other = remembered(ELSEWHERE, service="ui-builder-api", database="ui-builder")
    (assured,) = made(knowing(forget, gaps=(), memory=(remembered(), other))).assurances
    assert [use.key for use in assured.remembered] == [CORE]


@pytest.mark.parametrize("uses", [None, (), (ELSEWHERE,)])
@pytest.mark.parametrize(
    "scope", [PRODUCTION, f"{PRODUCTION}/los-core-api", f"{PRODUCTION}/los-core-api/core"]
)
def test_c3_a_word_ends_once_what_it_covers_was_seen(
    scope: str, uses: tuple[ResourceKey, ...] | None
) -> None:
    given = word(scope, uses=uses)
    before, after = remembered(ELSEWHERE), remembered(ELSEWHERE, last_seen_at=LATER)
    assert made(knowing(given, memory=(before,))).assurances
    assert reasons(knowing(given, memory=(after,))) == UNKNOWN
    assert made(knowing(word(scope, id="w2", uses=uses, given_at=LATER), memory=(after,))).assurances
    beside = remembered(key_of("ui"), service="ui-builder-api", database="ui-builder", last_seen_at=LATER)
    assert made(knowing(given, memory=(before, beside))).assurances


def test_c3_a_word_that_ended_is_told_of_where_it_is_missed() -> None:
    refusal = answer(knowing(word(), memory=(remembered(last_seen_at=LATER),)))
    assert isinstance(refusal, Refusal)
    assert "a word does not count for what was seen after it was given" in refusal.detail


def test_what_is_forgotten_since_was_seen_nevertheless() -> None:
    forget = word(PRODUCTION, id="w2", kind=WordKind.FORGET, given_at=LATER + DAY)
    assert Reason.SHARING_UNKNOWN in reasons(
        knowing(word(), forget, memory=(remembered(last_seen_at=LATER),))
    )


@pytest.mark.parametrize(
    "key",
    [
        "database/\u0661/x",
        "database/1/\0x",
        "database/1/",
        "database//x",
        "database/1/\u202ex",
        "database/1/" + "x" * 64,
        "database/" + "1" * 21 + "/x",
        "repository/a/b/c",
        "database/1/x\n",
        " database/1/x",
    ],
)
def test_c3_a_list_with_what_is_no_database_says_nothing(key: str) -> None:
    assert not is_database(key)
    assert reasons(knowing(word(uses=(ResourceKey(key),)))) == UNKNOWN


@pytest.mark.parametrize(
    "key", ["database/7713933224801768231/workflow-builder", "database/1/na\u00efve/b c"]
)
def test_what_has_the_form_of_a_database_is_one(key: str) -> None:
    assert is_database(key)


def test_c3_a_database_that_nobody_sees_is_named_beside_those_of_the_plan() -> None:
    misspelt = key_of("los-sandbox", "7100")
    plan = made(knowing(word(uses=(misspelt,))))
    (told,) = [warning for warning in plan.warnings if "compare it" in warning]
    assert misspelt in told
    assert CORE in told
    for known in (word(uses=(CORE,)), word(uses=())):
        assert not [each for each in made(knowing(known)).warnings if "compare it" in each]
    assert not [
        each
        for each in made(knowing(word(uses=(misspelt,)), memory=(remembered(misspelt),))).warnings
        if "compare it" in each
    ]


def test_c3_the_services_of_an_environment_are_refused_in_one_sentence_with_commands_that_work() -> None:
    services = ("los-core-api", "ui-builder-api", "workflow-api")
    known = knowing(
        gaps=tuple(gap(service=name) for name in services), memory=memory_of(("ui-builder-api", "ui-builder"))
    )
    refusal = answer(known)
    assert isinstance(refusal, Refusal)
    (refused,) = refusal.reasons
    assert refused.detail.count("could not be read") == 1
    held, stated = refused.detail.split("resetd protected confirm ")[1:]
    assert "(ui-builder-api)" in held
    assert "--uses" not in held
    assert "--uses database/SYSTEM-IDENTIFIER/NAME (or --none) for los-core-api, workflow-api" in stated


@pytest.mark.parametrize(
    ("subject", "memory", "command"),
    [
        ("pods", (), "data-builder-api --uses"),
        ("pods", ("core",), "data-builder-api --uses"),
        ("pods", ("core", "data-builder"), "data-builder-api"),
        ("database core", ("core",), "data-builder-api/core"),
        ("database core", ("data-builder",), "data-builder-api/core --uses"),
    ],
)
def test_c3_the_command_that_a_refusal_suggests_is_one_that_works(
    subject: str, memory: tuple[str, ...], command: str
) -> None:
    service = "data-builder-api"
    uses = memory_of(*((service, name) for name in memory))
    refusal = answer(knowing(gaps=(gap(service=service, subject=subject),), memory=uses))
    assert isinstance(refusal, Refusal)
    suggested = refusal.detail.partition("resetd protected confirm ")[2]
    assert suggested.startswith(f"{PRODUCTION}/{command}")
    assert ("--uses" in suggested) == ("--uses" in command)


def test_a_service_that_can_not_be_read_whole_is_not_seen_but_what_is_new_of_it_is_remembered() -> None:
    """Else each reading would end the word about the rest of it, and nobody could go on."""
    old, beside = remembered(), remembered(key_of("ui"), service="ui-builder-api", database="ui-builder")
    new = ProtectedUse(
        environment=PRODUCTION, service=ServiceName("los-core-api"), database="core", key=ELSEWHERE
    )
    seen = tuple(
        ProtectedUse(**{name: getattr(use, name) for name in ProtectedUse.model_fields})
        for use in (old, beside)
    )
    partly = (gap(subject="pod los-core-api-worker"),)
    known = knowing(gaps=partly, memory=(old, beside)).model_copy(update={"protected_uses": (*seen, new)})
    assert to_remember(known) == (seen[1], new)
    assert to_remember(known.model_copy(update={"unreadable": ()})) == (*seen, new)
    forget = word(PRODUCTION, kind=WordKind.FORGET)
    assert to_remember(known.model_copy(update={"words": (forget,)})) == (*seen, new)
    assert to_remember(known.model_copy(update={"unreadable": (NAMESPACE,)})) == (new,)
    told = gap(subject="migrations core")
    assert to_remember(known.model_copy(update={"unreadable": (told,)})) == (*seen, new)


def test_what_is_remembered_stays_protected_whatever_a_word_says() -> None:
    assert protected(made(knowing(word(PRODUCTION), memory=(remembered(),), known=facts()))) == {CORE}
