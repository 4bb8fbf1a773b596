"""Databases of environments: which one a URL reaches, the handshake's lock, what a dead attempt left, and backups."""

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
    """An advisory lock that a session of the daemon holds."""

    @property
    def number(self) -> int:
        """Return the lock's number, which a service's own tool finds as `pg_locks.objid` of `pg_advisory_lock(bigint)`.

        It is new for each lock, random, positive and under 2**31.
        """
        ...

    async def is_held(self) -> bool:
        """Tell whether the session lives, and with it the lock. A server that failed over has forgotten both."""
        ...


@dataclass(frozen=True)
class Leftover:
    """The sessions that a dead attempt may have left at work on a server."""

    at: datetime
    """When they were read, by the server's clock."""
    sessions: tuple[str, ...]
    """The sessions that are at work, for people: `pid 4711 since 12:03:11`."""


@dataclass(frozen=True)
class Session:
    """A client's session in a database."""

    pid: int
    """The backend's process on the server."""
    role: str
    application: str
    """Its `application_name`; may be empty."""
    address: str | None
    """Where it comes from; None for one on the server's own socket, and where it is hidden."""
    hidden: bool
    """Whether the server keeps address and start from the role that asked: they are another role's."""
    writes: bool
    """Whether its role may change a table of the database, also by becoming another role."""
    since: datetime | None
    """When it began, by the server's clock; None where it is hidden."""


class Databases(Protocol):
    """Asks databases by connections of the daemon's own, with the URL that a pod shows.

    A host without a dot is looked up in the environment's namespace.
    """

    async def identify(self, url: str, *, environment: str) -> Identity:
        """Return the identity of the database that answers at `url`.

        Raises:
            TemporaryError: `database-unreachable`.
            PermanentError: `database-unidentified`: a refused login, no such database, or no PostgreSQL URL.
        """
        ...

    async def sessions(self, url: str, *, environment: str) -> tuple[Session, ...]:
        """Return the clients' sessions in the database, but for the daemon's own and those of its attempts.

        Raises:
            TemporaryError, PermanentError: as `identify`.
        """
        ...

    def hold_lock(self, url: str, *, environment: str) -> AbstractAsyncContextManager[AdvisoryLock]:
        """Hold an advisory lock for as long as the block runs and its session lives.

        Raises:
            TemporaryError, PermanentError: as `identify`.
        """
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
        """Return the sessions that may still do a dead attempt's work.

        - They are sessions of the URL's role in its database, in a statement that began after the attempt did, and no
          later than `working_at`.
        - Sessions that carry the attempt's session name are the attempt's own. They are ended, and a later call does
          not return them.

        Args:
            url: As the service's pod has it.
            environment: Whose namespace short hosts are looked up in.
            attempt: The dead attempt.
            since: When the attempt began, by the daemon's clock.
            working_at: `Leftover.at` of the first call for this attempt; None in that first call.

        Raises:
            TemporaryError, PermanentError: as `identify`.
        """
        ...


@dataclass(frozen=True)
class Backup:
    """A dump that was written whole, and has its final name."""

    resource: ResourceKey
    path: str
    """Relative to the backup store."""
    size_bytes: int
    sha256: str
    taken_at: datetime
    proven: bool
    """Whether it was read through after its checksum was compared."""


class Backups(Protocol):
    """Keeps dumps of databases."""

    async def dump(self, url: str, *, environment: str, resource: ResourceKey, attempt: str) -> Backup:
        """Dump a database (pg_dump's custom format), checksum the dump, give it its final name, and read it through.

        - A dump that fails leaves nothing that looks whole.
        - Repeated for one attempt, it makes another dump. No stored dump is ever replaced.

        Raises:
            TemporaryError: `database-unreachable`, or `backup-failed`: the disk is full.
            PermanentError: `backup-failed`, `backup-unproven`, or `database-mismatch`: another database than `resource`
                answers.
        """
        ...

    async def prove(self, backup: Backup) -> Backup:
        """Compare a dump's size and checksum, and read it through (`pg_restore -f /dev/null`).

        Raises:
            TemporaryError: the store does not answer.
            PermanentError: `backup-unproven`.
        """
        ...

    async def holds(self, path: str, size_bytes: int) -> bool:
        """Tell whether a dump of that size is still at that path. Its contents are not read.

        Raises:
            TemporaryError: the store does not answer.
        """
        ...

    async def restore(self, backup: Backup, url: str, *, environment: str) -> None:
        """Put a proven backup back into the database at `url`, in one transaction that drops the present contents.

        Raises:
            TemporaryError: `database-unreachable`, or `backup-failed`: somebody held locks too long.
            PermanentError: `database-unidentified`, `backup-unproven`, `backup-failed`.
        """
        ...
