"""A word that leaves it to memory answers for what memory has, until that is seen again.

The platform is of this test alone: it takes a production down before anybody saw what it uses.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import pytest_asyncio

from sandbox.platform.platform import Platform
from tests.integration.people.people import Person, act, call, refusal, settings
from tests.integration.resets.test_words import PRODUCTION, SANDBOX, UI, ask, listed, plan, word
from tests.integration.stand.harness import Harness, running
from tests.integration.stand.outages import without_pods

SERVICES = (
    "data-builder-api",
    "los-core-api",
    "los-integrations",
    "sequence-builder-api",
    "ui-builder-api",
    "workflow-api",
)
ANA, BEN = Person("ana", ("operator",)), Person("ben", ("approver",), ("los-demo-*",))
WIPE: dict[str, Any] = {"mode": "wipe", "services": None, "git": False}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A platform with a production and a sandbox on its databases."""
    directory = tmp_path_factory.mktemp("fleet")
    async with Platform.start(directory, environments=[SANDBOX, PRODUCTION]) as platform:
        yield platform


@pytest.fixture(scope="module")
def daemon(fleet: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    directory = tmp_path_factory.mktemp("words")
    with running(fleet, directory, settings=settings(directory, (ANA, BEN))) as harness:
        yield harness


def refused(harness: Harness) -> str:
    """Ask for the wipe, which is refused because nobody knows what the production uses; what the refusal says."""
    rejected = harness.wait_state(ask(harness, SANDBOX, ANA, **WIPE), "rejected", within=60)
    assert rejected["cause"] == "sharing-unknown"
    return str(rejected["detail"])


def look(harness: Harness) -> None:
    """Make a dry run, which sees what the production uses."""
    answer = call(harness, ANA, "/api/v1/plans", environment=SANDBOX, mode="wipe", git=False)
    assert answer.status_code == 200, answer.text


@pytest.mark.timeout(480)
def test_c3_a_production_that_nobody_saw_is_not_wiped_on_a_word_that_leaves_it_to_memory(
    daemon: Harness,
) -> None:
    fleet = daemon.platform
    with ExitStack() as down:
        for service in SERVICES:
            down.enter_context(without_pods(fleet, PRODUCTION, service))
        told = refused(daemon)
        assert told.count("could not be read") == 1
        assert "--uses database/SYSTEM-IDENTIFIER/NAME (or --none) for " + ", ".join(SERVICES) in told
        assert {one["key"].partition("/")[0] for one in listed(daemon, "remembered")} == {"repository"}

        assert refusal(word(daemon, BEN, PRODUCTION)) == (409, "nothing-remembered")
        wrong = ["database/7713933224801768231/workflow-builder"]
        assert refusal(word(daemon, BEN, PRODUCTION, uses=wrong)) == (404, "unknown-protected")
        assert refusal(word(daemon, BEN, "los-demo-nothere-production", uses=[])) == (
            404,
            "unknown-protected",
        )
        refused(daemon)

    look(daemon)
    used = {one["key"] for one in listed(daemon, "remembered") if one["service"]}
    with ExitStack() as down:
        for service in SERVICES:
            down.enter_context(without_pods(fleet, PRODUCTION, service))
        told = refused(daemon)
        assert "--uses" not in told
        assert word(daemon, BEN, PRODUCTION).status_code == 201
        reference = ask(daemon, SANDBOX, ANA, **WIPE)
        daemon.wait_state(reference, "awaiting-approval", within=60)
        made = plan(daemon, reference)
        (assured,) = made["assurances"]
        assert {use["key"] for use in assured["remembered"]} == used
        protected = {one["key"] for one in made["resources"] if one["protected"]}
        assert protected == used & {one["key"] for one in made["resources"]}
        assert len(protected) == 5
        assert act(daemon, BEN, reference, "deny", reason="not today").status_code == 202
        daemon.wait_state(reference, "denied", within=60)

    # It was back: what was said of the time when it was away says nothing of the next.
    look(daemon)
    with without_pods(fleet, PRODUCTION, UI):
        told = refused(daemon)
        assert f"{PRODUCTION}: {UI} pods could not be read" in told
        assert "seen after it was given" in told
        assert word(daemon, BEN, f"{PRODUCTION}/{UI}").status_code == 201
        daemon.wait_state(ask(daemon, SANDBOX, ANA, **WIPE), "awaiting-approval", within=60)
