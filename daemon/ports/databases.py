"""Databases: who they really are, the handshake's lock, and backups that are proven."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from schemas.wire import AttemptId, ResourceKey


@dataclass(frozen=True)
class Identity:
    """A database as its server names it."""

    key: ResourceKey
    name: str
    server_version: int
    """`server_version_num`."""
    size_bytes: int
    tables: int


class AdvisoryLock(Protocol):
    """An advisory lock of the daemon's own, in the session that took it."""

    @property
    def number(self) -> int:
        """New for each lock, random, positive and under 2**31 (`pg_locks.objid` of `pg_advisory_lock(bigint)`)."""
        ...

    async def is_held(self) -> bool:
        """Whether its session lives, and with it the lock: a server that failed over has forgotten both."""
        ...


@dataclass(frozen=True)
class Leftover:
    """What a look at a server's sessions found."""

    at: datetime
    """When it was, by the server's clock."""
    sessions: tuple[str, ...]
    """Those that are at work, for people: `pid 4711 since 12:03:11`."""


class Databases(Protocol):
    """Connections that the daemon itself makes, with the URL that the pod shows."""

    async def identify(self, url: str, *, environment: str) -> Identity:
        """Who answers at `url`. A host without a dot is looked up in the environment's namespace.

        Raises:
            TemporaryError: `database-unreachable`.
            PermanentError: `database-unidentified` (refused login, no such database, not a PostgreSQL URL).
        """
        ...

    def hold_lock(self, url: str, *, environment: str) -> AbstractAsyncContextManager[AdvisoryLock]:
        """Hold an advisory lock for as long as the block runs and its session lives."""
        ...

    async def leftover(
        self,
        url: str,
        *,
        environment: str,
        attempt: AttemptId,
        since: datetime,
        working_at: datetime | None,
    ) -> Leftover:
        """Sessions that may be a dead attempt's: of the URL's role in its database, in a statement that began after the
        attempt did and was at work already at `working_at` (the `at` of the first look; None: this is the first).

        Those that carry the attempt's session name are its own: they are ended, and no longer there at a later look.

        Raises:
            TemporaryError, PermanentError: as `identify`.
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

        Repeated for one attempt, it is another dump: what an earlier one stored is never replaced.

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

    async def holds(self, path: str, size_bytes: int) -> bool:
        """Whether a dump of that size still lies at that path; its contents are not read.

        Raises:
            TemporaryError: the store does not answer.
        """
        ...

    async def restore(self, backup: Backup, url: str, *, environment: str) -> None:
        """Put a proven backup back into the database at `url`, in one transaction, its present contents dropped."""
        ...
