"""Requests for environments that do not exist: told to whoever asked, and then all but forgotten."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from sandbox.events import read_until
from sandbox.platform.platform import Platform
from schemas.publish import ResetRequested, to_kafka
from schemas.retention import Retention
from tests.integration.stand.harness import Harness, running
from tests.integration.stand.waiting import wait_for

EVENTS = 400
NAMES = ("no{}-sandbox", "../{}")
CAUSES = ("unknown-environment", "unknown-kind")
TABLES = ("resets", "history", "outbox", "seen_events", "audit", "audit_heads", "environments")


def rows(directory: Path, table: str) -> int:
    """Count the rows of a table in the daemon's own file."""
    [file] = directory.rglob("state.sqlite3")
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as state:
        [number] = state.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - a constant
    return int(number)


def flood(harness: Harness) -> None:
    """Publish all events in few batches, as a busy producer does."""
    producer = Producer({"bootstrap.servers": harness.platform.bootstrap, "linger.ms": 500, "log_level": 0})
    for number in range(EVENTS):
        request = ResetRequested(
            environment=NAMES[number % len(NAMES)].format(number), requested_by="outsider"
        )
        key, value, headers = to_kafka(request, source="/outside", event_id=f"event-{number}")
        producer.produce(harness.topics["requests"], value=value, key=key, headers=list(headers))
    assert producer.flush(15) == 0


def told_causes(harness: Harness) -> set[str]:
    """Read that each event was told to be rejected, and return why."""

    def told(seen: list[Any]) -> list[dict[str, Any]]:
        statuses = [json.loads(one.value or b"null") for one in seen]
        return [one for one in statuses if one["state"] == "rejected"]

    seen = read_until(
        harness.platform.bootstrap,
        harness.topics["status"],
        lambda seen: len({one["request"]["id"] for one in told(seen)}) == EVENTS,
        within=20,
    )
    found = told(seen)
    assert len({one["request"]["id"] for one in found}) == EVENTS
    return {one["cause"] for one in found}


@pytest.mark.timeout(280)
def test_h5_events_for_environments_that_do_not_exist_leave_a_bounded_number_of_rows(
    platform: Platform, tmp_path: Path
) -> None:
    most = Retention().most_unknown
    with running(platform, tmp_path) as harness:
        flood(harness)
        left = EVENTS - most
        wait_for(lambda: rows(tmp_path, "refusals") == left, "old rows go", within=200, every=0.5)
        # The environment's row goes once nothing refers to it.
        wait_for(lambda: rows(tmp_path, "environments") <= most, "environments go", within=30, every=0.5)
        assert told_causes(harness) == set(CAUSES)
        for table in TABLES:
            assert rows(tmp_path, table) <= 2 * most, table
        listed = harness.daemon.get("/api/v1/refusals?limit=1000")
        assert len(listed) == left
        assert {(one["count"], one["requestedBy"]) for one in listed} == {(1, "outsider")}
        assert {one["reason"] for one in listed} == set(CAUSES)
        harness.daemon.kill()
        harness.start()
        assert len(harness.daemon.get("/api/v1/refusals?limit=1000")) == left
