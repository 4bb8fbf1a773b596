from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from daemon.api.token_file import load_tokens
from daemon.api.tokens import digest
from daemon.config.settings import load
from daemon.config.yaml_documents import DocumentError
from tests.integration.api.stand import SECRET, Stand

READS = (
    "/resets",
    "/environments",
    "/locks",
    "/backups",
    "/dead-letters",
    "/refusals",
    "/whoami",
    "/resets/qa-sandbox/1",
)


@pytest.mark.parametrize("header", [None, "Bearer nobody-knows-this-one", "Basic YTpi", "Bearer "])
async def test_without_a_valid_token_nothing_is_read(stand: Stand, header: str | None) -> None:
    async with stand.client(None) as client:
        for path in READS:
            answer = await client.get(path, headers={"Authorization": header} if header else {})
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), path
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_viewer_asks_for_nothing_and_a_requester_only_in_its_environments(stand: Stand) -> None:
    async with stand.client("vera") as vera, stand.client("ana") as ana:
        for client, environment in (
            (vera, "qa-sandbox"),
            (vera, "los-demo-production"),
            (ana, "other-sandbox"),
        ):
            for path in ("/resets", "/plans"):
                answer = await client.post(path, json={"environment": environment})
                assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_a_reset_in_a_foreign_environment_is_not_shown_by_any_name(stand: Stand) -> None:
    reset = await stand.asked(environment="los-demo-production", dryRun=True)
    await stand.until(reset, "planned")
    async with stand.client("vera") as client:
        for path in ("", "/plan", "/events", "/log"):
            for name in (reset["id"], "los-demo-production/1", "los-demo-production/@latest"):
                answer = await client.get(f"/resets/{name}{path}")
                assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        listed = await client.get("/resets", params={"environment": "los-demo-production"})
        assert listed.status_code == 403
        assert (await client.get("/environments/los-demo-production")).status_code == 403
        assert [environment["name"] for environment in (await client.get("/environments")).json()] == [
            "qa-sandbox"
        ]


@pytest.mark.parametrize(
    ("person", "act", "body"),
    [
        ("ana", "approve", {"planHash": f"sha256:{'0' * 64}"}),
        ("oli", "approve", {"planHash": f"sha256:{'0' * 64}"}),
        ("oli", "deny", {}),
        ("ben", "resume", {}),
        ("ben", "cancel", {}),
        ("ana", "resume", {}),
        ("ana", "skip", {"step": "a", "reason": "b"}),
        ("ana", "resolve", {"step": "a", "outcome": "failed", "reason": "b"}),
        ("ana", "rollback", {}),
        ("vera", "cancel", {}),
    ],
)
async def test_an_act_needs_its_role(stand: Stand, person: str, act: str, body: dict[str, str]) -> None:
    reset = await stand.asked("pat", dryRun=True)
    async with stand.client(person) as client:
        answer = await client.post(f"/resets/{reset['id']}/{act}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_who_asked_may_cancel_it_without_being_an_operator(stand: Stand) -> None:
    stand.deployments.closed["qa-sandbox"] = "OutOfSync"
    reset = await stand.asked("ana")
    await stand.until(reset, "queued")
    async with stand.client("pat") as pat, stand.client("ana") as ana:
        assert (await pat.post(f"/resets/{reset['id']}/cancel", json={})).status_code == 403
        assert (await ana.post(f"/resets/{reset['id']}/cancel", json={"reason": "a typo"})).status_code == 202
    assert (await stand.until(reset, "cancelled"))["state"] == "cancelled"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/resets/qa-sandbox/77", 404, "unknown-reset"),
        ("GET", "/resets/018f0000-0000-7000-8000-000000000000", 404, "unknown-reset"),
        ("GET", "/nothing", 404, "not-found"),
        ("GET", "/resets/a/b/c", 404, "not-found"),
        ("DELETE", "/resets", 405, "method-not-allowed"),
        ("GET", "/resets?limit=0", 422, "schema-violation"),
        ("GET", "/resets?state=sleeping", 422, "schema-violation"),
        ("GET", "/environments/qa-nothing", 404, "unknown-environment"),
    ],
)
async def test_whatever_goes_wrong_is_a_problem(
    stand: Stand, method: str, path: str, status: int, code: str
) -> None:
    async with stand.client("oli") as client:
        answer = await client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"/problems/{code}"
    assert answer.json()["status"] == status


async def test_no_answer_shows_a_secret(stand: Stand) -> None:
    stand.failing["seed:system"] = f"can't reach postgresql://app:{SECRET}@db/los\n".encode()
    reset = await stand.asked()
    failed = await stand.until(reset, "failed")
    async with stand.client("oli") as client:
        paths = ["", "/plan", "/events", "/log"]
        texts = [(await client.get(f"/resets/{reset['id']}{path}")).text for path in paths]
        texts += [(await client.get(path)).text for path in READS]
        texts.append((await client.post("/environments/qa-sandbox/doctor")).text)
    assert failed["stoppedAt"] == "seed.los-core-api.system"
    assert "seed:system" in texts[3]
    assert not [text for text in texts if SECRET in text]


def test_the_first_start_makes_an_operators_token_that_only_its_owner_reads(tmp_path: Path) -> None:
    settings = load(data_dir=tmp_path / "var")
    now = datetime.now(UTC)
    tokens = load_tokens(settings)
    secret = settings.operator_token_file.read_text().strip()
    assert settings.operator_token_file.stat().st_mode & 0o777 == 0o600
    caller = load_tokens(settings).caller(secret, now=now)
    assert caller is not None
    assert caller.subject == "operator"
    assert tokens.caller(secret, now=now) is not None
    assert tokens.caller("", now=now) is None


def test_an_empty_operators_token_is_refused(tmp_path: Path) -> None:
    settings = load(data_dir=tmp_path)
    settings.operator_token_file.write_text("\n")
    with pytest.raises(DocumentError, match="delete the file"):
        load_tokens(settings)


def test_an_expired_token_is_nobodys(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    entry = {
        "name": "old",
        "subject": "ana",
        "sha256": digest("secret"),
        "roles": ["viewer"],
        "environments": ["*"],
        "expiresAt": (now + timedelta(hours=1)).isoformat(),
    }
    file = tmp_path / "tokens.yaml"
    file.write_text(yaml.safe_dump([entry]))
    tokens = load_tokens(load(data_dir=tmp_path, api_tokens=file))
    assert tokens.caller("secret", now=now) is not None
    assert tokens.caller("secret", now=now + timedelta(hours=2)) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- name: a\n  subject: b\n", ":1: [0].sha256: "),
        (
            "- name: a\n  subject: b\n  sha256: short\n  roles: [viewer]\n  environments: ['*']\n",
            ":3: [0].sha256: ",
        ),
        (
            "- name: a\n  subject: b\n  sha256: {digest}\n  roles: [viewer, king]\n  environments: ['*']\n",
            ":4: [0].roles[1]: ",
        ),
        ("- name: a\n  name: b\n", ":2: name: given twice"),
        ("- [\n", "tokens.yaml:"),
        ("just text", ":1: Input should be"),
    ],
)
def test_a_wrong_file_of_tokens_is_refused_with_line_and_field(
    tmp_path: Path, text: str, expected: str
) -> None:
    file = tmp_path / "tokens.yaml"
    file.write_text(text.replace("{digest}", hashlib.sha256(b"x").hexdigest()))
    with pytest.raises(DocumentError) as refused:
        load_tokens(load(data_dir=tmp_path, api_tokens=file))
    assert expected in str(refused.value)


async def test_records_that_nobody_could_read_are_for_those_who_see_all_environments(stand: Stand) -> None:
    for person, status in (("vera", 403), ("ana", 403), ("oli", 200)):
        async with stand.client(person) as client:
            assert (await client.get("/dead-letters")).status_code == status, person
