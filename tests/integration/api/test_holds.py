"""People hold environments by the API: who may, what waits, and who ends it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.api.stand import Stand
from tests.integration.api.test_command_line import CommandLine, resetd

__all__ = ["resetd"]
HOLD = "/environments/qa-sandbox/hold"
UNHOLD = "/environments/qa-sandbox/unhold"


def asked(lasts: timedelta = timedelta(hours=1), **more: object) -> dict[str, object]:
    return {"reason": "a demo", "expiresAt": (datetime.now(UTC) + lasts).isoformat(), **more}


async def test_resets_wait_and_plans_are_answered_until_the_person_gives_it_back(stand: Stand) -> None:
    async with stand.client("oli") as oli:
        given = await oli.post(HOLD, json=asked())
        assert given.status_code == 201, given.text
        assert given.json()["grantedAt"]
        assert any(key.startswith("database/") for key in given.json()["keys"])
        reset = await stand.asked()
        while not (found := (await oli.get(f"/resets/{reset['id']}")).json())["waitingFor"]:
            assert found["state"] in {"planning", "queued"}
        assert found["waitingFor"]["reason"] == "hold"
        assert found["waitingFor"]["detail"].startswith("oli holds qa-sandbox until")
        assert (await oli.post("/plans", json={"environment": "qa-sandbox"})).status_code == 200
        shown = (await oli.get("/environments/qa-sandbox")).json()
        assert shown["hold"]["id"] == given.json()["id"]
        async with stand.client("vera") as vera:
            assert (await vera.post(UNHOLD, json={})).status_code == 403
            assert len((await vera.get("/holds")).json()) == 1
        ended = await oli.post(UNHOLD, json={"reason": "done"})
        assert (ended.status_code, ended.json()["endedBy"]) == (200, "oli")
        assert (await oli.post(UNHOLD, json={})).json()["code"] == "not-held"
    await stand.until(reset, "done")


async def test_while_a_reset_is_at_work_it_is_refused_or_comes_after_it(stand: Stand) -> None:
    stand.held["seed:system"] = asyncio.Event()
    reset = await stand.asked()
    await stand.until(reset, "seeding")
    async with stand.client("oli") as oli:
        refused = await oli.post(HOLD, json=asked())
        assert (refused.status_code, refused.json()["code"]) == (409, "reset-at-work")
        assert refused.json()["detail"].startswith("qa-sandbox/1 is at work")
        waiting = (await oli.post(HOLD, json=asked(after=True))).json()
        assert (waiting["grantedAt"], waiting["atWork"]) == (None, [reset["id"]])
        verdicts = [line["verdict"] for line in (await oli.get("/audit")).json() if line["action"] == "hold"]
        assert verdicts == ["applied", "refused"]
    stand.held["seed:system"].set()
    await stand.until(reset, "done")


@pytest.mark.parametrize(
    ("person", "name", "body", "answer"),
    [
        ("ana", "qa-sandbox", asked(), 403),
        ("ben", "qa-sandbox", asked(), 403),
        ("oli", "nobody-sandbox", asked(), 404),
        ("oli", "qa-sandbox", asked(timedelta(hours=-1)), 422),
        ("oli", "qa-sandbox", asked(timedelta(days=31)), 422),
        ("oli", "qa-sandbox", {"expiresAt": "2999-01-01T00:00:00Z"}, 422),
    ],
)
async def test_who_may_not_or_says_too_little_holds_nothing(
    stand: Stand, person: str, name: str, body: dict[str, object], answer: int
) -> None:
    async with stand.client(person) as client:
        assert (await client.post(f"/environments/{name}/hold", json=body)).status_code == answer
    assert await stand.store.holds() == ()


async def test_the_command_line_holds_and_gives_back(resetd: CommandLine) -> None:
    held = await resetd.run("hold", "qa-sandbox", "--until", "2h", "--reason", "a demo", person="oli")
    assert held.code == 0, held.err
    assert "qa-sandbox is yours until 20" in held.out
    [row] = (await resetd.run("hold", "--list", "-o", "json", person="oli")).json
    assert (row["holder"], row["environment"], row["inForce"]) == ("oli", "qa-sandbox", True)
    ended = await resetd.run("unhold", "qa-sandbox", "--yes", person="oli")
    assert (ended.code, "not held any more" in ended.out) == (0, True)
    again = await resetd.run("unhold", "qa-sandbox", "--yes", person="oli")
    assert (again.code, "not-held" in again.err) == (3, True)
