"""What every hub promises of backup branches: they are listed, and one goes only while it is at the very commit."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from daemon.ports.errors import PermanentError
from daemon.ports.repositories import BackupBranch
from schemas.reasons import Reason
from tests.contract.repositories.stands import GitHubStand, Stand, ours

BACKUP = "backup/0190-reset"


async def rewound(stand: Stand) -> BackupBranch:
    """Rewind the branch, and return what keeps its former head."""
    root = await stand.push()
    await stand.push()
    found = await stand.port.read(stand.name, None)
    await stand.port.rewind(found, to=root, backup_branch=BACKUP, still_ours=ours)
    (backup,) = await stand.port.backup_branches(stand.name)
    assert (backup.name, backup.commit) == (BACKUP, found.head)
    return backup


async def test_a_backup_branch_is_deleted_at_its_commit_and_no_other_ref(stand: Stand) -> None:
    backup = await rewound(stand)
    await stand.push("backups")
    assert await stand.port.delete_backup(backup)
    assert sorted(await stand.refs()) == ["backups", "main"]
    assert await stand.port.backup_branches(stand.name) == ()
    assert not await stand.port.delete_backup(backup)


async def test_a_backup_branch_that_somebody_moved_stays(stand: Stand) -> None:
    backup = await rewound(stand)
    moved = await stand.push(BACKUP)
    assert not await stand.port.delete_backup(backup)
    assert (await stand.refs())[BACKUP] == moved


async def test_a_backup_branch_of_a_repository_that_was_made_anew_stays(stand: Stand) -> None:
    backup = await rewound(stand)
    with pytest.raises(PermanentError) as refused:
        await stand.port.delete_backup(replace(backup, identity="R_former"))
    assert refused.value.reason is Reason.REPOSITORY_MISMATCH
    assert BACKUP in await stand.refs()


async def test_a_backup_branch_that_moves_right_before_the_deletion_stays(github: GitHubStand) -> None:
    backup = await rewound(github)
    held = github.hold("POST /graphql", after=1)
    deleting = asyncio.create_task(github.port.delete_backup(backup))
    await held()
    moved = await github.push(BACKUP)
    assert not await deleting
    assert (await github.refs())[BACKUP] == moved


async def test_a_backup_branch_that_a_pull_request_comes_from_stays(github: GitHubStand) -> None:
    backup = await rewound(github)
    github.control("POST", "/pulls", {"title": "Bring it back", "head": BACKUP})
    assert not await github.port.delete_backup(backup)
    assert BACKUP in await github.refs()


@pytest.mark.parametrize("action", ["drop-after", "garbage-after"])
async def test_a_deletion_whose_answer_was_lost_is_found_out(github: GitHubStand, action: str) -> None:
    backup = await rewound(github)
    github.fault(match="POST /graphql", action="delay", times=1, seconds=0)
    github.fault(match="POST /graphql", action=action, times=1)
    try:
        assert await github.port.delete_backup(backup)
    finally:
        github.mend()
    assert BACKUP not in await github.refs()


async def test_a_missing_right_and_a_rule_each_keep_it_with_a_reason(github: GitHubStand) -> None:
    backup = await rewound(github)
    github.control("PATCH", "/traits", {"push": False})
    with pytest.raises(PermanentError) as refused:
        await github.port.delete_backup(backup)
    assert refused.value.reason is Reason.REPOSITORY_FORBIDDEN
    github.control("PATCH", "/traits", {"push": True})
    github.control("PUT", "/rules/backup/*", [{"type": "deletion"}])
    with pytest.raises(PermanentError) as refused:
        await github.port.delete_backup(backup)
    assert refused.value.reason is Reason.REPOSITORY_REFUSED
    assert BACKUP in await github.refs()
