"""A table that the last wipe filled and that stays empty stops a reset, although tools exit 0; `accept` goes on."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from sandbox.services.standins.controls import Control
from tests.integration.people.asking import ENVIRONMENT, SEEDED, SOON, ask, launched, resetd, step
from tests.integration.stand.harness import Harness
from tests.integration.stand.waiting import wait_for

SEQUENCE = "sequence-builder-api"
WORKFLOW = "workflow-api"
SEED = SEEDED[SEQUENCE]
FIRST_TABLE = 1
"""Rows that the seed writes into the first of its tables."""
CHECK = "learned.sequence-builder"


def wipe(harness: Harness) -> str:
    return ask(harness, SEQUENCE, mode="wipe", git=False)


@pytest.mark.timeout(480)
def test_a1_a_table_that_the_last_wipe_filled_and_that_is_empty_now_stops_until_a_person_accepts(
    harness: Harness,
) -> None:
    first = wipe(harness)
    harness.wait_state(first, "done")
    plan: dict[str, Any] = harness.daemon.get(f"/api/v1/resets/{first}/plan")
    (planned,) = [one for one in plan["steps"] if one["name"] == SEED]
    assert {"emptied": True} in [check["learned"] for check in planned["checks"]]
    assert launched(harness, first, SEED) == [1]
    filled = step(harness, first, SEED)["outcome"]["facts"]["tables"][CHECK]["filled"]
    assert filled == ["public.sequence_steps", "public.sequences"]

    # The other team's seed writes one table less, and says nothing of it.
    silent = Control(fail="nobody reads this", fail_after_rows=FIRST_TABLE, exits_zero=True, hides_error=True)
    harness.platform.control(ENVIRONMENT, SEQUENCE, seed=silent)
    second = wipe(harness)
    failed = harness.wait_state(second, "failed")
    assert (failed["stoppedAt"], failed["cause"]) == (SEED, "tables-empty")
    assert f"expected rows in each of {len(filled)} tables" in failed["detail"]
    assert "found public.sequence_steps empty" in failed["detail"]
    assert f"resetd accept ID {CHECK}" in failed["hint"]

    # Nobody accepts without a reason, or what did not fail.
    assert harness.act(second, "accept", check=CHECK).status_code == 422
    refused = harness.act(second, "accept", check="learned.core", reason="so be it")
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/not-acceptable")
    assert f"{CHECK} can be accepted" in refused.json()["detail"]

    accepted = resetd(harness, "accept", second, CHECK, "--reason", "the other team moved it", "--yes")
    assert accepted.returncode == 0, accepted.stderr
    harness.daemon.kill()
    harness.start()
    wait_for(lambda: harness.reset(second)["state"] != "failed", "the act is applied", within=SOON)
    harness.wait_state(second, "done")
    assert launched(harness, second, SEED) == [1]
    assert step(harness, second, SEED)["outcome"]["detail"].endswith("the other team moved it")

    third = wipe(harness)
    harness.wait_state(third, "done")
    (line,) = [
        one
        for one in json.loads(resetd(harness, "audit", "-o", "json").stdout)
        if one["action"] == "accept" and one["verdict"] == "applied"
    ]
    assert line["facts"]["check"] == CHECK


@pytest.mark.timeout(480)
def test_a1_a_table_that_people_made_is_left_by_the_wipe_of_typeorm_and_never_learned(
    harness: Harness,
) -> None:
    url = harness.platform.postgres_url(ENVIRONMENT, WORKFLOW).partition("?")[0]

    def execute(statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    execute("DROP TABLE IF EXISTS people_notes; CREATE TABLE people_notes (note text)")
    execute("INSERT INTO people_notes VALUES ('mine')")
    try:
        first = ask(harness, WORKFLOW, mode="wipe", git=False)
        harness.wait_state(first, "done")
        warnings = harness.daemon.get(f"/api/v1/resets/{first}/plan")["warnings"]
        assert not any("All tables of" in warning for warning in warnings)
        assert any(f"The migrations of {WORKFLOW} are undone" in warning for warning in warnings)
        assert execute("SELECT note FROM people_notes") == [("mine",)]
        execute("DELETE FROM people_notes")
        second = ask(harness, WORKFLOW, mode="wipe", git=False)
        harness.wait_state(second, "done")
    finally:
        execute("DROP TABLE people_notes")
