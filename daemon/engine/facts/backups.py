"""Reads how the databases of a plan can be backed up, and their backups be proven."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from daemon.ports.backups import Backups
from daemon.ports.errors import PortError, TemporaryError
from daemon.ports.restore_proofs import RestoreProofs
from schemas.backups import Proof
from schemas.catalog.catalog import Catalog
from schemas.facts import BackupFact, BackupObstacle, DatabaseFact


class BackupReader:
    """Reads it through ports. Scratch servers are asked for unless the catalog wants no restore anywhere."""

    def __init__(self, backups: Backups, proofs: RestoreProofs, catalog: Catalog) -> None:
        self._backups = backups
        self._proofs = proofs
        self._catalog = catalog

    async def read(
        self, databases: Collection[DatabaseFact], slots: asyncio.Semaphore
    ) -> tuple[BackupFact, ...]:
        """Read it for each of these databases. What stands in the way is part of the answer."""
        each = {fact.key: fact for fact in databases}
        return tuple(await asyncio.gather(*(self._read(each[key], slots) for key in sorted(each))))

    async def _read(self, fact: DatabaseFact, slots: asyncio.Semaphore) -> BackupFact:
        obstacles: list[BackupObstacle] = []
        scratch = None
        async with slots:
            try:
                await self._backups.check_programs(fact.server_version)
            except PortError as error:
                obstacles.append(_obstacle(error, of_restore=False))
            if self._catalog.proof is not Proof.READ:
                try:
                    scratch = await self._proofs.scratch_for(fact.server_version, fact.size_bytes)
                except PortError as error:
                    obstacles.append(_obstacle(error, of_restore=True))
        return BackupFact(key=fact.key, scratch=scratch, obstacles=tuple(obstacles))


def _obstacle(error: PortError, *, of_restore: bool) -> BackupObstacle:
    detail = f"{error.detail}. {error.hint}" if error.hint else error.detail
    return BackupObstacle(
        reason=error.reason,
        detail=detail,
        of_restore=of_restore,
        temporary=isinstance(error, TemporaryError),
    )
