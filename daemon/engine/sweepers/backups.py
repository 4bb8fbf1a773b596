"""Lets old dumps go from the store, and proves a dump again when somebody asks.

A dump goes before its record, and its manifest before the dump: an end at any instant leaves either a dump that counts
or a record whose dump the next pruning removes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from daemon.engine.high_water import HighWater
from daemon.engine.sweepers.repeating import repeat
from daemon.ports.backups import Backup, Backups
from daemon.ports.clock import Clock
from daemon.ports.dump_store import DumpStore
from daemon.ports.errors import PortError
from daemon.ports.store.store import Store
from schemas.wire import ResetId, ResourceKey
from statemachines.retention import KeptDump, dumps_that_may_go

log = structlog.get_logger()

PRUNE_INTERVAL = 600.0
"""Seconds between two prunings."""


@dataclass(frozen=True)
class BackupLimits:
    """How much is kept for each database."""

    keep: int = 5
    """Resets whose dumps stay."""
    days: timedelta = timedelta(days=30)
    """How long the others stay."""


class BackupKeeper:
    """One loop of each daemon; several at once are harmless. The API asks it, too."""

    def __init__(
        self,
        store: Store,
        backups: Backups,
        dumps: DumpStore,
        clock: Clock,
        high_water: HighWater,
        limits: BackupLimits,
    ) -> None:
        self._store = store
        self._backups = backups
        self._dumps = dumps
        self._clock = clock
        self._high_water = high_water
        self._limits = limits

    async def run(self) -> None:
        """Prune until cancelled."""
        await repeat(self._sweep, self._clock, every=PRUNE_INTERVAL, failed=_failed)

    async def _sweep(self) -> None:
        await self.prune()

    async def prune(self, *, dry_run: bool = False) -> Sequence[KeptDump]:
        """Remove the dumps that may go, and return them.

        Raises:
            PortError: the state database or the store does not answer. Or the state is older than what it launched.
        """
        await self._high_water.check()
        before = self._clock.now() - self._limits.days
        going = dumps_that_may_go(await self._kept(), keep=self._limits.keep, older_than=before)
        if dry_run:
            return going
        for dump in going:
            await self._dumps.delete(f"{dump.path}.json")
            await self._dumps.delete(dump.path)
            await self._store.forget_backup(dump.path)
            log.info("backups.pruned", path=dump.path, reset=dump.reset_id, resource=dump.resource)
        return going

    async def verify(self, row: Mapping[str, Any]) -> Backup:
        """Read a recorded dump through once more, and compare it with its manifest.

        Raises:
            PermanentError: `backup-unproven`.
            TemporaryError: the store does not answer.
        """
        recorded = Backup(
            ResourceKey(row["resource"]),
            row["path"],
            row["size_bytes"],
            row["sha256"],
            row["taken_at"],
            proven=row["proven"],
        )
        return await self._backups.prove(recorded)

    async def manifest(self, path: str) -> bytes | None:
        """Return the manifest of a dump; None where it is gone.

        Raises:
            TemporaryError: the store does not answer.
        """
        return await self._dumps.document(f"{path}.json")

    async def _kept(self) -> list[KeptDump]:
        rows = await self._store.backups()
        takers = {each: await self._store.find(each) for each in {row["reset_id"] for row in rows}}
        return [
            KeptDump(
                row["path"],
                ResourceKey(row["resource"]),
                ResetId(row["reset_id"]),
                taker.state,
                row["taken_at"],
                first=row["first"],
                proven=row["proven"],
            )
            for row in rows
            if (taker := takers[row["reset_id"]]) is not None
        ]


def _failed(error: PortError, seconds: float) -> None:
    log.warning("backups.prune-failed", reason=error.reason.value, detail=error.detail, seconds=seconds)
