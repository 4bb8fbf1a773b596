"""The file of tokens is read again while the daemon runs: who was taken out is nobody, and who came in is somebody."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.api.token_file import LAST_GOOD_SECONDS, TokenFile, TokensUnreadableError, load_tokens
from daemon.api.tokens import digest, parse_tokens
from daemon.config.settings import load
from statemachines.planning.protection import UNNAMED
from tests.integration.api.people import PEOPLE
from tests.integration.api.stand import Stand, running

NOW = datetime.now(UTC)


def entry(subject: str, *roles: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {
        "name": subject,
        "subject": subject,
        "sha256": digest(f"secret of {subject}"),
        "roles": list(roles or ("viewer",)),
        "environments": ["*"],
        **more,
    }


def written(*entries: dict[str, Any]) -> str:
    return yaml.safe_dump(list(entries))


class Seconds:
    """A clock that a test puts forward."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def opened(path: Path, seconds: Callable[[], float] = time.monotonic) -> TokenFile:
    return TokenFile(path, lambda text: parse_tokens(text, file=str(path)), seconds=seconds)


def subjects(tokens: TokenFile, *names: str) -> list[str]:
    found = [tokens.caller(f"secret of {name}", now=NOW) for name in names]
    return [one.subject for one in found if one is not None]


def write(path: Path, text: str) -> None:
    """In place, and in a way that leaves size and times as they may have been."""
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(path)


@pytest.mark.parametrize("change", [write, replace])
def test_a_token_that_was_taken_out_lets_nobody_in_and_a_new_one_does(
    tmp_path: Path, change: Callable[[Path, str], None]
) -> None:
    file = tmp_path / "tokens.yaml"
    file.write_text(written(entry("ana"), entry("ben")))
    tokens = opened(file)
    assert subjects(tokens, "ana", "ben", "eva") == ["ana", "ben"]
    change(file, written(entry("eva"), entry("ben")))
    assert subjects(tokens, "ana", "ben", "eva") == ["ben", "eva"]
    change(file, written(entry("ben", "approver")))
    assert tokens.approvers(["qa-sandbox"], now=NOW) == {"ben"}


def test_a_volume_of_kubernetes_that_leads_to_another_directory_is_followed(tmp_path: Path) -> None:
    for name, who in (("..1", "ana"), ("..2", "ben")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tokens.yaml").write_text(written(entry(who)))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "tokens.yaml").symlink_to("..data/tokens.yaml")
    tokens = opened(tmp_path / "tokens.yaml")
    assert subjects(tokens, "ana", "ben") == ["ana"]
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    assert subjects(tokens, "ana", "ben") == ["ben"]


@pytest.mark.parametrize("broken", ["", "- name: a\n  subj", "- [", None, "no-text", "directory"])
def test_a_file_that_is_half_written_or_gone_locks_nobody_out_and_one_that_stays_so_lets_nobody_in(
    tmp_path: Path, broken: str | None
) -> None:
    file, seconds = tmp_path / "tokens.yaml", Seconds()
    file.write_text(written(entry("ana"), entry("ben", "approver")))
    tokens = opened(file, seconds)
    file.unlink()
    if broken == "no-text":
        file.write_bytes(b"\xff\xfe")
    elif broken == "directory":
        file.mkdir()
    elif broken is not None:
        file.write_text(broken)
    assert subjects(tokens, "ana") == ["ana"]
    assert str(file) in (tokens.wrong() or "")
    seconds.now += LAST_GOOD_SECONDS
    assert subjects(tokens, "ana") == ["ana"]
    seconds.now += 1.0
    with pytest.raises(TokensUnreadableError, match=r"tokens\.yaml"):
        tokens.caller("secret of ana", now=NOW)
    # What was agreed to stays agreed to: nobody is shown to have lost a right.
    assert tokens.approvers(["qa-sandbox"], now=NOW) == {"ben"}
    file.rmdir() if file.is_dir() else file.unlink(missing_ok=True)
    file.write_text(written(entry("ana")))
    assert subjects(tokens, "ana", "ben") == ["ana"]
    assert tokens.wrong() is None


def test_a_file_that_changes_from_one_fault_to_another_gains_no_time(tmp_path: Path) -> None:
    file, seconds = tmp_path / "tokens.yaml", Seconds()
    file.write_text(written(entry("ana")))
    tokens = opened(file, seconds)
    for fault in range(3):
        file.write_text("- [" * fault)
        assert tokens.wrong()
        seconds.now += LAST_GOOD_SECONDS / 2 + 1.0
    with pytest.raises(TokensUnreadableError):
        tokens.caller("secret of ana", now=NOW)


def test_the_operators_own_token_is_read_again_too(tmp_path: Path) -> None:
    settings = load(data_dir=tmp_path)
    tokens = load_tokens(settings)
    old = settings.operator_token_file.read_text().strip()
    settings.operator_token_file.write_text("resetd_" + "x" * 30)
    assert tokens.caller(old, now=NOW) is None
    assert tokens.caller("resetd_" + "x" * 30, now=NOW) is not None


async def test_a_daemon_that_runs_takes_rights_away_and_says_what_is_wrong_with_the_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with running(tmp_path) as stand:
        file = tmp_path / "tokens.yaml"
        whole = file.read_text()
        assert await status(stand, "vera") == 200
        file.write_text(yaml.safe_dump([one for one in yaml.safe_load(whole) if one["subject"] != "vera"]))
        assert [await status(stand, "vera"), await status(stand, "oli")] == [401, 200]
        file.write_text(whole[: len(whole) // 2] + "\n  - [")
        assert await status(stand, "oli") == 200
        async with stand.client(None) as client:
            ready = await client.get("http://resetd/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert "tokens.yaml" in ready.json()["checks"]["tokens"]
        file.write_text(whole)
        assert await status(stand, "vera") == 200
        async with stand.client(None) as client:
            assert "tokens" not in (await client.get("http://resetd/readyz")).json()["checks"]
        said = "".join(capfd.readouterr())
        assert not any(stand.tokens[person] in said for person in PEOPLE)


async def test_a_file_that_stays_broken_is_a_problem_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.api.token_file.LAST_GOOD_SECONDS", -1.0)
    async with running(tmp_path) as stand:
        (tmp_path / "tokens.yaml").unlink()
        async with stand.client("oli") as client:
            answer = await client.get("/whoami")
        assert (answer.status_code, answer.json()["code"]) == (503, "tokens-unreadable")
        assert "tokens.yaml" in answer.json()["detail"]


async def test_a_caller_whose_token_is_taken_out_is_known_no_more(tmp_path: Path) -> None:
    async with running(tmp_path) as stand:
        caller = stand.context.tokens.caller(stand.tokens["vera"], now=NOW)
        assert caller is not None
        assert stand.context.knows(caller)
        file = tmp_path / "tokens.yaml"
        known = yaml.safe_load(file.read_text())
        file.write_text(yaml.safe_dump([one for one in known if one["subject"] != "vera"]))
        assert not stand.context.knows(caller)


async def status(stand: Stand, person: str) -> int:
    async with stand.client(person) as client:
        return (await client.get("/whoami")).status_code


def test_d1_one_token_has_to_be_for_every_environment_that_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "tokens.yaml"
    file.write_text(
        written(
            entry("all", "approver"),
            entry("both", "approver", environments=["acme-*", "eu-production"]),
            entry("one", "approver", environments=["*-sandbox"]),
            entry("halves", "approver", environments=["*-sandbox"]),
            entry("halves", "approver", environments=["*-production"]) | {"sha256": digest("other")},
            entry("operator", "operator", "admin"),
            entry("former", "approver", expiresAt="2020-01-01T00:00:00Z"),
        )
    )
    tokens = opened(file)
    assert tokens.approvers(["acme-sandbox"], now=NOW) == {"all", "both", "one", "halves"}
    assert tokens.approvers(["acme-sandbox", "acme-production"], now=NOW) == {"all", "both"}
    assert tokens.approvers(["acme-sandbox", "eu-production"], now=NOW) == {"all", "both"}
    assert tokens.approvers(["acme-sandbox", UNNAMED], now=NOW) == {"all"}
    assert tokens.approvers(["Not one of OURS"], now=NOW) == {"all"}
