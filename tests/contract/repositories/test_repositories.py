"""What every hub promises (`daemon/ports/repositories.py`)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemon.ports.errors import LeaseLostError, PermanentError, TemporaryError
from daemon.ports.repositories import Rewound
from schemas.reasons import Reason
from tests.contract.repositories.stands import Stand, ours

BACKUP = "backup/0190-reset"


async def test_reading_gives_head_and_the_one_root(stand: Stand) -> None:
    root = await stand.push()
    await stand.push()
    head = await stand.push()
    found = await stand.port.read(stand.name, None)
    assert (found.repository, found.owner, found.branch) == (stand.name, "fuse", "main")
    assert (found.head, found.root) == (head, root)


async def test_a_named_branch_is_read_instead_of_the_default_one(stand: Stand) -> None:
    await stand.push()
    other = await stand.push("other")
    found = await stand.port.read(stand.name, "other")
    assert (found.branch, found.head, found.root) == ("other", other, other)


@pytest.mark.parametrize("case", ["no repository", "no branch"])
async def test_what_is_not_there_is_unidentified(stand: Stand, case: str) -> None:
    await stand.push()
    with pytest.raises(PermanentError) as refused:
        await stand.port.read(
            "nowhere" if case == "no repository" else stand.name, "gone" if case == "no branch" else None
        )
    assert refused.value.reason is Reason.REPOSITORY_UNIDENTIFIED


@pytest.mark.parametrize("branch", [None, "main"])
async def test_a_repository_without_a_commit_is_empty(stand: Stand, branch: str | None) -> None:
    with pytest.raises(PermanentError) as refused:
        await stand.port.read(stand.name, branch)
    assert refused.value.reason is Reason.REPOSITORY_EMPTY


async def test_all_roots_of_a_branch_are_read_and_none_is_the_one(stand: Stand) -> None:
    one = await stand.push()
    other = await stand.push("unrelated")
    await stand.merge("main", "unrelated")
    found = await stand.port.read(stand.name, None)
    assert [root.sha for root in found.roots] == sorted([one, other])
    assert not found.root


async def test_a_branch_of_two_roots_goes_back_to_the_one_that_is_asked_for(stand: Stand) -> None:
    one = await stand.push()
    await stand.push("unrelated")
    head = await stand.merge("main", "unrelated")
    found = await stand.port.read(stand.name, None)
    rewound = await stand.port.rewind(found, to=one, backup_branch=BACKUP, still_ours=ours)
    assert (rewound.before, rewound.after) == (head, one)
    assert [root.sha for root in (await stand.port.read(stand.name, None)).roots] == [one]


async def test_more_branches_than_anybody_reads_are_counted(stand: Stand) -> None:
    await stand.push()
    for number in range(23):
        await stand.push(f"feature-{number:02d}")
    await stand.push("backup/old")
    beside = (await stand.port.read(stand.name, None)).beside
    assert beside.branches == tuple(f"feature-{number:02d}" for number in range(20))
    assert beside.more_branches == 3


async def test_a_merge_of_a_branch_of_its_own_has_still_one_root(stand: Stand) -> None:
    root = await stand.push()
    await stand.push()
    await stand.merge("main", "main")
    assert (await stand.port.read(stand.name, None)).root == root


async def test_rewinding_makes_the_backup_branch_and_moves_the_branch(stand: Stand) -> None:
    root = await stand.push()
    head = await stand.push()
    found = await stand.port.read(stand.name, None)
    rewound = await stand.port.rewind(found, to=root, backup_branch=BACKUP, still_ours=ours)
    assert rewound == Rewound(before=head, after=root, backup_branch=BACKUP, already=False)
    assert await stand.refs() == {"main": root, BACKUP: head}


async def test_a_branch_at_its_root_already_gets_a_backup_branch_all_the_same(stand: Stand) -> None:
    root = await stand.push()
    found = await stand.port.read(stand.name, None)
    rewound = await stand.port.rewind(found, to=root, backup_branch=BACKUP, still_ours=ours)
    assert rewound == Rewound(before=root, after=root, backup_branch=BACKUP, already=True)
    assert await stand.refs() == {"main": root, BACKUP: root}


async def test_who_has_it_no_more_moves_nothing(stand: Stand) -> None:
    root = await stand.push()
    head = await stand.push()
    found = await stand.port.read(stand.name, None)

    def lost() -> None:
        raise LeaseLostError("another holder may have it")

    with pytest.raises(LeaseLostError):
        await stand.port.rewind(found, to=root, backup_branch=BACKUP, still_ours=lost)
    assert await stand.refs() == {"main": head}


async def test_a_push_meanwhile_is_never_rewound(stand: Stand) -> None:
    root = await stand.push()
    await stand.push()
    found = await stand.port.read(stand.name, None)
    pushed = await stand.push()
    with pytest.raises(PermanentError) as refused:
        await stand.port.rewind(found, to=root, backup_branch=BACKUP, still_ours=ours)
    assert refused.value.reason is Reason.REPOSITORY_MOVED
    assert await stand.refs() == {"main": pushed}


async def test_repeating_a_rewinding_is_harmless(stand: Stand) -> None:
    root = await stand.push()
    head = await stand.push()
    found = await stand.port.read(stand.name, None)
    first = await stand.port.rewind(found, to=root, backup_branch=BACKUP, still_ours=ours)
    assert await stand.port.rewind(found, to=root, backup_branch=BACKUP, still_ours=ours) == first
    again = await stand.port.read(stand.name, None)
    assert await stand.port.rewind(again, to=root, backup_branch=BACKUP, still_ours=ours) == first
    assert await stand.refs() == {"main": root, BACKUP: head}


async def test_a_push_after_the_rewinding_is_not_rewound_by_a_repetition(stand: Stand) -> None:
    root = await stand.push()
    await stand.push()
    found = await stand.port.read(stand.name, None)
    await stand.port.rewind(found, to=root, backup_branch=BACKUP, still_ours=ours)
    pushed = await stand.push()
    for seen in (found, replace(found, head=pushed)):
        with pytest.raises(PermanentError) as refused:
            await stand.port.rewind(seen, to=root, backup_branch=BACKUP, still_ours=ours)
        assert refused.value.reason is Reason.REPOSITORY_MOVED
    assert (await stand.refs())["main"] == pushed


async def test_a_lost_answer_is_found_out(stand: Stand) -> None:
    root = await stand.push()
    head = await stand.push()
    found = await stand.port.read(stand.name, None)
    await stand.lose_the_answer_of_a_rewinding()
    try:
        rewound = await stand.port.rewind(found, to=root, backup_branch=BACKUP, still_ours=ours)
    except TemporaryError:
        rewound = await stand.port.rewind(found, to=root, backup_branch=BACKUP, still_ours=ours)
    assert rewound == Rewound(before=head, after=root, backup_branch=BACKUP, already=False)


async def test_a_protected_branch_refuses_and_nothing_is_changed(stand: Stand) -> None:
    root = await stand.push()
    head = await stand.push()
    await stand.protect("main")
    found = await stand.port.read(stand.name, None)
    with pytest.raises(PermanentError) as refused:
        await stand.port.rewind(found, to=root, backup_branch=BACKUP, still_ours=ours)
    assert refused.value.reason is Reason.REPOSITORY_REFUSED
    assert await stand.refs() == {"main": head}


async def test_a_target_that_is_no_commit_is_refused(stand: Stand) -> None:
    await stand.push()
    head = await stand.push()
    found = await stand.port.read(stand.name, None)
    with pytest.raises(PermanentError) as refused:
        await stand.port.rewind(found, to="1" * 40, backup_branch=BACKUP, still_ours=ours)
    assert refused.value.reason is Reason.REPOSITORY_REFUSED
    assert await stand.refs() == {"main": head}
