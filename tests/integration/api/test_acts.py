from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from daemon.config.catalog_file import load_catalog
from schemas.catalog.catalog import Kind
from schemas.plan import Plan
from schemas.requests import ResetRequested
from schemas.resets import Channel
from schemas.wire import ResetId
from tests.integration.api.stand import Stand, running


async def test_nothing_protected_is_touched_before_somebody_else_agreed_to_its_plan(stand: Stand) -> None:
    reset = await stand.asked("pat", environment="los-demo-production")
    waiting = await stand.until(reset, "awaiting-approval", "done", "failed")
    assert waiting["state"] == "awaiting-approval"
    assert waiting["approvals"]["required"] >= 1
    body = {"planHash": waiting["planHash"], "confirm": "los-demo-production"}
    async with stand.client("pat") as pat, stand.client("ben") as ben:
        path = f"/resets/{reset['id']}/approve"
        own = await pat.post(path, json=body)
        wrong = await ben.post(path, json={"planHash": f"sha256:{'0' * 64}"})
        elsewhere = await ben.post(path, json={**body, "confirm": "qa-sandbox"})
        stale = await ben.post(path, json=body, headers={"If-Match": '"0"'})
        assert (own.status_code, own.json()["code"]) == (409, "self-approval")
        assert (wrong.status_code, wrong.json()["code"]) == (409, "wrong-plan")
        assert (elsewhere.status_code, elsewhere.json()["errors"][0]["pointer"]) == (422, "/confirm")
        assert (stale.status_code, stale.json()["code"]) == (412, "precondition-failed")
        assert stand.pods.launched == []
        agreed = await ben.post(path, json=body)
        assert agreed.status_code == 202
        assert agreed.json()["act"] >= 1
    done = await stand.until(reset, "done", "failed")
    assert done["state"] == "done", done
    assert [approval["actor"] for approval in done["approvals"]["given"]] == ["ben"]


async def test_a_denied_reset_runs_nothing(stand: Stand) -> None:
    reset = await stand.asked(environment="los-demo-production")
    await stand.until(reset, "awaiting-approval")
    async with stand.client("ben") as client:
        assert (
            await client.post(f"/resets/{reset['id']}/deny", json={"reason": "not today"})
        ).status_code == 202
    denied = await stand.until(reset, "denied")
    assert denied["cause"] == "denied"
    assert stand.pods.launched == []


async def test_a_failed_reset_is_resumed_from_where_it_stopped(stand: Stand) -> None:
    stand.failing["seed:system"] = b"Error: the roles are broken\n"
    reset = await stand.asked()
    failed = await stand.until(reset, "failed", "done")
    assert (failed["state"], failed["stoppedAt"]) == ("failed", "seed.los-core-api.system")
    before = len(stand.pods.launched)
    stand.failing.clear()
    async with stand.client("oli") as client:
        path = f"/resets/{reset['id']}"
        stale = await client.post(f"{path}/resume", json={"sequence": 1})
        unknown = await client.post(f"{path}/resume", json={"from": "seed.nothing"})
        assert (stale.status_code, stale.json()["code"]) == (409, "stale-sequence")
        assert (unknown.status_code, unknown.json()["code"]) == (409, "unknown-step")
        resumed = await client.post(f"{path}/resume", json={}, headers={"If-Match": "*"})
        assert resumed.status_code == 202
    done = await stand.until(reset, "done")
    assert done["cause"] is None
    assert len(stand.pods.launched) > before


async def test_what_succeeded_and_is_not_to_be_repeated_runs_again_only_when_somebody_says_so(
    stand: Stand,
) -> None:
    stand.failing["populate-core-entities"] = b"Error: no entities\n"
    reset = await stand.asked(options=["populate-core-entities"])
    failed = await stand.until(reset, "failed", "done")
    assert failed["stoppedAt"] == "seed.ui-builder-api.populate-core-entities", failed
    stand.failing.clear()
    path = f"/resets/{reset['id']}"
    async with stand.client("oli") as client:
        body = {"from": "seed.los-integrations.reset"}
        refused = await client.post(f"{path}/resume", json=body)
        assert (refused.status_code, refused.json()["code"]) == (409, "would-repeat")
        assert "seed.los-integrations.reset" in refused.json()["detail"]
        before = stand.runs("seed:reset")
        assert (await client.post(f"{path}/resume", json={**body, "force": True})).status_code == 202
        await stand.until(reset, "done")
        assert stand.runs("seed:reset") == before + 1
        [line] = [line for line in (await client.get("/audit")).json() if line["verdict"] == "applied"][:1]
    assert "seed.los-integrations.reset" in line["facts"]["again"]
    assert line["facts"]["force"] is True


async def test_a_new_plan_for_what_is_left_of_a_protected_reset_is_agreed_to_anew(stand: Stand) -> None:
    stand.failing["seed:system"] = b"Error: the roles are broken\n"
    reset = await stand.asked(environment="los-demo-production")
    path = f"/resets/{reset['id']}"
    async with stand.client("ben") as ben, stand.client("oli") as oli:
        waiting = await stand.until(reset, "awaiting-approval")
        await ben.post(f"{path}/approve", json={"planHash": waiting["planHash"]})
        await stand.until(reset, "failed")
        stand.failing.clear()
        before = len(stand.pods.launched)
        assert (await oli.post(f"{path}/resume", json={"replan": True})).status_code == 202
        again = await stand.until(reset, "awaiting-approval", "done")
        assert (again["state"], again["approvals"]["given"]) == ("awaiting-approval", [])
        assert len(stand.pods.launched) == before
        await ben.post(f"{path}/approve", json={"planHash": again["planHash"]})
        done = await stand.until(reset, "done", "failed")
    assert done["state"] == "done"
    attempts = {attempt["step"]: attempt["number"] for attempt in done["attempts"]}
    assert attempts["migrate.core.deploy"] == 1
    assert attempts["seed.los-core-api.system"] > 1


async def test_what_makes_no_sense_in_its_state_is_refused_and_changes_nothing(stand: Stand) -> None:
    reset = await stand.asked(dryRun=True)
    planned = await stand.until(reset, "planned")
    async with stand.client("oli") as client:
        for act, body in (
            ("resume", {}),
            ("cancel", {}),
            ("skip", {"step": planned["steps"][0]["name"] if planned["steps"] else "a", "reason": "b"}),
            ("resolve", {"step": "a", "outcome": "succeeded", "reason": "b"}),
        ):
            answer = await client.post(f"/resets/{reset['id']}/{act}", json=body)
            assert (answer.status_code, answer.json()["code"]) == (409, "wrong-state"), act
            assert answer.json()["reset"] == reset["id"]
        for act in ("rollback", "release"):
            answer = await client.post(f"/resets/{reset['id']}/{act}", json={})
            assert answer.status_code == 409
        unreasoned = await client.post(f"/resets/{reset['id']}/skip", json={"step": "a"})
        assert unreasoned.json()["errors"][0]["pointer"] == "/reason"
        after = (await client.get(f"/resets/{reset['id']}")).json()
        # Not the version: the holder lets its lease go in a commit of its own after the state was reached.
        assert (after["state"], after["sequence"]) == (planned["state"], planned["sequence"])


async def test_a_running_reset_is_cancelled(stand: Stand) -> None:
    stand.held["seed:system"] = asyncio.Event()
    reset = await stand.asked()
    await stand.until(reset, "seeding")
    async with stand.client("oli") as client:
        environment = (await client.get("/environments/qa-sandbox")).json()
        assert environment["running"]["id"] == reset["id"]
        assert {lock["resetId"] for lock in environment["locks"]} == {reset["id"]}
        assert (await client.get("/locks")).json() != []
        assert (await client.post(f"/resets/{reset['id']}/cancel", json={})).status_code == 202
    cancelled = await stand.until(reset, "cancelled", "needs-operator", "failed", "done")
    assert cancelled["state"] == "cancelled"


async def test_d3_whether_enough_people_can_approve_at_all_is_said_when_the_plan_is_made(
    tmp_path: Path,
) -> None:
    """Only `ben` and `pat` may approve there. Who asks with a token is left out, and who a topic claims is not."""
    kinds = load_catalog().catalog.kinds | {
        "production": Kind(protected=True, approvers=2, approvers_unattended=3)
    }
    strict = load_catalog().catalog.model_copy(update={"kinds": kinds})
    async with running(tmp_path, catalog=strict) as stand:

        async def warned(person: str, channel: Channel) -> list[str]:
            request = ResetRequested(environment="los-demo-production", requested_by=person)
            plan = await stand.context.planning.plan(request, channel)
            assert isinstance(plan, Plan)
            return [one for one in plan.warnings if "Too few" in one]

        assert await warned("ana", Channel.HTTP) == []
        [few] = await warned("pat", Channel.HTTP)
        assert "it needs 2, and only ben has a token" in few
        [fewer] = await warned("pat", Channel.KAFKA)
        assert "it needs 3, and only ben, pat has a token" in fewer
        reset = await stand.asked("pat", environment="los-demo-production")
        await stand.until(reset, "awaiting-approval")
        async with asyncio.timeout(20), stand.client("oli") as client:
            while not (found := (await client.get(f"/resets/{reset['id']}")).json())["waitingFor"]:  # noqa: ASYNC110 - the API sends no event
                await asyncio.sleep(0.02)
        assert few in found["waitingFor"]["detail"]


async def test_h5_an_act_on_a_reset_that_was_pruned_a_moment_earlier_is_one_on_no_reset(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand.failing["seed:system"] = b"Error: the roles are broken\n"
    reset = await stand.asked()
    await stand.until(reset, "failed")
    look = stand.store.superseded_by

    async def pruned_after_the_look(reset_id: ResetId) -> ResetId | None:
        answer = await look(reset_id)
        stand.store.state.entries.pop(reset_id)
        return answer

    monkeypatch.setattr(stand.store, "superseded_by", pruned_after_the_look)
    async with stand.client("oli") as client:
        path = f"/resets/{reset['id']}/resume"
        late = await client.post(path, json={})
        later = await client.post(path, json={})
    for answer in (late, later):
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown-reset")
