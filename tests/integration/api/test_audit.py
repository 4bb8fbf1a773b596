"""Who asked for what, and what came of it, by the API and by the command line."""

from __future__ import annotations

from tests.integration.api.stand import Stand


async def test_what_is_refused_at_once_and_what_is_applied_are_both_written_down(stand: Stand) -> None:
    stand.failing["seed:system"] = b"Error: the roles are broken\n"
    reset = await stand.asked(reason="for the demo")
    await stand.until(reset, "failed")
    path = f"/resets/{reset['id']}"
    async with stand.client("vera") as vera, stand.client("oli") as oli:
        assert (await vera.post(f"{path}/cancel", json={"reason": "no right"})).status_code == 403
        assert (await oli.post(f"{path}/resume", json={"from": "seed.nothing"})).status_code == 409
        assert (await oli.post(f"{path}/cancel", json={}, headers={"If-Match": '"0"'})).status_code == 412
        assert (await oli.post(f"{path}/rollback", json={})).status_code == 409
        assert (await oli.post(f"{path}/cancel", json={"reason": "enough"})).status_code == 202
        await stand.until(reset, "cancelled")
        lines = (await oli.get("/audit", params={"environment": "qa-sandbox"})).json()
    assert [(line["action"], line["verdict"], line["code"], line["actor"]) for line in reversed(lines)] == [
        ("request", "applied", None, "ana"),
        ("cancel", "refused", "forbidden", "vera"),
        ("resume", "refused", "unknown-step", "oli"),
        ("cancel", "refused", "precondition-failed", "oli"),
        ("rollback", "refused", "not-yet", "oli"),
        ("cancel", "applied", None, "oli"),
    ]
    assert [line["number"] for line in reversed(lines)] == [1, 2, 3, 4, 5, 6]
    assert lines[0]["reason"] == "enough"
    assert lines[-1]["reason"] == "for the demo"
    assert all(line["resetId"] == reset["id"] for line in lines)


async def test_a_request_that_is_not_allowed_is_written_down_under_its_environment(stand: Stand) -> None:
    async with stand.client("vera") as vera, stand.client("oli") as oli:
        asked = {"environment": "qa-sandbox", "reason": "let me"}
        assert (await vera.post("/resets", json=asked)).status_code == 403
        [line] = (await oli.get("/audit", params={"actor": "vera"})).json()
    assert (line["chain"], line["code"], line["reason"]) == ("environment/qa-sandbox", "forbidden", "let me")


async def test_it_is_shown_from_a_moment_on_and_only_for_the_tokens_environments(stand: Stand) -> None:
    await stand.asked("pat", environment="los-demo-production", dryRun=True)
    async with stand.client("vera") as vera, stand.client("oli") as oli:
        assert (await vera.get("/audit")).json() == []
        assert (await vera.get("/audit", params={"environment": "los-demo-production"})).status_code == 403
        [line] = (await oli.get("/audit", params={"since": "2001-01-01T00:00:00Z"})).json()
        assert line["actor"] == "pat"
        assert (await oli.get("/audit", params={"since": "2999-01-01T00:00:00Z"})).json() == []


async def test_a_line_that_the_token_may_see_is_found_behind_many_that_it_may_not(stand: Stand) -> None:
    await stand.asked()
    (first,) = await stand.store.audit()
    beside = {"chain": "environment/los-demo-production", "environment": "los-demo-production"}
    for _ in range(1005):
        await stand.store.append_audit(first.model_copy(update=beside))
    async with stand.client("vera") as vera:
        for limit in (1, 2, 1000):
            lines = (await vera.get("/audit", params={"limit": limit})).json()
            assert [line["environment"] for line in lines] == ["qa-sandbox"]
