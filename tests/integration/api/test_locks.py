"""Who holds what, who waits for it behind whom, and since when."""

from __future__ import annotations

import asyncio

from tests.integration.api.stand import Stand


async def test_who_waits_is_shown_with_what_for_behind_whom_and_since_when(stand: Stand) -> None:
    stand.held["seed:system"] = asyncio.Event()
    first = await stand.asked()
    await stand.until(first, "seeding")
    second = await stand.asked(mode="seed")
    third = await stand.asked(mode="wipe")

    async def behind(reset_id: str, count: int) -> list[str]:
        async with asyncio.timeout(30), stand.client("oli") as client:
            while True:
                rows = (await client.get("/locks")).json()
                for row in rows:
                    if row["resetId"] == reset_id and len(row["waitsFor"]) == count:
                        assert not row["granted"]
                        assert row["since"]
                        return list(row["waitsFor"])
                await asyncio.sleep(0.02)

    assert await behind(second["id"], 1) == [first["id"]]
    assert await behind(third["id"], 2) == [first["id"], second["id"]]
    async with stand.client("oli") as client:
        rows = (await client.get("/locks")).json()
        held = [row for row in rows if row["granted"]]
        assert {row["reference"] for row in held} == {"qa-sandbox/1"}
        assert all(row["waitsFor"] == [] and row["since"] for row in held)
        [waiting] = [
            reset for reset in (await client.get("/resets")).json()["items"] if reset["id"] == second["id"]
        ]
    assert waiting["waitingFor"]["reason"] == "locks"
    assert waiting["waitingFor"]["heldBy"] == [first["id"]]


async def test_locks_of_environments_that_the_token_is_not_for_are_not_shown(stand: Stand) -> None:
    stand.held["seed:system"] = asyncio.Event()
    reset = await stand.asked()
    await stand.until(reset, "seeding")
    async with stand.client("vera") as vera:
        assert {row["environment"] for row in (await vera.get("/locks")).json()} == {"qa-sandbox"}
