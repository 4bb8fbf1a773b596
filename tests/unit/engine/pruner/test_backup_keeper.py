"""The keeper of backups removes what retention lets go, from the store and then from the state, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.adapters.dumps.directory import DirectoryDumps
from daemon.adapters.system.clock import SystemClock
from daemon.engine.high_water import BehindError, HighWater
from daemon.engine.sweepers.backups import BackupKeeper, BackupLimits
from daemon.ports.backups import Backup
from schemas.marks import Mark, Position
from schemas.resets import ResetState
from schemas.wire import ResourceKey
from tests.contract.dumps.conftest import pieces_of
from tests.contract.store.making import begun, moved
from tests.memory.backups import MemoryBackups
from tests.memory.databases import MemoryDatabases
from tests.memory.marks import MemoryMarks
from tests.memory.store import MemoryStore


class Stand:
    """A keeper over a directory and ports in memory."""

    def __init__(self, directory: Path) -> None:
        clock = SystemClock()
        self.store, self.marks = MemoryStore(clock), MemoryMarks()
        self.dumps = DirectoryDumps(directory)
        high_water = HighWater(self.store, self.marks, clock)
        limits = BackupLimits(keep=1, days=timedelta(days=30))
        backups = MemoryBackups(MemoryDatabases())
        self.keeper = BackupKeeper(self.store, backups, self.dumps, clock, high_water, limits)

    async def done(self, environment: str, days: int) -> str:
        """Make a reset that is done, with a dump of that many days ago."""
        path = f"{environment}/core/r.0123abcd.dump"
        sent = await self.dumps.put(path, pieces_of([b"dump"]))
        await self.dumps.put_document(f"{path}.json", b"{}")
        at = datetime.now(UTC) - timedelta(days=days)
        backup = Backup(
            ResourceKey("database/1/core"), path, sent.size_bytes, sent.sha256, at, proven=True, first=True
        )
        found = await begun(self.store, environment)
        await self.store.save(moved(found, ResetState.DONE, backups=(backup,), release_lease=True))
        position = await self.store.position()
        mark = Mark(position=position, at=datetime.now(UTC), launches=())
        await self.marks.put(await self.store.state_id(), mark)
        return path

    async def stored(self) -> set[str]:
        """Return what is in the directory."""
        return {stored.name for stored in await self.dumps.list()}


async def test_an_old_dump_goes_with_its_manifest_and_its_record(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    old, new = await stand.done("a-sandbox", 90), await stand.done("b-sandbox", 1)
    assert [dump.path for dump in await stand.keeper.prune(dry_run=True)] == [old]
    assert await stand.stored() == {old, f"{old}.json", new, f"{new}.json"}
    assert [dump.path for dump in await stand.keeper.prune()] == [old]
    assert await stand.stored() == {new, f"{new}.json"}
    assert [row["path"] for row in await stand.store.backups()] == [new]
    assert await stand.keeper.prune() == ()


async def test_a_pruning_that_was_killed_between_dump_and_record_is_finished_by_the_next(
    tmp_path: Path,
) -> None:
    stand = Stand(tmp_path)
    old, new = await stand.done("a-sandbox", 90), await stand.done("b-sandbox", 1)
    await stand.dumps.delete(f"{old}.json")
    await stand.dumps.delete(old)
    await stand.keeper.prune()
    assert [row["path"] for row in await stand.store.backups()] == [new]


async def test_a_state_that_was_restored_from_an_older_backup_removes_no_dump(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    old, _ = await stand.done("a-sandbox", 90), await stand.done("b-sandbox", 1)
    mark = Mark(position=Position(number=10**6, digest="ab" * 16), at=datetime.now(UTC), launches=())
    await stand.marks.put(await stand.store.state_id(), mark)
    with pytest.raises(BehindError):
        await stand.keeper.prune()
    assert old in await stand.stored()
