"""Consents, dumps and names have an end: after a stop, with time, and where a topic only claims them.

Each test is named after its row of `docs/field.md`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sandbox.platform.platform import Platform
from sandbox.services.standins.controls import Control
from schemas.publish import CancelRequested, ResetRequested
from tests.integration.people.consenting import (
    ANA,
    BEN,
    CLEO,
    DAN,
    EVE,
    FAY,
    GUS,
    PEOPLE,
    PRODUCTION,
    QUICK,
    SANDBOX,
    SOON,
    ask,
    commands,
    until_asked,
    until_given,
    untouched,
)
from tests.integration.people.people import act, call, refusal, settings
from tests.integration.stand.harness import Harness, running
from tests.integration.stand.waiting import wait_for

MENDED = "mended_by_people"
TWO = {"mode": "wipe", "services": ["sequence-builder-api", "ui-builder-api"], "git": True}
BROKEN = "seed.ui-builder-api.seed"


@pytest.fixture(scope="module")
def daemon(los_demo: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """One daemon for the tests that need no settings of their own."""
    directory = tmp_path_factory.mktemp("ends")
    with running(los_demo, directory, settings=settings(directory, PEOPLE)) as harness:
        yield harness


def agreed(harness: Harness, reference: str) -> None:
    asked = until_asked(harness, reference)
    answer = act(harness, BEN, reference, "approve", planHash=asked["planHash"])
    assert answer.status_code == 202, answer.text


def dumps(harness: Harness, reference: str) -> dict[str, list[dict[str, Any]]]:
    """Name of a database -> its dumps by this reset, the first one first."""
    found = harness.daemon.get(f"/api/v1/backups?reset={harness.reset(reference)['id']}")
    names = {one["resource"].rpartition("/")[2] for one in found}
    return {
        name: [one for one in reversed(found) if one["resource"].rpartition("/")[2] == name] for name in names
    }


def tables(platform: Platform, service: str) -> set[str]:
    with psycopg.connect(platform.postgres_url(PRODUCTION, service).partition("?")[0]) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {str(row[0]) for row in rows}


@pytest.mark.timeout(480)
def test_d1_a_production_that_failed_half_way_is_not_destroyed_again_on_the_old_consent_and_dump(
    daemon: Harness, los_demo: Platform
) -> None:
    los_demo.control(PRODUCTION, "ui-builder-api", seed=Control(fail="the seed is broken"))
    reference = ask(daemon, ANA, PRODUCTION, **TWO)
    agreed(daemon, reference)
    assert daemon.wait_state(reference, "failed")["stoppedAt"] == BROKEN
    los_demo.control(PRODUCTION, "ui-builder-api", seed=Control(seconds=0.05))
    with psycopg.connect(los_demo.postgres_url(PRODUCTION, "ui-builder-api").partition("?")[0]) as connection:
        connection.execute(f"CREATE TABLE {MENDED} (word text)".encode())
    before, first = commands(los_demo), dumps(daemon, reference)
    # Who asked is an operator, too, and nobody else is there.
    again = {"from": "seed.ui-builder-api.reset", "force": True, "reason": "go on"}
    answer = act(daemon, ANA, reference, "resume", **again)
    assert answer.status_code == 202, answer.text
    wait_for(lambda: daemon.reset(reference)["state"] != "failed", "it goes on", within=SOON)
    asked = until_asked(daemon, reference)
    assert (asked["approvals"]["given"], asked["destroyed"]) == ([], True)
    assert commands(los_demo) == before
    assert dumps(daemon, reference) == first
    assert MENDED in tables(los_demo, "ui-builder-api")
    own = act(daemon, ANA, reference, "approve", planHash=asked["planHash"])
    assert own.status_code in (403, 409)
    agreed(daemon, reference)
    daemon.wait_state(reference, "done")
    old, new = dumps(daemon, reference)["ui-builder"]
    assert (old, old["first"], new["first"], new["stops"] > old["stops"]) == (
        first["ui-builder"][0],
        True,
        False,
        True,
    )
    shown = [daemon.daemon.directory / "backups" / one["path"] for one in (old, new)]
    assert [MENDED.encode() in path.read_bytes() for path in shown] == [False, True]
    assert dumps(daemon, reference)["sequence-builder"] == first["sequence-builder"]


@pytest.mark.timeout(480)
def test_d1_what_is_left_after_a_cancel_needs_a_new_consent_and_a_new_dump_too(
    daemon: Harness, los_demo: Platform
) -> None:
    """Another input of the kind: another stop, and a seed and a repository are left instead of a wipe."""
    los_demo.control(PRODUCTION, "ui-builder-api", seed=Control(seconds=60.0))
    reference = ask(daemon, ANA, PRODUCTION, mode="refresh", services=["ui-builder-api"])
    agreed(daemon, reference)
    daemon.wait_state(reference, "seeding")

    def seeds() -> bool:
        steps = {one["name"]: one["state"] for one in daemon.reset(reference)["steps"]}
        return bool(steps[BROKEN] == "running")

    wait_for(seeds, "it seeds", within=SOON)
    assert act(daemon, DAN, reference, "cancel", reason="not today").status_code == 202
    daemon.wait_state(reference, "cancelled")
    los_demo.control(PRODUCTION, "ui-builder-api", seed=Control(seconds=0.05))
    before, first = commands(los_demo), dumps(daemon, reference)
    assert act(daemon, DAN, reference, "resume", reason="go on").status_code == 202
    wait_for(lambda: daemon.reset(reference)["state"] != "cancelled", "it goes on", within=SOON)
    until_asked(daemon, reference)
    assert (commands(los_demo), dumps(daemon, reference)) == (before, first)
    agreed(daemon, reference)
    daemon.wait_state(reference, "done")
    assert len(dumps(daemon, reference)["ui-builder"]) == 2


@pytest.mark.timeout(240)
def test_d2_a_consent_that_waited_too_long_for_its_moment_is_asked_for_again(
    los_demo: Platform, tmp_path: Path
) -> None:
    short = settings(tmp_path, PEOPLE) | {"RESETD_APPROVAL_TTL": "6s"}
    with running(los_demo, tmp_path, settings=short) as harness:
        before = commands(los_demo)
        moment = datetime.now(UTC) + timedelta(seconds=20)
        reference = ask(harness, ANA, PRODUCTION, **QUICK, notBefore=moment.isoformat())
        agreed(harness, reference)
        queued = harness.wait_state(reference, "queued", within=SOON)
        assert queued["approvals"]["expiresAt"] < moment.isoformat()
        again = harness.wait_state(reference, "awaiting-approval", within=60.0)
        assert datetime.now(UTC) >= moment
        assert (again["cause"], again["approvals"]["given"]) == ("approval-expired", [])
        assert untouched(harness, reference, before)
        agreed(harness, reference)
        done = harness.wait_state(reference, "done")
        assert done["cause"] is None
        told = [one["state"] for one in harness.status(done["id"], "done") if "step" not in one]
        assert told.count("awaiting-approval") == 2


@pytest.mark.timeout(240)
def test_d4_an_event_in_an_approvers_name_ends_no_production_and_takes_no_right_away(
    daemon: Harness, los_demo: Platform
) -> None:
    before = commands(los_demo)
    wanted = QUICK | {"reason": "claimed"}
    reference = ask(daemon, ANA, PRODUCTION, **wanted)
    asked = until_asked(daemon, reference)
    daemon.publisher.publish(ResetRequested(environment=PRODUCTION, requested_by="ben", **wanted))
    wait_for(lambda: "ben" in daemon.reset(reference)["requestedBy"], "ben is said to join", within=SOON)
    daemon.publisher.publish(
        CancelRequested(environment=PRODUCTION, reset_id=asked["id"], requested_by="ben")
    )

    def refused() -> bool:
        lines = [json.loads(one) for one in daemon.daemon.log.read_text().splitlines()]
        return any(
            one["event"] == "act.refused"
            and (one["act"], one["reason"]) == ("cancel", "consent-needs-a-token")
            for one in lines
        )

    wait_for(refused, "the event is refused", within=SOON)
    assert daemon.reset(reference)["state"] == "awaiting-approval"
    assert untouched(daemon, reference, before)
    agreed(daemon, reference)
    daemon.wait_state(reference, "done")


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("los_demo")
def test_d4_an_idempotency_key_belongs_to_its_channel_and_environment(daemon: Harness) -> None:
    """Another input of the kind: the key of somebody else is no way to answer or refuse their request."""
    key = "deploy-4711"
    over_http = ask(daemon, ANA, PRODUCTION, **QUICK, reason="by hand", idempotencyKey=key)
    elsewhere = ask(daemon, ANA, SANDBOX, **QUICK, reason="elsewhere", idempotencyKey=key)
    assert elsewhere != over_http
    known = {one["id"] for one in daemon.resets(PRODUCTION)}
    daemon.publisher.publish(
        ResetRequested(
            environment=PRODUCTION, requested_by="ana", **QUICK, reason="an event", idempotency_key=key
        )
    )

    def look() -> dict[str, Any] | None:
        return next((one for one in daemon.resets(PRODUCTION) if one["id"] not in known), None)

    over_kafka = wait_for(look, "another reset", within=SOON)
    assert over_kafka["state"] != "rejected"
    for reference in (over_http, elsewhere, over_kafka["reference"]):
        until_asked(daemon, reference)
        assert act(daemon, CLEO, reference, "deny", reason="tests").status_code == 202
        daemon.wait_state(reference, "denied")


@pytest.mark.timeout(240)
def test_d5_who_joined_may_not_cancel_and_who_asked_first_may_until_work_begins(
    daemon: Harness, los_demo: Platform
) -> None:
    wanted = QUICK | {"reason": "whose"}
    reference = ask(daemon, FAY, PRODUCTION, **wanted)
    until_asked(daemon, reference)
    assert ask(daemon, GUS, PRODUCTION, **wanted) == reference
    assert refusal(act(daemon, GUS, reference, "cancel", reason="mine, too")) == (403, "forbidden")
    assert daemon.reset(reference)["state"] == "awaiting-approval"
    assert act(daemon, FAY, reference, "cancel", reason="my own").status_code == 202
    daemon.wait_state(reference, "cancelled")
    los_demo.control(PRODUCTION, "ui-builder-api", seed=Control(seconds=30.0))
    reference = ask(daemon, FAY, PRODUCTION, **QUICK, reason="at work")
    agreed(daemon, reference)
    daemon.wait_state(reference, "seeding")
    assert refusal(act(daemon, FAY, reference, "cancel", reason="too late")) == (403, "forbidden")
    assert act(daemon, DAN, reference, "cancel", reason="an operator may").status_code == 202
    daemon.wait_state(reference, "cancelled")
    los_demo.clear_controls()


@pytest.mark.timeout(240)
def test_d5_who_asked_over_kafka_in_a_name_gives_that_name_no_right_to_cancel(
    daemon: Harness, los_demo: Platform
) -> None:
    """Another input of the kind: the first requester is only claimed."""
    before = commands(los_demo)
    wanted = QUICK | {"reason": "in another's name"}
    known = {one["id"] for one in daemon.resets(SANDBOX)}
    daemon.publisher.publish(ResetRequested(environment=SANDBOX, requested_by="gus", **wanted))

    def look() -> str | None:
        return next((one["reference"] for one in daemon.resets(SANDBOX) if one["id"] not in known), None)

    reference = wait_for(look, "a reset", within=SOON)
    until_asked(daemon, reference)
    assert refusal(act(daemon, GUS, reference, "cancel", reason="mine?")) == (403, "forbidden")
    assert call(daemon, GUS, "/api/v1/resets", environment=SANDBOX, **wanted).status_code == 202
    assert refusal(act(daemon, GUS, reference, "cancel", reason="joined")) == (403, "forbidden")
    plan_hash = daemon.reset(reference)["planHash"]
    assert act(daemon, CLEO, reference, "approve", planHash=plan_hash).status_code == 202
    until_given(daemon, reference, CLEO)
    assert untouched(daemon, reference, before)
    assert act(daemon, EVE, reference, "deny", reason="tests").status_code == 202
    daemon.wait_state(reference, "denied")
