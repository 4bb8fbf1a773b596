"""Who waits, who joins, who is turned away, who comes too late, and who is not tried for ever."""

from __future__ import annotations

import asyncio
from pathlib import Path

from daemon.adapters.system.clock import SystemClock
from daemon.engine.driver import POISON
from tests.contract.store.making import admitted, asked
from tests.integration.api.stand import Stand, running
from tests.memory.store import MemoryStore


async def test_an_identical_request_joins_one_that_waits_and_never_one_that_runs(stand: Stand) -> None:
    stand.held["seed:system"] = asyncio.Event()
    first = await stand.asked()
    await stand.until(first, "seeding")
    second = await stand.asked("pat")
    third = await stand.asked("ana")
    assert second["id"] != first["id"]
    assert third["id"] == second["id"]
    assert third["requestedBy"] == ["pat", "ana"]
    async with stand.client("oli") as client:
        [line] = [entry for entry in (await client.get("/audit")).json() if entry["action"] == "join"]
    assert (line["actor"], line["resetId"]) == ("ana", second["id"])


async def test_past_the_queues_length_an_environment_is_busy(stand: Stand) -> None:
    stand.held["seed:system"] = asyncio.Event()
    first = await stand.asked()
    await stand.until(first, "seeding")
    for number in range(3):
        await stand.asked(reason=f"number {number}")
    async with stand.client("ana") as client:
        wanted = {"environment": "qa-sandbox", "reason": "one too many"}
        refused = await client.post("/resets", json=wanted)
        assert (refused.status_code, refused.json()["code"]) == (409, "environment-busy")
        [line] = [entry for entry in (await client.get("/audit")).json() if entry["verdict"] == "refused"]
    assert (line["code"], line["reason"]) == ("environment-busy", "one too many")


async def test_a_failed_reset_is_not_resumed_once_a_later_one_has_touched_its_resources(stand: Stand) -> None:
    stand.failing["seed:system"] = b"Error: the roles are broken\n"
    first = await stand.asked()
    await stand.until(first, "failed")
    stand.failing.clear()
    second = await stand.asked(mode="seed")
    await stand.until(second, "done")
    launched = len(stand.pods.launched)
    async with stand.client("oli") as client:
        for body in ({}, {"replan": True}, {"from": "seed.los-core-api.system", "force": True}):
            refused = await client.post(f"/resets/{first['id']}/resume", json=body)
            assert (refused.status_code, refused.json()["code"]) == (409, "superseded")
            assert second["id"] in refused.json()["detail"]
    assert len(stand.pods.launched) == launched


async def test_another_image_than_agreed_to_needs_a_new_plan(stand: Stand) -> None:
    stand.failing["seed:system"] = b"Error: the roles are broken\n"
    reset = await stand.asked()
    await stand.until(reset, "failed")
    stand.failing.clear()
    stand.services["qa-sandbox", "los-core-api"].image_digest = "sha256:another"
    async with stand.client("oli") as client:
        path = f"/resets/{reset['id']}/resume"
        assert (await client.post(path, json={"reason": "again"})).status_code == 202
        async with asyncio.timeout(30):
            while (failed := await stand.until(reset, "failed"))["cause"] != "plan-changed":  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert "--replan" in failed["hint"]
        assert (await client.post(path, json={"replan": True})).status_code == 202
        done = await stand.until(reset, "done")
    assert done["planHash"] != failed["planHash"]


async def test_a_reset_whose_claims_make_no_progress_calls_an_operator(tmp_path: Path) -> None:
    store = MemoryStore(SystemClock())
    reset = await admitted(store, asked())
    for _ in range(POISON):
        await store.claim("dies", ttl=0, limit=1, excluding=frozenset())
    async with running(tmp_path, store=store) as stand:
        stopped = await stand.until({"id": reset.id}, "needs-operator", "done", "failed")
        assert (stopped["state"], stopped["cause"]) == ("needs-operator", "no-progress")
        assert stand.pods.launched == []
        async with stand.client("oli") as client:
            assert (await client.post(f"/resets/{reset.id}/resume", json={})).status_code == 202
        assert (await stand.until({"id": reset.id}, "done"))["cause"] is None


async def test_one_claim_less_and_it_goes_on_by_itself(tmp_path: Path) -> None:
    store = MemoryStore(SystemClock())
    reset = await admitted(store, asked())
    for _ in range(POISON - 1):
        await store.claim("dies", ttl=0, limit=1, excluding=frozenset())
    async with running(tmp_path, store=store) as stand:
        await stand.until({"id": reset.id}, "done")
