"""What every backups port has to do."""

from __future__ import annotations

import re

import pytest

from daemon.ports.backups import Backup
from daemon.ports.errors import PermanentError
from schemas.reasons import Reason
from schemas.wire import ResourceKey
from tests.contract.backups.conftest import ENVIRONMENT, Stand

ATTEMPT = "0199-reset/backup.core/1"


async def dumped(stand: Stand, attempt: str = ATTEMPT) -> Backup:
    async with stand.databases.witness(stand.url, environment=ENVIRONMENT) as witness:
        return await stand.backups.dump(
            stand.url,
            environment=ENVIRONMENT,
            resource=witness.identity.key,
            attempt=attempt,
            witness=witness,
        )


async def test_a_dump_is_proven_and_lies_under_its_environment_database_and_attempt(stand: Stand) -> None:
    backup = await dumped(stand)
    assert backup.proven
    assert re.fullmatch(r"qa-sandbox/core/0199-reset\.backup\.core\.1\.[0-9a-f]{8}\.dump", backup.path)
    assert backup.size_bytes > 0
    assert len(backup.sha256) == 64
    assert stand.stored() == {backup.path}


async def test_a_dump_that_was_cut_to_a_third_is_not_proven(stand: Stand) -> None:
    backup = await dumped(stand)
    stand.cut(backup.path)
    with pytest.raises(PermanentError) as raised:
        await stand.backups.prove(backup)
    assert raised.value.reason is Reason.BACKUP_UNPROVEN


async def test_a_dump_that_is_gone_or_was_cut_is_held_no_more(stand: Stand) -> None:
    backup = await dumped(stand)
    known = (backup.size_bytes, backup.sha256)
    assert await stand.backups.holds(backup.path, *known)
    assert not await stand.backups.holds(f"{backup.path}.other", *known)
    stand.cut(backup.path)
    assert not await stand.backups.holds(backup.path, *known)


async def test_a_dump_that_was_rewritten_to_the_same_size_is_held_no_more(stand: Stand) -> None:
    backup = await dumped(stand)
    known = (backup.size_bytes, backup.sha256)
    assert await stand.backups.holds(backup.path, *known)
    stand.flip_a_byte(backup.path)
    assert not await stand.backups.holds(backup.path, *known)
    with pytest.raises(PermanentError) as raised:
        await stand.backups.prove(backup)
    assert raised.value.reason is Reason.BACKUP_UNPROVEN


async def test_another_database_than_was_planned_is_not_dumped(stand: Stand) -> None:
    async with stand.databases.witness(stand.url, environment=ENVIRONMENT) as witness:
        with pytest.raises(PermanentError) as raised:
            await stand.backups.dump(
                stand.url,
                environment=ENVIRONMENT,
                resource=ResourceKey("database/1/core"),
                attempt=ATTEMPT,
                witness=witness,
            )
    assert raised.value.reason is Reason.DATABASE_MISMATCH
    assert stand.stored() == set()


async def test_a_restore_brings_back_what_was_there_and_nothing_else(stand: Stand) -> None:
    before = await stand.contents()
    backup = await dumped(stand)
    await stand.change()
    assert await stand.contents() != before
    await stand.backups.restore(backup, stand.url, environment=ENVIRONMENT)
    assert await stand.contents() == before


async def test_a_restore_of_a_damaged_dump_changes_nothing(stand: Stand) -> None:
    backup = await dumped(stand)
    await stand.change()
    changed = await stand.contents()
    stand.cut(backup.path)
    with pytest.raises(PermanentError):
        await stand.backups.restore(backup, stand.url, environment=ENVIRONMENT)
    assert await stand.contents() == changed


async def test_two_attempts_are_two_dumps(stand: Stand) -> None:
    one = await dumped(stand)
    two = await dumped(stand, "0199-reset/backup.core/2")
    assert stand.stored() == {one.path, two.path}
    await stand.backups.prove(one)
    await stand.backups.prove(two)


async def test_a_later_dump_of_the_same_attempt_leaves_the_former_one_as_it_was(stand: Stand) -> None:
    """A worker that was paused, and wakes up, dumps what was destroyed meanwhile. The good dump has to survive that."""
    before = await stand.contents()
    good = await dumped(stand)
    await stand.change()
    late = await dumped(stand)
    assert stand.stored() == {good.path, late.path}
    await stand.backups.restore(good, stand.url, environment=ENVIRONMENT)
    assert await stand.contents() == before
