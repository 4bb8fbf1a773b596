"""Rounds with a production: what is asked beside it, when it can't be read, and what people say of it meanwhile."""

from __future__ import annotations

from itertools import chain

from sandbox.faults import FaultKind
from sandbox.fleet import environment
from schemas.requests import Option
from tests.torture.script.generator import write
from tests.torture.script.protection import BESIDE, DATABASES, PRODUCTION, PROTECTED
from tests.torture.script.script import Ask, Block, Gone, Outage, Say, Script, State, Subject, Uses

ENVIRONMENTS = ("qa-sandbox", *PROTECTED)
TWO = Block(State.POSTGRESQL, 2)


def scripts(number: int = 300, *environments: str) -> list[Script]:
    return [write("s", one, environments or ENVIRONMENTS, TWO, tuple(FaultKind)) for one in range(number)]


def test_the_services_whose_outage_matters_share_their_database_with_the_sandbox() -> None:
    production, beside = environment(PRODUCTION).databases, environment(BESIDE).databases
    for service in DATABASES:
        assert production[service, "DATABASE_URL"] == beside[service, "DATABASE_URL"]


def test_a_production_can_not_be_read_whole_in_some_rounds_and_people_speak_only_then() -> None:
    out = [[one for one in script.events if isinstance(one, Outage)] for script in scripts()]
    assert 30 < sum(map(bool, out)) < 100
    assert {one.gone for one in chain(*out)} == set(Gone)
    for script, gone in zip(scripts(), out, strict=True):
        said = [one for one in script.events if isinstance(one, Say)]
        assert gone or not said
        if gone:
            # What is said before a plan is made matters to it.
            first = min(one.at for one in script.asks)
            assert all(one.at < first for one in gone)
            assert all(one.at < first for one in said)


def test_what_people_say_may_end_be_taken_back_be_about_something_else_and_be_their_own() -> None:
    said = [one for script in scripts(900) for one in script.events if isinstance(one, Say)]
    outages = {
        one.service: one.service
        for script in scripts(900)
        for one in script.events
        if isinstance(one, Outage)
    }
    assert {one.verb for one in said} == {"confirm", "forget"}
    assert {one.subject for one in said} == set(Subject)
    assert {one.uses for one in said} == set(Uses)
    assert {one.by for one in said} == {"ben", "cleo", "eve", "operator"}
    assert any(one.lasts < 5 for one in said)
    assert any(one.withdrawn_after for one in said)
    assert set(outages) == set(DATABASES)


def test_there_is_no_outage_where_there_is_no_production() -> None:
    events = chain.from_iterable(script.events for script in scripts(200, "qa-sandbox", "acme-sandbox"))
    assert not any(isinstance(one, Outage | Say) for one in events)


def test_some_requests_come_from_an_approver_and_some_are_joined_by_one() -> None:
    asks = [one for script in scripts() for one in script.asks]
    assert any(one.by == "ben" and not one.tag.endswith("'") for one in asks)
    joining = {one.tag[:-1]: one for one in asks if one.tag.endswith("'")}
    assert joining
    for one in asks:
        if one.tag in joining:
            joined = joining[one.tag]
            assert (joined.environment, joined.mode, joined.services) == (
                one.environment,
                one.mode,
                one.services,
            )
            assert joined.at > one.at
            assert joined.by == "ben"
    assert all(one.by == "operator" for one in asks if one.environment not in PROTECTED)


def test_mock_data_is_not_asked_for_where_a_production_may_see_it() -> None:
    asks = [one for script in scripts() for one in script.asks if isinstance(one, Ask)]
    assert not any(Option.MOCK in one.options for one in asks if one.environment in PROTECTED)


def test_the_operator_goes_on_in_several_ways() -> None:
    ways = {(script.again.cancelled, script.again.replan) for script in scripts(60)}
    assert len(ways) == 4


def test_the_same_is_wiped_twice_in_a_block_and_the_second_time_its_seed_leaves_a_table_empty() -> None:
    for first in range(0, 100, 10):
        block = [write("s", one, ENVIRONMENTS, TWO) for one in range(first, first + 10)]
        silent = [script.silent for script in block]
        assert [bool(one) for one in silent] == [number == 6 for number in range(10)]
        ((environment, service),) = silent[6]
        for script in (block[4], block[6]):
            (wipe,) = [one for one in script.asks if one.tag.endswith("#w")]
            assert (wipe.environment, wipe.services) == (environment, (service,))
        assert not set(block[6].failing) & set(block[6].silent)
        assert sum(service in one.services for one in block[6].asks) == 1
