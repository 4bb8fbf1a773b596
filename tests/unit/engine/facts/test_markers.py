"""A marked database is reset only for an environment that its marker names."""

from __future__ import annotations

import pytest

from schemas.reasons import Reason
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.stand import ENVIRONMENT
from tests.unit.engine.facts.test_direct_urls import DIRECT, Reading

PRODUCTION = "los-demo-production"


@pytest.mark.parametrize("others", [(), (PRODUCTION,)])
def test_a_marker_that_names_the_environment_is_a_fact(others: tuple[str, ...]) -> None:
    async def story() -> None:
        reading = Reading(DATABASE_URL=DIRECT)
        reading.database.markers |= {(name, "7001", "app") for name in (ENVIRONMENT, *others)}
        facts = await reading.read()
        assert facts.unreadable == ()
        assert facts.markers == {reading.database.key: tuple(sorted((ENVIRONMENT, *others)))}

    run(story())


@pytest.mark.parametrize("named", [PRODUCTION, ENVIRONMENT.upper(), ""])
def test_a_marker_that_names_only_another_one_refuses(named: str) -> None:
    async def story() -> None:
        reading = Reading(DATABASE_URL=DIRECT)
        reading.database.markers.add((named, "7001", "app"))
        facts = await reading.read()
        (gap,) = facts.unreadable
        assert gap.reason is Reason.DATABASE_MISMATCH
        assert f"not of {ENVIRONMENT}" in gap.detail
        assert facts.databases == ()

    run(story())


def test_the_marker_of_another_database_is_told_and_not_believed() -> None:
    async def story() -> None:
        reading = Reading(DATABASE_URL=DIRECT)
        reading.database.markers.add((PRODUCTION, "7009", "app"))
        facts = await reading.read()
        assert facts.markers == {}
        assert [fact.copied_markers for fact in facts.databases] == [(PRODUCTION,)]

    run(story())
