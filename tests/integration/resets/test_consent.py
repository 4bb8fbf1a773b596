"""What a production uses is touched only after people, known by their tokens, agreed to that very plan.

Over 300 lines: one story told from each side, over one set of people.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sandbox.platform.platform import Platform
from sandbox.services.standins.controls import Control
from schemas.publish import Mode, ResetRequested, ResumeRequested
from tests.integration.people.consenting import (
    ANA,
    BEN,
    CLEO,
    DAN,
    EVE,
    FAY,
    PEOPLE,
    PRODUCTION,
    QUICK,
    SANDBOX,
    SOON,
    ask,
    commands,
    publish,
    quick_seeds,
    until_asked,
    until_given,
    untouched,
)
from tests.integration.people.people import Person, act, call, refusal, settings
from tests.integration.stand.harness import Harness, running
from tests.integration.stand.waiting import wait_for


@pytest.fixture(scope="module")
def daemon(los_demo_sandbox: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """One daemon for all these tests; each brings its resets to their end."""
    directory = tmp_path_factory.mktemp("consent")
    with running(los_demo_sandbox, directory, settings=settings(directory, PEOPLE)) as harness:
        yield harness


@pytest.fixture(autouse=True)
def paced(los_demo_sandbox: Platform) -> Iterator[None]:
    with quick_seeds(los_demo_sandbox):
        yield


@pytest.mark.timeout(480)
async def test_a_reset_asks_for_consent_when_a_production_starts_to_use_its_databases(
    daemon: Harness, los_demo_sandbox: Platform
) -> None:
    assert PRODUCTION not in los_demo_sandbox.environments, "this test has to come first"
    before = commands(los_demo_sandbox)
    # It was planned, nobody's consent was needed, and it waits for ArgoCD.
    await los_demo_sandbox.cluster.hold_health(SANDBOX, "Progressing")
    reference = ask(daemon, ANA, SANDBOX, **QUICK)

    def waits_for_argocd() -> bool:
        return (daemon.reset(reference)["waitingFor"] or {}).get("reason") == "argocd"

    wait_for(waits_for_argocd, "it waits for ArgoCD", within=SOON)
    planned = daemon.reset(reference)
    assert planned["approvals"]["required"] == 0
    await los_demo_sandbox.provision(PRODUCTION)
    await los_demo_sandbox.cluster.let_health_go(SANDBOX)
    asked = until_asked(daemon, reference)
    assert asked["approvals"]["required"] == 1
    assert asked["planHash"] != planned["planHash"]
    plan = daemon.daemon.get(f"/api/v1/resets/{reference}/plan")
    assert [(one["users"], one["protected"]) for one in plan["resources"]] == [([PRODUCTION, SANDBOX], True)]
    assert untouched(daemon, reference, before)
    assert act(daemon, BEN, reference, "approve", planHash=asked["planHash"]).status_code == 202
    daemon.wait_state(reference, "done")


@pytest.mark.timeout(480)
class TestProductionAskedForOverHttp:
    def test_it_runs_nothing_until_another_person_agreed_to_this_very_plan(
        self, daemon: Harness, los_demo: Platform
    ) -> None:
        before = commands(los_demo)
        reference = ask(daemon, ANA, PRODUCTION, reason="the whole of it")
        asked = until_asked(daemon, reference)
        the_plan = asked["planHash"]
        assert asked["approvals"] | {"expiresAt": None} == {"required": 1, "given": [], "expiresAt": None}
        another = the_plan[:-1] + ("0" if the_plan[-1] != "0" else "1")
        refused = {
            "who asked": act(daemon, ANA, reference, "approve", planHash=the_plan),
            "another plan": act(daemon, BEN, reference, "approve", planHash=another),
            "no approver": act(daemon, DAN, reference, "approve", planHash=the_plan),
            "not there": act(daemon, EVE, reference, "approve", planHash=the_plan),
            "another name": act(daemon, BEN, reference, "approve", planHash=the_plan, confirm=SANDBOX),
            "nobody": act(daemon, Person("x", ()), reference, "approve", planHash=the_plan),
            "no hash": act(daemon, BEN, reference, "approve"),
        }
        assert {why: refusal(answer) for why, answer in refused.items()} == {
            "who asked": (409, "self-approval"),
            "another plan": (409, "wrong-plan"),
            "no approver": (403, "forbidden"),
            "not there": (403, "forbidden"),
            "another name": (422, "schema-violation"),
            "nobody": (401, "unauthenticated"),
            "no hash": (422, "schema-violation"),
        }
        assert daemon.reset(reference)["state"] == "awaiting-approval"
        assert untouched(daemon, reference, before)
        answer = act(
            daemon, BEN, reference, "approve", planHash=the_plan, confirm=PRODUCTION, reason="agreed"
        )
        assert answer.status_code == 202
        done = daemon.wait_state(reference, "done")
        assert [(one["actor"], one["planHash"]) for one in done["approvals"]["given"]] == [("ben", the_plan)]
        launches = daemon.launches(done["id"])
        assert launches
        assert set(launches.values()) == {1}
        assert not daemon.twice()
        told = daemon.status(done["id"], "done")
        states = [one["state"] for one in told if "step" not in one]
        assert states[:3] == ["planning", "awaiting-approval", "queued"]
        assert told[1]["planHash"] == the_plan

    def test_who_asks_is_the_token_and_nobody_else(self, daemon: Harness) -> None:
        answer = call(daemon, ANA, "/api/v1/resets", environment=PRODUCTION, requestedBy="somebody")
        assert refusal(answer) == (422, "schema-violation")

    def test_what_an_approver_denies_is_over(self, daemon: Harness, los_demo: Platform) -> None:
        before = commands(los_demo)
        reference = ask(daemon, ANA, PRODUCTION, **QUICK)
        asked = until_asked(daemon, reference)
        assert refusal(act(daemon, DAN, reference, "deny")) == (403, "forbidden")
        assert act(daemon, BEN, reference, "deny", reason="we are busy").status_code == 202
        denied = daemon.wait_state(reference, "denied")
        assert (denied["cause"], denied["detail"]) == ("denied", "by ben: we are busy")
        answer = act(daemon, CLEO, reference, "approve", planHash=asked["planHash"])
        assert refusal(answer) == (409, "wrong-state")
        assert untouched(daemon, reference, before)

    def test_an_image_that_changes_while_it_waits_makes_it_plan_and_ask_again(
        self, daemon: Harness, los_demo: Platform
    ) -> None:
        before = commands(los_demo)
        reference = ask(daemon, ANA, PRODUCTION, **QUICK)
        asked = until_asked(daemon, reference)

        def asked_again() -> dict[str, Any] | None:
            found = daemon.reset(reference)
            again = found["planHash"] != asked["planHash"] and found["state"] == "awaiting-approval"
            return found if again else None

        with deployed(los_demo, PRODUCTION, "ui-builder-api"):
            assert act(daemon, BEN, reference, "approve", planHash=asked["planHash"]).status_code == 202
            again = wait_for(asked_again, "it asks again", within=SOON)
            assert again["approvals"]["given"] == []
            assert untouched(daemon, reference, before)
            old = act(daemon, CLEO, reference, "approve", planHash=asked["planHash"])
            assert refusal(old) == (409, "wrong-plan")
            assert act(daemon, BEN, reference, "approve", planHash=again["planHash"]).status_code == 202
            daemon.wait_state(reference, "done")


@contextmanager
def deployed(platform: Platform, environment: str, service: str) -> Iterator[None]:
    """Another build of a service's image, which all environments share, and its pod here made anew from it."""
    build = platform.directory / "images" / service / "BUILD"
    build.write_text(datetime.now(UTC).isoformat())
    try:
        asyncio.run(_renew(platform, environment, service))
        yield
    finally:
        build.unlink()
        asyncio.run(_renew(platform, environment, service))


async def _renew(platform: Platform, environment: str, service: str) -> None:
    (pod,) = await platform.cluster.pods(environment, service)
    await platform.cluster.delete_pod(environment, pod["metadata"]["name"])
    await platform.until_ready([environment])


@pytest.mark.timeout(480)
class TestASandboxThatSharesWithProductionAskedForOverKafka:
    def test_it_runs_nothing_until_two_people_agreed_also_when_the_daemon_is_killed_meanwhile(
        self, daemon: Harness, los_demo: Platform
    ) -> None:
        before = commands(los_demo)
        reference = publish(daemon, SANDBOX, "a pipeline", mode=Mode.REFRESH)
        asked = until_asked(daemon, reference)
        the_plan = asked["planHash"]
        assert asked["approvals"]["required"] == 2
        daemon.daemon.kill()
        daemon.start()
        assert act(daemon, BEN, reference, "approve", planHash=the_plan).status_code == 202
        until_given(daemon, reference, BEN)
        twice = act(daemon, BEN, reference, "approve", planHash=the_plan)
        assert refusal(twice) == (409, "already-approved")
        daemon.daemon.kill()
        daemon.start()
        still = daemon.reset(reference)
        assert still["state"] == "awaiting-approval"
        assert still["approvals"] == asked["approvals"] | {"given": still["approvals"]["given"]}
        until_given(daemon, reference, BEN)
        assert untouched(daemon, reference, before)
        assert act(daemon, CLEO, reference, "approve", planHash=the_plan).status_code == 202
        done = daemon.wait_state(reference, "done")
        assert [one["actor"] for one in done["approvals"]["given"]] == ["ben", "cleo"]
        assert set(daemon.launches(done["id"]).values()) == {1}
        assert not daemon.twice()

    def test_d4_names_that_events_claim_take_nobodys_right_to_approve_and_who_joins_with_a_token_has_none(
        self, daemon: Harness, los_demo: Platform
    ) -> None:
        before = commands(los_demo)
        wanted = QUICK | {"reason": "joined"}
        reference = publish(daemon, SANDBOX, " Ben", **wanted)
        the_plan = until_asked(daemon, reference)["planHash"]
        assert ask(daemon, ANA, SANDBOX, **wanted) == reference
        assert daemon.reset(reference)["claimedBy"] == [" Ben"]
        assert refusal(act(daemon, ANA, reference, "approve", planHash=the_plan)) == (409, "self-approval")
        assert act(daemon, CLEO, reference, "approve", planHash=the_plan).status_code == 202
        until_given(daemon, reference, CLEO)
        daemon.publisher.publish(ResetRequested(environment=SANDBOX, requested_by="cleo", **wanted))
        wait_for(
            lambda: "cleo" in daemon.reset(reference)["requestedBy"], "cleo is said to join", within=SOON
        )

        def still_waits() -> bool:
            waiting = daemon.reset(reference)["waitingFor"]
            return waiting is not None and waiting["detail"].startswith("1 of 2 approvals given")

        wait_for(still_waits, "hers still counts", within=SOON)
        assert untouched(daemon, reference, before)
        assert act(daemon, BEN, reference, "approve", planHash=the_plan).status_code == 202
        done = daemon.wait_state(reference, "done")
        assert [one["actor"] for one in done["approvals"]["given"]] == ["cleo", "ben"]

    def test_an_approval_of_a_person_who_then_asks_for_the_same_with_a_token_counts_no_longer(
        self, daemon: Harness, los_demo: Platform
    ) -> None:
        before = commands(los_demo)
        wanted = QUICK | {"reason": "joined by hand"}
        reference = publish(daemon, SANDBOX, "a pipeline", **wanted)
        the_plan = until_asked(daemon, reference)["planHash"]
        assert act(daemon, FAY, reference, "approve", planHash=the_plan).status_code == 202
        until_given(daemon, reference, FAY)
        assert ask(daemon, FAY, SANDBOX, **wanted) == reference
        assert refusal(act(daemon, EVE, reference, "approve", planHash=the_plan)) == (403, "forbidden")
        assert act(daemon, CLEO, reference, "approve", planHash=the_plan).status_code == 202
        until_given(daemon, reference, FAY, CLEO)

        def still_waits() -> bool:
            waiting = daemon.reset(reference)["waitingFor"]
            return waiting is not None and waiting["detail"].startswith("1 of 2 approvals given")

        wait_for(still_waits, "only one of them counts", within=SOON)
        assert untouched(daemon, reference, before)
        assert act(daemon, EVE, reference, "deny", reason="not today").status_code == 202
        daemon.wait_state(reference, "denied")

    @pytest.mark.usefixtures("los_demo")
    def test_all_that_it_shares_with_production_is_protected_and_its_own_core_is_not(
        self, daemon: Harness
    ) -> None:
        with daemon.daemon.client() as client:
            client.headers["Authorization"] = f"Bearer {ANA.token}"
            plan = client.post("/api/v1/plans", json={"environment": SANDBOX}).raise_for_status().json()
        protected = {one["name"]: one["protected"] for one in plan["resources"]}
        assert protected == {
            "data-builder": True,
            "integrations": True,
            "los-demo-workflows": True,
            "los-sandbox": False,
            "sequence-builder": True,
            "ui-builder": True,
            "workflow-builder": True,
        }

    def test_a_failed_one_is_resumed_by_a_person_and_not_by_an_event(
        self, daemon: Harness, los_demo: Platform
    ) -> None:
        los_demo.control(PRODUCTION, "ui-builder-api", seed=Control(fail="the seed is broken"))
        reference = ask(daemon, ANA, PRODUCTION, **QUICK)
        asked = until_asked(daemon, reference)
        act(daemon, BEN, reference, "approve", planHash=asked["planHash"])
        failed = daemon.wait_state(reference, "failed")
        assert failed["stoppedAt"] == "seed.ui-builder-api.seed"
        los_demo.control(PRODUCTION, "ui-builder-api", seed=Control(seconds=0.05))
        before = commands(los_demo)
        daemon.publisher.publish(
            ResumeRequested(environment=PRODUCTION, reset_id=failed["id"], requested_by="ben")
        )

        def refused() -> bool:
            lines = [json.loads(one) for one in daemon.daemon.log.read_text().splitlines()]
            return any(
                one["event"] == "act.refused" and one["reason"] == "consent-needs-a-token" for one in lines
            )

        wait_for(refused, "the event is refused", within=SOON)
        assert daemon.reset(reference)["state"] == "failed"
        assert commands(los_demo) == before
        assert refusal(act(daemon, BEN, reference, "resume")) == (403, "forbidden")
        assert act(daemon, DAN, reference, "resume", reason="mended").status_code == 202
        wait_for(lambda: daemon.reset(reference)["state"] != "failed", "it goes on", within=SOON)
        again = until_asked(daemon, reference)
        assert commands(los_demo) == before
        assert act(daemon, BEN, reference, "approve", planHash=again["planHash"]).status_code == 202
        done = daemon.wait_state(reference, "done")
        assert daemon.launches(done["id"])[f"{done['id']}/seed.ui-builder-api.seed/2"] == 1


@pytest.mark.timeout(240)
def test_what_nobody_approves_in_time_is_cancelled_also_when_the_daemon_is_killed_meanwhile(
    los_demo: Platform, tmp_path: Path
) -> None:
    before = commands(los_demo)
    short = settings(tmp_path, PEOPLE) | {"RESETD_APPROVAL_TTL": "3s"}
    with running(los_demo, tmp_path, settings=short) as harness:
        reference = ask(harness, ANA, PRODUCTION, **QUICK)
        asked = until_asked(harness, reference)
        assert asked["approvals"]["expiresAt"]
        harness.daemon.kill()
        harness.start()
        expired = harness.wait_state(reference, "cancelled", within=SOON)
        assert expired["cause"] == "approval-expired"
        late = act(harness, BEN, reference, "approve", planHash=asked["planHash"])
        assert refusal(late) == (409, "wrong-state")
        assert untouched(harness, reference, before)
