"""Proofs by restoring, in memory: one scratch server that takes everything, unless a test says otherwise."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime

from daemon.ports.backups import Backup
from daemon.ports.errors import PermanentError, PortError
from schemas.backups import Proof, Receipt
from schemas.reasons import Reason
from schemas.wire import ResetId
from tests.memory.backups import MemoryBackups


class MemoryProofs:
    """Implements `daemon.ports.restore_proofs.RestoreProofs`."""

    def __init__(self, backups: MemoryBackups) -> None:
        self._backups = backups
        self.refusal: PortError | None = None
        """What is said of each scratch server; None: one takes everything."""
        self.poorer: set[str] = set()
        """Paths of dumps that bring back less than was counted."""
        self.proven: list[str] = []
        """The SHA-256 of each dump that was restored, in order."""
        self.there: set[ResetId] = set()
        """The resets of which a scratch database is there."""
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        """What happens while a dump is restored."""

    async def scratch_for(self, server_version: int, size_bytes: int) -> str:  # noqa: ARG002 - the port's
        """See the port."""
        if self.refusal is not None:
            raise self.refusal
        return "scratch:5432"

    async def prove(self, backup: Backup, *, reset: ResetId) -> Receipt:
        """See the port."""
        content = self._backups.files.get(backup.path, b"")
        if hashlib.sha256(content).hexdigest() != backup.sha256:
            raise PermanentError(Reason.BACKUP_UNPROVEN, f"{backup.path} is not what was dumped")
        scratch = await self.scratch_for(160_000, backup.size_bytes)
        self.there.add(reset)
        await asyncio.sleep(0)
        if self.meanwhile is not None:
            await self.meanwhile()
        self.there.discard(reset)
        if backup.path in self.poorer:
            detail = f"{backup.path} was restored, and is not what was dumped: rows of people: 1 instead of 2"
            raise PermanentError(Reason.BACKUP_UNPROVEN, detail)
        self.proven.append(backup.sha256)
        return Receipt(
            sha256=backup.sha256, proof=Proof.RESTORED, at=datetime.now(UTC), seconds=1.5, server=scratch
        )

    async def leftovers(self) -> Collection[ResetId]:
        """See the port."""
        return set(self.there)

    async def drop(self, reset: ResetId) -> None:
        """See the port."""
        self.there.discard(reset)
