"""Backups in memory. A dump is what the database had, in bytes."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import replace
from datetime import UTC, datetime

from daemon.ports.backups import Backup
from daemon.ports.databases import Witness
from daemon.ports.errors import PermanentError
from schemas.reasons import Reason
from schemas.wire import ResourceKey
from tests.memory.databases import MemoryDatabases


class MemoryBackups:
    """Implements `daemon.ports.backups.Backups`. A test may remove from `files` what a disk may lose."""

    def __init__(self, databases: MemoryDatabases) -> None:
        self._databases = databases
        self.files: dict[str, bytes] = {}
        self.newest = 10**9
        """The newest server that can be dumped, as `server_version_num`."""

    async def dump(
        self, url: str, *, environment: str, resource: ResourceKey, attempt: str, witness: Witness
    ) -> Backup:
        """See the port."""
        database = self._databases.at(url)
        if witness.identity.key != resource:
            raise PermanentError(Reason.DATABASE_MISMATCH, f"{witness.identity.key} answers, not {resource}")
        if not await self._databases.leads_to(witness, url, environment=environment):
            raise PermanentError(Reason.DATABASE_MISMATCH, f"{database.key} is not where the witness is")
        content = database.dumped()
        path = f"{environment}/{database.name}/{attempt.replace('/', '.')}.{secrets.token_hex(4)}.dump"
        self.files[path] = content
        digest = hashlib.sha256(content).hexdigest()
        return Backup(resource, path, len(content), digest, datetime.now(UTC), proven=True)

    async def check_programs(self, server_version: int) -> None:
        """See the port."""
        if server_version > self.newest:
            detail = f"no pg_dump for {server_version}; found {self.newest}"
            raise PermanentError(Reason.PG_DUMP_TOO_OLD, detail)

    async def prove(self, backup: Backup) -> Backup:
        """See the port."""
        content = self.files.get(backup.path)
        if content is None or hashlib.sha256(content).hexdigest() != backup.sha256:
            raise PermanentError(Reason.BACKUP_UNPROVEN, f"{backup.path} is not what was written")
        return replace(backup, proven=True)

    async def holds(self, path: str, size_bytes: int, sha256: str) -> bool:
        """See the port."""
        content = self.files.get(path, b"")
        return (len(content), hashlib.sha256(content).hexdigest()) == (size_bytes, sha256)

    async def restore(self, backup: Backup, url: str, *, environment: str) -> None:  # noqa: ARG002 - the port's
        """See the port."""
        database = self._databases.at(url)
        await self.prove(backup)
        database.tables = json.loads(self.files[backup.path])
