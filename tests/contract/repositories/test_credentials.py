"""Tokens, keys and certificates that change while the daemon runs. A 401 means "out of sight", not "refused"."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.adapters.github.repositories import GitHubRepositories
from daemon.ports.errors import TemporaryError
from schemas.reasons import Reason
from tests.contract.repositories.stands import GitHubStand, ours


def in_file(github: GitHubStand, file: Path) -> GitHubRepositories:
    return GitHubRepositories(replace(github.connection, token=None, token_file=file))


async def test_a_token_that_was_rotated_in_its_file_is_used_from_then_on(
    github: GitHubStand, tmp_path: Path
) -> None:
    root = await github.push()
    await github.push()
    file = tmp_path / "token"
    file.write_text("ghp_first\n")
    github.accept_token("ghp_first")
    port = in_file(github, file)
    found = await port.read(github.name, None)
    github.accept_token("ghp_first", accepted=False)
    github.accept_token("ghp_second")
    file.write_text("ghp_second\n")
    assert (await port.read(github.name, None)) == found
    rewound = await port.rewind(found, to=root, backup_branch="backup/1", still_ours=ours)
    assert rewound.after == root


async def test_a_token_that_is_rotated_during_an_operation_is_read_once_more(
    github: GitHubStand, tmp_path: Path
) -> None:
    root = await github.push()
    file = tmp_path / "token"
    file.write_text("ghp_old")
    github.accept_token("ghp_old")
    question = github.hold(f"GET /repos/fuse/{github.name}", after=0)
    reading = asyncio.create_task(in_file(github, file).read(github.name, None))
    await question()
    github.accept_token("ghp_old", accepted=False)
    github.accept_token("ghp_new")
    file.write_text("ghp_new")
    assert (await reading).root == root


async def test_a_token_file_that_is_away_for_a_moment_changes_nothing(
    github: GitHubStand, tmp_path: Path
) -> None:
    root = await github.push()
    file = tmp_path / "token"
    assert github.connection.token is not None
    file.write_text(github.connection.token)
    port = in_file(github, file)
    await port.read(github.name, None)
    file.write_text("")
    assert (await port.read(github.name, None)).root == root
    file.unlink()
    assert (await port.read(github.name, None)).root == root


async def test_a_token_file_that_was_never_there_is_temporary_and_named(
    github: GitHubStand, tmp_path: Path
) -> None:
    with pytest.raises(TemporaryError, match="RESETD_GITHUB_TOKEN") as refused:
        await in_file(github, tmp_path / "none").read(github.name, None)
    assert refused.value.hint


@pytest.mark.parametrize("message", ["Bad credentials", "Requires authentication", ""])
async def test_a_401_is_out_of_sight_whatever_its_text(github: GitHubStand, message: str) -> None:
    await github.push()
    github.fault(
        match=f"GET /repos/fuse/{github.name}$", action="status", status=401, body={"message": message}
    )
    with pytest.raises(TemporaryError) as refused:
        await github.port.read(github.name, None)
    assert refused.value.reason is Reason.REPOSITORY_UNREACHABLE
    assert "RESETD_GITHUB_TOKEN" in str(refused.value.hint)


async def test_a_private_key_that_can_not_sign_is_temporary_and_never_shown(github: GitHubStand) -> None:
    connection = replace(
        github.connection, token=None, app_id=7, app_private_key="no-key-at-all", app_installation_id=1
    )
    with pytest.raises(TemporaryError) as refused:
        await GitHubRepositories(connection).read(github.name, None)
    assert "RESETD_GITHUB_APP_PRIVATE_KEY" in str(refused.value.hint)
    assert "no-key-at-all" not in refused.value.detail


async def test_the_certificates_of_the_environment_are_those_of_the_client(
    github: GitHubStand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    port = GitHubRepositories(replace(github.connection, api_url="https://127.0.0.1:9"))
    with pytest.raises(TemporaryError) as refused:
        await port.read(github.name, None)
    assert "REQUESTS_CA_BUNDLE" in str(refused.value.hint)
