"""Requests for environments that do not exist: told to whoever asked, and then all but forgotten."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sandbox.events import read_until
from sandbox.platform.platform import Platform
from schemas.publish import ResetRequested, to_kafka
from schemas.retention import Retention
from tests.integration.stand.harness import Harness, running
from tests.integration.stand.waiting import wait_for

EVENTS = 400
TABLES = ("resets", "history", "outbox", "seen_events", "audit", "audit_heads", "environments")


def rows(directory: Path, table: str) -> int:
    """Count the rows of a table in the daemon's own file."""
    [file] = directory.rglob("state.sqlite3")
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as state:
        [number] = state.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - a constant
    return int(number)


def flood(harness: Harness, name: str) -> None:
    for number in range(EVENTS):
        request = ResetRequested(environment=name.format(number), requested_by="outsider")
        key, value, headers = to_kafka(request, source="/outside", event_id=f"event-{number}")
        harness.publisher.send(harness.topics["requests"], key, value, headers)
    harness.publisher.flush()


def until_rejected(harness: Harness) -> set[str]:
    """Wait until each event was told to be rejected, and return why."""

    def told(seen: list[Any]) -> list[dict[str, Any]]:
        statuses = [json.loads(one.value or b"null") for one in seen]
        return [one for one in statuses if one["state"] == "rejected"]

    seen = read_until(
        harness.platform.bootstrap,
        harness.topics["status"],
        lambda seen: len({one["request"]["id"] for one in told(seen)}) == EVENTS,
        within=120,
    )
    found = told(seen)
    assert len({one["request"]["id"] for one in found}) == EVENTS
    return {one["cause"] for one in found}


@pytest.mark.timeout(280)
@pytest.mark.parametrize(
    ("name", "cause"), [("no{}-sandbox", "unknown-environment"), ("../{}", "unknown-kind")]
)
def test_h5_events_for_environments_that_do_not_exist_leave_a_bounded_number_of_rows(
    platform: Platform, tmp_path: Path, name: str, cause: str
) -> None:
    most = Retention().most_unknown
    with running(platform, tmp_path) as harness:
        flood(harness, name)
        assert until_rejected(harness) == {cause}
        # The environment's row goes once nothing refers to it.
        wait_for(lambda: rows(tmp_path, "environments") <= most, "old rows are gone", within=90, every=0.5)
        for table in TABLES:
            assert rows(tmp_path, table) <= 2 * most, table
        assert rows(tmp_path, "refusals") == EVENTS - most
        listed = harness.daemon.get("/api/v1/refusals?limit=1000")
        assert len(listed) == EVENTS - most
        assert {(one["reason"], one["count"], one["requestedBy"]) for one in listed} == {
            (cause, 1, "outsider")
        }
        harness.daemon.kill()
        harness.start()
        assert len(harness.daemon.get("/api/v1/refusals?limit=1000")) == EVENTS - most
