from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.integration.api.stand import Stand


async def test_a_reset_that_was_asked_for_is_driven_to_done_and_can_be_read_by_every_name(
    stand: Stand,
) -> None:
    async with stand.client("ana") as client:
        asked = await client.post("/resets", json={"environment": "qa-sandbox", "reason": "a demo"})
        assert asked.status_code == 202
        reset = asked.json()
        assert asked.headers["Location"] == f"/api/v1/resets/{reset['id']}"
        assert reset["requestedBy"] == ["ana"]
        done = await stand.until(reset, "done", "failed")
        assert done["state"] == "done", done
        for name in (reset["id"], "qa-sandbox/1", "qa-sandbox/@latest"):
            read = await client.get(f"/resets/{name}")
            assert read.json()["id"] == reset["id"]
            assert read.headers["ETag"] == f'"{read.json()["version"]}"'
        plan = (await client.get("/resets/qa-sandbox/1/plan")).json()
        assert plan["hash"] == done["planHash"]
        history = (await client.get("/resets/qa-sandbox/1/events")).json()
        assert [entry["sequence"] for entry in history] == list(range(1, len(history) + 1))
        assert history[-1]["data"]["state"] == "done"
        backups = (await client.get("/backups")).json()
        assert {row["reset"] for row in backups} == {"qa-sandbox/1"}
        assert all(row["proven"] and row["sizeBytes"] and row["sha256"] for row in backups)


async def test_the_same_key_is_the_same_reset_and_other_content_is_refused(stand: Stand) -> None:
    body = {"environment": "qa-sandbox", "mode": "seed", "git": False}
    async with stand.client("ana") as client:
        first = await client.post("/resets", json=body, headers={"Idempotency-Key": '"abc"'})
        again = await client.post("/resets", json=body, headers={"Idempotency-Key": "abc"})
        other = await client.post(
            "/resets", json={**body, "mode": "wipe"}, headers={"Idempotency-Key": "abc"}
        )
        two = await client.post(
            "/resets", json={**body, "idempotencyKey": "x"}, headers={"Idempotency-Key": "abc"}
        )
    assert first.json()["id"] == again.json()["id"]
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-conflict")
    assert (two.status_code, two.json()["errors"][0]["pointer"]) == (422, "/idempotencyKey")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"environment": "qa-sandbox", "requestedBy": "somebody"}, "/requestedBy"),
        ({"environment": "qa-sandbox", "mode": "obliterate"}, "/mode"),
        ({"environment": "qa-sandbox", "serviceModes": {"a/b~c": "x"}}, "/serviceModes/a~1b~0c"),
        ({"environment": "qa-sandbox", "integrations": ["ok", "$(reboot)"]}, "/integrations/1"),
        ({"environment": "qa-sandbox", "surprise": 1}, "/surprise"),
        ({"environment": "qa-sandbox", "notBefore": "0001-01-01T00:00:00+14:00"}, "/notBefore"),
        ({"environment": 5}, "/environment"),
        ({}, "/environment"),
        ([], ""),
    ],
)
async def test_a_wrong_field_is_pointed_at(stand: Stand, body: object, pointer: str) -> None:
    async with stand.client("ana") as client:
        answer = await client.post("/resets", json=body)
    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"] == "/problems/schema-violation"
    assert pointer in [error["pointer"] for error in problem["errors"]]


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{", 400, "malformed-json"),
        (b"\xff\xfe", 400, "malformed-json"),
        (b"[" * 100_000, 400, "malformed-json"),
        (b'{"environment": "qa-sandbox", "reason": "' + b"x" * 300_000 + b'"}', 413, "too-large"),
        (b'{"environment": "qa-sandbox", "reason": "\\ud800"}', 422, "schema-violation"),
        (b"", 422, "schema-violation"),
    ],
)
async def test_a_body_that_cannot_be_read_is_a_problem(
    stand: Stand, content: bytes, status: int, code: str
) -> None:
    async with stand.client("ana") as client:
        answer = await client.post("/resets", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_chunked_body_without_end_is_cut_off(stand: Stand) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b" " * 4096

    async with stand.client("ana") as client:
        answer = await client.post("/resets", content=endless(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


async def test_numbers_beyond_every_column_and_file_are_a_mistake_of_the_caller(stand: Stand) -> None:
    await stand.asked()
    async with stand.client("ana") as client:
        for name, address in {
            "?after": "/resets/qa-sandbox/1/events?after=99999999999999999999999",
            "?offset": "/resets/qa-sandbox/1/log?step=seed.los-core-api.system&offset=99999999999999999999999",
            "?attempt": "/resets/qa-sandbox/1/log?step=seed.los-core-api.system&attempt=99999999999999999999999",
        }.items():
            answer = await client.get(address)
            assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, name)
        for number in ("99999999999999999999999", "9" * 5000):
            answer = await client.get("/resets/qa-sandbox/1/events", headers={"Last-Event-ID": number})
            assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "Last-Event-ID")


async def test_a_dry_run_is_a_plan_and_leaves_nothing(stand: Stand) -> None:
    async with stand.client("ana") as client:
        plan = (await client.post("/plans", json={"environment": "qa-sandbox", "mode": "wipe"})).json()
        script = await client.post(
            "/plans", json={"environment": "qa-sandbox"}, headers={"Accept": "text/x-shellscript"}
        )
        assert (await client.get("/resets")).json()["items"] == []
    assert plan["hash"].startswith("sha256:")
    assert plan["steps"][0]["name"].startswith("backup.")
    assert "kubectl exec -n qa-sandbox" in script.text
    assert "npm run seed:system" in script.text
    assert stand.pods.launched == []


async def test_a_plan_that_a_rule_refuses_says_which(stand: Stand) -> None:
    async with stand.client("ana") as client:
        mock = await client.post("/plans", json={"environment": "los-demo-production", "options": ["mock"]})
        nowhere = await client.post("/plans", json={"environment": "qa-staging"})
    assert (mock.status_code, mock.json()["code"]) == (422, "mock-in-production")
    assert nowhere.json()["code"] in {"unknown-kind", "unknown-environment"}


async def test_pages_hold_every_reset_once_and_only_what_the_token_may_see(stand: Stand) -> None:
    for number in range(5):
        reset = await stand.asked(mode="seed", git=False, dryRun=True, reason=f"number {number}")
        await stand.until(reset, "planned")
        other = await stand.asked(environment="los-demo-production", dryRun=True, reason=f"number {number}")
        await stand.until(other, "planned")
    seen: list[str] = []
    cursor = None
    async with stand.client("vera") as client:
        while True:
            params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
            page = (await client.get("/resets", params=params)).json()
            seen += [item["reference"] for item in page["items"]]
            cursor = page["nextCursor"]
            if cursor is None:
                break
        wrong = await client.get("/resets", params={"cursor": "nonsense"})
    assert seen == [f"qa-sandbox/{number}" for number in (5, 4, 3, 2, 1)]
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "?cursor")
