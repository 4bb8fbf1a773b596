"""What counts as protected, and words about it, by the API and the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from schemas.protection import ProtectedUse
from schemas.wire import ResourceKey, ServiceName
from tests.integration.api.stand import Stand
from tests.integration.api.test_command_line import CommandLine, resetd

PRODUCTION = "los-demo-production"
SCOPE = f"{PRODUCTION}/ui-builder-api"
KEY = ResourceKey(f"database/7001/{PRODUCTION}-ui-builder")

__all__ = ["resetd"]


async def remembered(stand: Stand) -> None:
    """Let a plan remember what the production uses."""
    planned = await stand.asked(dryRun=True)
    await stand.until(planned, "planned")


async def say(
    stand: Stand,
    person: str | None,
    subject: str,
    verb: str = "confirm",
    **body: Any,  # noqa: ANN401 - JSON
) -> httpx.Response:
    async with stand.client(person) as client:
        return await client.post(f"/protected/{subject}/{verb}", json={"reason": "it is down", **body})


async def test_what_a_production_uses_is_listed_once_a_plan_saw_it(stand: Stand) -> None:
    await remembered(stand)
    async with stand.client("ben") as ben, stand.client("vera") as vera:
        rows = (await ben.get("/protected")).json()
        assert (await vera.get("/protected")).json() == []
        assert (await vera.get("/protected", params={"environment": PRODUCTION})).status_code == 403
    (row,) = [row for row in rows if row["service"] == "ui-builder-api"]
    assert row["id"] == f"{PRODUCTION}/{KEY}"
    assert (row["what"], row["kind"], row["database"], row["inForce"]) == (
        "remembered",
        "production",
        "ui-builder",
        True,
    )
    assert row["lastSeenAt"]
    assert {row["environment"] for row in rows} == {PRODUCTION}


async def test_a_word_is_given_listed_and_taken_back(stand: Stand) -> None:
    await remembered(stand)
    given = (await say(stand, "ben", SCOPE)).json()
    assert (given["scope"], given["what"], given["uses"], given["givenBy"]) == (SCOPE, "confirm", None, "ben")
    ends = datetime.fromisoformat(given["expiresAt"]) - datetime.fromisoformat(given["givenAt"])
    assert ends == timedelta(days=30)
    async with stand.client("ben") as ben:
        assert (await ben.get("/protected")).json()[-1] == given
    taken = await say(stand, "pat", given["id"], "forget")
    assert (taken.status_code, taken.json()["withdrawnBy"], taken.json()["inForce"]) == (201, "pat", False)
    again = await say(stand, "pat", given["id"], "forget")
    assert (again.status_code, again.json()["code"]) == (404, "unknown-protected")
    async with stand.client("ben") as ben:
        assert given["id"] not in {row["id"] for row in (await ben.get("/protected")).json()}
        ended = (await ben.get("/protected", params={"ended": True})).json()
    assert ended[-1]["id"] == given["id"]


@pytest.mark.parametrize(
    ("person", "subject", "body", "status", "code"),
    [
        (None, SCOPE, {}, 401, "unauthenticated"),
        ("oli", SCOPE, {}, 403, "forbidden"),
        ("vera", SCOPE, {}, 403, "forbidden"),
        ("ben", "qa-sandbox", {}, 404, "unknown-protected"),
        ("ben", f"{PRODUCTION}/nobody", {}, 422, "unknown-service"),
        ("ben", f"{PRODUCTION}/ui-builder-api/core", {}, 404, "unknown-protected"),
        ("ben", f"{PRODUCTION}/a/b/c", {}, 404, "unknown-protected"),
        ("ben", f"{PRODUCTION}/repository/fuse/los-demo-workflows/main", {}, 404, "unknown-protected"),
        ("ben", "%00", {}, 404, "unknown-protected"),
        ("ben", KEY, {}, 404, "unknown-protected"),
        ("ben", PRODUCTION, {"uses": ["database/\u0661/x"]}, 422, "schema-violation"),
        ("ben", SCOPE, {"uses": ["database/7001/\0x"]}, 422, "schema-violation"),
        ("ben", SCOPE, {"uses": ["database/7001/x\n"], "unseen": True}, 422, "schema-violation"),
        ("ben", SCOPE, {"uses": ["database/7100/los-demo-production-ui-builder"]}, 404, "unknown-protected"),
        ("ben", SCOPE, {"uses": ["database/7001/los-demo-production-ui-biulder"]}, 404, "unknown-protected"),
        ("ben", SCOPE, {"uses": [KEY, "database/7001/x"]}, 404, "unknown-protected"),
        ("ben", f"{PRODUCTION}/database/7100/x", {"uses": []}, 404, "unknown-protected"),
        ("ben", "other-production", {}, 404, "unknown-protected"),
        ("ben", "nothere-production", {"uses": []}, 404, "unknown-protected"),
        (
            "ben",
            "nothere-production/ui-builder-api",
            {"uses": [KEY], "unseen": True},
            404,
            "unknown-protected",
        ),
        ("ben", f"{PRODUCTION}/database/7001/never-seen", {}, 409, "nothing-remembered"),
        ("ben", SCOPE, {"reason": None}, 422, "schema-violation"),
        ("ben", SCOPE, {"reason": ""}, 422, "schema-violation"),
        ("ben", SCOPE, {"uses": ["los-sandbox"]}, 422, "schema-violation"),
        ("ben", SCOPE, {"uses": ["database/x/los-sandbox"]}, 422, "schema-violation"),
        ("ben", f"{PRODUCTION}/{KEY}", {"uses": ["database/1/other"]}, 422, "schema-violation"),
        ("ben", SCOPE, {"expiresAt": "2001-01-01T00:00:00Z"}, 422, "schema-violation"),
        ("ben", SCOPE, {"expiresAt": "9999-01-01T00:00:00Z"}, 422, "schema-violation"),
        ("ben", SCOPE, {"givenBy": "oli"}, 422, "schema-violation"),
    ],
)
async def test_a_word_that_is_not_right_is_refused_and_written_down(
    stand: Stand, person: str | None, subject: str, body: dict[str, Any], status: int, code: str
) -> None:
    await remembered(stand)
    answer = await say(stand, person, subject, **body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert await stand.store.words(now=datetime.now(UTC)) == ()
    lines = [
        line for line in await stand.store.audit(actor=person or "nobody") if line.action.value == "confirm"
    ]
    # Like every body that is not of its shape, one that the schema refuses is refused before anybody reads it.
    read = person is not None and "reason" not in body and "givenBy" not in body
    assert [line.code for line in lines] == ([code] if read else [])


async def test_who_is_not_for_an_environment_leaves_no_line_in_its_chain(stand: Stand) -> None:
    for number in range(5):
        await say(stand, "vera", f"client{number}-production")
    lines = await stand.store.audit(actor="vera")
    assert {line.chain for line in lines} == {"subject/vera"}


async def test_what_is_forgotten_is_told_and_seen_again_is_remembered_again(stand: Stand) -> None:
    await remembered(stand)
    assert (await say(stand, "ben", f"{PRODUCTION}/{KEY}", "forget")).status_code == 201
    nothing = await say(stand, "ben", f"{PRODUCTION}/database/7001/never-seen", "forget")
    assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing-remembered")

    async def what() -> str:
        async with stand.client("ben") as ben:
            rows = (await ben.get("/protected", params={"environment": PRODUCTION})).json()
        return next(str(row["what"]) for row in rows if row["key"] == KEY)

    assert await what() == "forgotten"
    leaves_it_to_memory = await say(stand, "ben", SCOPE)
    assert (leaves_it_to_memory.status_code, leaves_it_to_memory.json()["code"]) == (
        409,
        "nothing-remembered",
    )
    await remembered(stand)
    assert await what() == "remembered"


async def test_the_command_line_gives_words_lists_them_and_takes_them_back(resetd: CommandLine) -> None:
    await remembered(resetd.stand)
    alone = await resetd.run("protected", "confirm", SCOPE, "--reason", "down", person="ben")
    assert (alone.code, "--yes" in alone.err) == (2, True)
    given = await resetd.run(
        "protected",
        "confirm",
        SCOPE,
        "--reason",
        "down",
        "--expires",
        "7d",
        "--yes",
        "-o",
        "json",
        person="ben",
    )
    assert given.code == 0, given.err
    word = given.json
    assert (word["scope"], word["uses"], word["reason"]) == (SCOPE, None, "down")
    table = await resetd.run("protected", "list", person="ben")
    assert SCOPE in table.out
    assert "as remembered" in table.out
    names = await resetd.run("protected", "list", "-e", PRODUCTION, "-o", "name", person="ben")
    assert names.out.splitlines()[-1] == word["id"]
    assert f"{PRODUCTION}/{KEY}" in names.out
    both = await resetd.run(
        "protected", "confirm", SCOPE, "--none", "--uses", KEY, "--reason", "down", "--yes", person="ben"
    )
    assert both.code == 2
    forbidden = await resetd.run(
        "protected", "confirm", SCOPE, "--none", "--reason", "x", "--yes", person="oli"
    )
    assert (forbidden.code, "approver nor admin" in forbidden.err) == (3, True)
    unknown = await resetd.run("protected", "forget", "nothing", "--reason", "x", "--yes", person="ben")
    assert unknown.code == 2
    taken = await resetd.run("protected", "forget", word["id"], "--reason", "it is up", "--yes", person="ben")
    assert (taken.code, "taken back" in taken.out) == (0, True)
    none = await resetd.run("protected", "confirm", SCOPE, "--none", "--reason", "x", "--yes", person="ben")
    assert (none.code, "uses none" in none.out) == (0, True)


async def test_c3_a_database_that_nobody_saw_is_named_only_by_who_says_so(stand: Stand) -> None:
    unseen = "database/7713933224801768231/workflow-builder"
    await remembered(stand)
    refused = await say(stand, "ben", SCOPE, uses=[KEY, unseen])
    assert refused.json()["errors"] == [{"pointer": "/uses/1", "detail": "nobody ever saw it"}]
    assert KEY in refused.json()["hint"]
    assert (await say(stand, "ben", SCOPE, uses=[KEY])).status_code == 201
    given = await say(stand, "ben", SCOPE, uses=[unseen], unseen=True)
    assert (given.status_code, given.json()["uses"]) == (201, [unseen])
    (line, *_) = await stand.store.audit(environment=PRODUCTION)
    assert (line.facts["uses"], line.facts["unseen"]) == (unseen, "yes")


@pytest.mark.parametrize(
    ("known", "scope", "missing"),
    [
        ([], PRODUCTION, "ui-builder-api/ui-builder"),
        ([], SCOPE, "ui-builder-api/ui-builder"),
        (["ui-builder-api"], PRODUCTION, "los-core-api/core"),
        (["los-core-api"], SCOPE, "ui-builder-api/ui-builder"),
        (["ui-builder-api"], f"{PRODUCTION}/data-builder-api", "data-builder-api/data-builder"),
    ],
)
async def test_c3_a_word_leaves_nothing_to_a_memory_of_the_repository_or_of_other_services(
    stand: Stand, known: list[str], scope: str, missing: str
) -> None:
    repository = ResourceKey("repository/fuse/los-demo-workflows/main")
    uses = [ProtectedUse(environment=PRODUCTION, key=repository)]
    for service in known:
        database = "core" if service == "los-core-api" else service.removesuffix("-api")
        name = ServiceName(service)
        uses.append(ProtectedUse(environment=PRODUCTION, service=name, database=database, key=KEY))
    await stand.store.remember_protected(uses, now=datetime.now(UTC))
    refused = await say(stand, "ben", scope)
    assert (refused.status_code, refused.json()["code"]) == (409, "nothing-remembered")
    assert f"{PRODUCTION}/{missing}" in refused.json()["detail"]


async def test_a_word_that_was_given_before_what_it_covers_was_seen_is_listed_with_that(
    resetd: CommandLine,
) -> None:
    assert (await say(resetd.stand, "ben", SCOPE, uses=[])).json()["seenSince"] == []
    await remembered(resetd.stand)
    async with resetd.stand.client("ben") as ben:
        (word,) = [row for row in (await ben.get("/protected")).json() if row["what"] == "confirm"]
    assert word["seenSince"] == ["ui-builder-api/ui-builder"]
    table = await resetd.run("protected", "list", person="ben")
    assert "uses none; ended for ui-builder-api/ui-builder, seen since" in table.out


async def test_c3_a_dry_run_remembers_what_it_sees_of_protected_environments(stand: Stand) -> None:
    async with stand.client("ana") as ana, stand.client("ben") as ben:
        assert (await ben.get("/protected")).json() == []
        assert (await ana.post("/plans", json={"environment": "qa-sandbox"})).status_code == 200
        rows = (await ben.get("/protected")).json()
    assert KEY in {row["key"] for row in rows}
    assert (await say(stand, "ben", PRODUCTION)).status_code == 201
