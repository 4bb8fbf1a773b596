"""A production that is down for good stops nobody else, once a person said what it uses. Nothing is protected less.

The platform is of these tests alone: they take a production down, and at the end away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from sandbox.platform.platform import Platform
from tests.integration.people.people import Person, act, call, refusal, settings
from tests.integration.stand.harness import Harness, running
from tests.integration.stand.outages import pods
from tests.integration.stand.waiting import wait_for

QA, SANDBOX, PRODUCTION = "qa-sandbox", "los-demo-sandbox", "los-demo-production"
UI = "ui-builder-api"
ANA = Person("ana", ("operator", "approver"))
"""Asks for resets, and has the right to give words, which her own plans can't rely on."""
BEN = Person("ben", ("approver",), ("los-demo-*",))
CLEO = Person("cleo", ("admin",), (PRODUCTION,))
EVE = Person("eve", ("approver",), ("*-sandbox",))
"""An approver, but not of the production."""
PEOPLE = (ANA, BEN, CLEO, EVE)
SCOPE = f"{PRODUCTION}/{UI}"
QUICK = {"mode": "seed", "services": [UI], "git": False}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A platform with a production, a sandbox on its databases, and a sandbox that shares nothing."""
    directory = tmp_path_factory.mktemp("fleet")
    async with Platform.start(directory, environments=[QA, SANDBOX, PRODUCTION]) as platform:
        yield platform


@pytest.fixture(scope="module")
def daemon(fleet: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    directory = tmp_path_factory.mktemp("words")
    with running(fleet, directory, settings=settings(directory, PEOPLE)) as harness:
        yield harness


def word(
    harness: Harness,
    person: Person,
    subject: str = SCOPE,
    verb: str = "confirm",
    **body: Any,  # noqa: ANN401 - JSON
) -> httpx.Response:
    """A person's word; the answer, whatever its status."""
    body.setdefault("reason", "it is down for good")
    return call(harness, person, f"/api/v1/protected/{subject}/{verb}", **body)


def listed(harness: Harness, what: str) -> list[dict[str, Any]]:
    return [one for one in harness.daemon.get("/api/v1/protected") if one["what"] == what]


def ask(harness: Harness, environment: str, person: Person = ANA, **wanted: Any) -> str:  # noqa: ANN401 - JSON
    answer = call(harness, person, "/api/v1/resets", environment=environment, **{**QUICK, **wanted})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["reference"])


def refused(harness: Harness, environment: str, person: Person = ANA) -> dict[str, Any]:
    return harness.wait_state(ask(harness, environment, person), "rejected", within=60)


def plan(harness: Harness, reference: str) -> dict[str, Any]:
    found: dict[str, Any] = harness.daemon.get(f"/api/v1/resets/{reference}/plan")
    return found


@pytest.mark.timeout(480)
def test_c3_one_production_service_at_0_replicas_for_good_stops_nobody_once_a_person_said_what_it_uses(
    daemon: Harness,
) -> None:
    fleet = daemon.platform
    # While the production is up, a plan remembers what it uses.
    harness_asks = ask(daemon, QA, dryRun=True)
    daemon.wait_state(harness_asks, "planned", within=60)
    remembered = listed(daemon, "remembered")
    (of_ui,) = [one for one in remembered if (one["service"], one["database"]) == (UI, "ui-builder")]
    assert (of_ui["environment"], of_ui["kind"]) == (PRODUCTION, "production")
    assert of_ui["id"] == f"{PRODUCTION}/{of_ui['key']}"

    asyncio.run(fleet.cluster.hold_health(PRODUCTION, "Healthy"))
    asyncio.run(fleet.cluster.scale(PRODUCTION, UI, 0))
    wait_for(lambda: not pods(fleet, PRODUCTION, UI), f"{UI} has no pod", within=60)
    for environment in (QA, SANDBOX):
        rejected = refused(daemon, environment)
        assert rejected["cause"] == "sharing-unknown"
        assert f"resetd protected confirm {SCOPE}" in rejected["detail"]

    # Whose word does not count.
    assert refusal(word(daemon, EVE)) == (403, "forbidden")
    late = (datetime.now(UTC) + timedelta(days=91)).isoformat()
    assert refusal(word(daemon, BEN, expiresAt=late)) == (422, "schema-violation")
    own = word(daemon, ANA)
    assert own.status_code == 201, own.text
    assert refused(daemon, QA)["cause"] == "own-word"
    assert word(daemon, ANA, own.json()["id"], "forget").status_code == 201
    assert refused(daemon, QA)["cause"] == "sharing-unknown"

    given = word(daemon, BEN)
    assert given.status_code == 201, given.text
    daemon.daemon.kill()
    daemon.start()

    # One that shares nothing goes on as ever; its plan shows the word.
    free = ask(daemon, QA)
    daemon.wait_state(free, "done")
    (assured,) = plan(daemon, free)["assurances"]
    assert (assured["id"], assured["givenBy"]) == (given.json()["id"], "ben")
    assert daemon.reset(free)["approvals"]["required"] == 0

    # One on the production's database stays protected by what is remembered.
    shared = ask(daemon, SANDBOX)
    waiting = daemon.wait_state(shared, "awaiting-approval", within=60)
    shown = plan(daemon, shared)
    (database,) = shown["resources"]
    assert database["protected"]
    assert database["key"] == of_ui["key"]
    assert PRODUCTION in database["users"]
    assert any("Nobody looked: ben says" in warning for warning in shown["warnings"])

    # The word is taken back while it waits: the consent was to a plan that relied on it.
    assert word(daemon, CLEO, given.json()["id"], "forget").status_code == 201
    consent = {"planHash": waiting["planHash"], "confirm": SANDBOX}
    assert act(daemon, BEN, shared, "approve", **consent).status_code == 202
    stopped = daemon.wait_state(shared, "failed", within=60)
    assert stopped["cause"] == "sharing-unknown"
    assert not daemon.reset(shared)["attempts"]

    audit = daemon.daemon.get(f"/api/v1/audit?environment={PRODUCTION}")
    told = [(one["action"], one["verdict"], one["actor"], one["code"]) for one in reversed(audit)]
    assert told == [
        ("confirm", "refused", "eve", "forbidden"),
        ("confirm", "refused", "ben", "schema-violation"),
        ("confirm", "applied", "ana", None),
        ("withdraw", "applied", "ana", None),
        ("confirm", "applied", "ben", None),
        ("withdraw", "applied", "cleo", None),
    ]


@pytest.mark.timeout(480)
def test_c3_a_production_that_is_gone_protects_what_it_used_until_a_person_says_so(daemon: Harness) -> None:
    """It runs after the test before, and takes the production away."""
    fleet = daemon.platform
    asyncio.run(fleet.cluster.delete_namespace(PRODUCTION))

    def gone() -> bool:
        return all(one["name"] != PRODUCTION for one in daemon.daemon.get("/api/v1/environments"))

    wait_for(gone, "the production is gone", within=60)
    reference = ask(daemon, SANDBOX)
    daemon.wait_state(reference, "awaiting-approval", within=60)
    (key,) = [one["key"] for one in plan(daemon, reference)["resources"]]
    assert act(daemon, BEN, reference, "deny", reason="not yet").status_code == 202
    daemon.wait_state(reference, "denied", within=60)

    assert refusal(word(daemon, EVE, f"{PRODUCTION}/{key}", "forget")) == (403, "forbidden")
    assert word(daemon, BEN, f"{PRODUCTION}/{key}", "forget", reason="it is gone").status_code == 201
    assert [one["key"] for one in listed(daemon, "forgotten")] == [key]
    reference = ask(daemon, SANDBOX)
    daemon.wait_state(reference, "done")
    (assured,) = plan(daemon, reference)["assurances"]
    assert (assured["kind"], assured["givenBy"]) == ("forget", "ben")
    # What it used besides stays protected.
    other = ask(daemon, SANDBOX, services=["workflow-api"])
    daemon.wait_state(other, "awaiting-approval", within=60)
