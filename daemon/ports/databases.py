"""Databases: who they really are, the handshake's lock, and backups that are proven."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from schemas.wire import ResourceKey


@dataclass(frozen=True)
class Identity:
    """A database as its server names it."""

    key: ResourceKey
    name: str
    server_version: int
    """`server_version_num`."""
    size_bytes: int
    tables: int


class Databases(Protocol):
    """Connections that the daemon itself makes, with the URL that the pod shows."""

    async def identify(self, url: str, *, environment: str) -> Identity:
        """Who answers at `url`. A host without a dot is looked up in the environment's namespace.

        Raises:
            TemporaryError: `database-unreachable`.
            PermanentError: `database-unidentified` (refused login, no such database, not a PostgreSQL URL).
        """
        ...

    def hold_lock(self, url: str, *, environment: str) -> AbstractAsyncContextManager[int]:
        """Hold an advisory lock for as long as the block runs; gives its number.

        The number is new, random, positive and under 2**31 (`pg_locks.objid` of `pg_advisory_lock(bigint)`).
        """
        ...


@dataclass(frozen=True)
class Backup:
    """A dump that was written whole, under its final name."""

    resource: ResourceKey
    path: str
    """Relative to the backup store."""
    size_bytes: int
    sha256: str
    taken_at: datetime
    proven: bool
    """Whether it was read through after its checksum was compared."""


class Backups(Protocol):
    """Dumps of databases."""

    async def dump(self, url: str, *, environment: str, resource: ResourceKey, attempt: str) -> Backup:
        """Dump (pg_dump custom format), checksum, rename, read through; a failed one leaves nothing that looks whole.

        Raises:
            TemporaryError: `database-unreachable`, disk full.
            PermanentError: `backup-failed`, `backup-unproven`.
        """
        ...

    async def prove(self, backup: Backup) -> Backup:
        """Compare size and checksum and read it through (`pg_restore -f /dev/null`).

        Raises:
            PermanentError: `backup-unproven`.
        """
        ...

    async def restore(self, backup: Backup, url: str, *, environment: str) -> None:
        """Put a proven backup back into the database at `url`, in one transaction, its present contents dropped."""
        ...
