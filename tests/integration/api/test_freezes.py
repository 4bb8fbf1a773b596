"""People freeze environments by the API, and resets wait for the end of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.api.stand import Stand
from tests.integration.api.test_command_line import CommandLine, resetd

__all__ = ["resetd"]
HOUR = timedelta(hours=1)


def asked(
    environment: str | None = "qa-sandbox", lasts: timedelta = HOUR, **more: object
) -> dict[str, object]:
    scope = {"all": True} if environment is None else {"environment": environment}
    return {**scope, "reason": "month's end", "expiresAt": (datetime.now(UTC) + lasts).isoformat(), **more}


async def test_a_reset_waits_in_the_queue_until_a_person_ends_the_freeze(stand: Stand) -> None:
    async with stand.client("oli") as oli:
        given = await oli.post("/freeze", json=asked())
        assert given.status_code == 201, given.text
        reset = await stand.asked()
        while not (found := (await oli.get(f"/resets/{reset['id']}")).json())["waitingFor"]:
            assert found["state"] in {"planning", "queued"}
        assert found["state"] == "queued"
        assert found["waitingFor"]["reason"] == "freeze"
        assert found["waitingFor"]["detail"].startswith("oli froze qa-sandbox until")
        assert found["waitingFor"]["until"] == given.json()["expiresAt"]
        shown = (await oli.get("/environments/qa-sandbox")).json()
        assert [each["id"] for each in shown["freezes"]] == [given.json()["id"]]
        [ended] = (await oli.post("/unfreeze", json={"environment": "qa-sandbox"})).json()
        assert (ended["id"], ended["inForce"], ended["endedBy"]) == (given.json()["id"], False, "oli")
        assert (await oli.get("/freezes")).json() == []
        assert len((await oli.get("/freezes?ended=true")).json()) == 1
    await stand.until(reset, "done")


@pytest.mark.parametrize(
    ("person", "environment", "answer"),
    [
        ("ana", "qa-sandbox", 403),
        ("ben", "qa-sandbox", 403),
        ("vera", "qa-sandbox", 403),
        ("oli", None, 403),
        ("oli", "nobody-sandbox", 404),
        ("ada", None, 201),
        ("ada", "qa-sandbox", 201),
        ("oli", "los-demo-production", 201),
    ],
)
async def test_who_may_freeze_what(stand: Stand, person: str, environment: str | None, answer: int) -> None:
    async with stand.client(person) as client:
        given = await client.post("/freeze", json=asked(environment))
        assert given.status_code == answer, given.text
        scope = {"all": True} if environment is None else {"environment": environment}
        ended = await client.post("/unfreeze", json=scope)
        assert ended.status_code == {201: 200, 404: 409}.get(answer, answer)
    async with stand.client("ada") as ada:
        verdicts = [
            line["verdict"] for line in (await ada.get("/audit")).json() if "freeze" in line["action"]
        ]
    assert len(verdicts) == 2
    assert ("applied" in verdicts) is (answer == 201)


@pytest.mark.parametrize(
    "body",
    [
        asked(lasts=-HOUR),
        asked(lasts=31 * 24 * HOUR),
        asked(reason=""),
        asked(all=True),
        asked() | {"environment": None},
        asked() | {"expiresAt": "2026-12-01T18:00:00"},
        asked(surprise=1),
    ],
)
async def test_a_body_that_says_too_little_or_too_much_is_refused(
    stand: Stand, body: dict[str, object]
) -> None:
    async with stand.client("ada") as ada:
        answer = await ada.post("/freeze", json=body)
        assert answer.status_code == 422
        assert (await ada.get("/freezes?ended=true")).json() == []


async def test_the_command_line_says_until_when_with_its_zone(resetd: CommandLine) -> None:
    words = ("--until", "2126-12-01 18:00 Europe/Berlin", "--reason", "month's end", "--yes")
    late = await resetd.run("freeze", "qa-sandbox", *words, person="oli")
    assert (late.code, "at most" in late.err) == (2, True)
    frozen = await resetd.run(
        "freeze", "qa-sandbox", "--until", "2h", "--reason", "month's end", "--yes", person="oli"
    )
    assert frozen.code == 0, frozen.err
    assert "qa-sandbox frozen until 20" in frozen.out
    assert "UTC" in frozen.out
    listed = await resetd.run("freeze", "--list", "-o", "json", person="oli")
    [row] = listed.json
    assert (row["environment"], row["givenBy"]) == ("qa-sandbox", "oli")
    both = await resetd.run("unfreeze", "qa-sandbox", "--all", "--yes", person="oli")
    assert both.code == 2
    ended = await resetd.run("unfreeze", "qa-sandbox", "--yes", person="oli")
    assert (ended.code, "not frozen any more" in ended.out) == (0, True)
    again = await resetd.run("unfreeze", "qa-sandbox", "--yes", person="oli")
    assert (again.code, "not-frozen" in again.err) == (3, True)


async def test_a_freeze_now_says_first_who_pauses_and_then_pauses_it(resetd: CommandLine) -> None:
    stand = resetd.stand
    stand.held["seed:system"] = asyncio.Event()
    reset = await stand.asked()
    await stand.until(reset, "seeding")
    async with stand.client("oli") as oli:
        said = (await oli.post("/freeze", json=asked(now=True, dryRun=True))).json()
        assert (said["inForce"], said["now"]) == (False, True)
        assert [(each["reference"], each["state"]) for each in said["pauses"]] == [
            ("qa-sandbox/1", "seeding")
        ]
        assert (await oli.get("/freezes")).json() == []
        words = ("--until", "2h", "--reason", "stop", "--now", "--yes")
        frozen = await resetd.run("freeze", "qa-sandbox", *words, person="oli")
        assert frozen.code == 0, frozen.err
        assert "pauses qa-sandbox/1 (seeding), half rebuilt until 20" in frozen.err
        # In this stand no sweeper runs: any look at freezes does.
        await stand.restraints.look()
        stand.held["seed:system"].set()
        paused = await stand.until(reset, "paused")
        shown = (await oli.get("/environments/qa-sandbox")).json()
        assert (shown["running"]["state"], paused["destroyed"]) == ("paused", True)
        assert (await oli.post("/unfreeze", json={"environment": "qa-sandbox"})).status_code == 200
    await stand.until(reset, "done")
