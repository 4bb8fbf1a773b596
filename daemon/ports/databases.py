"""Databases of environments: which one a URL reaches, a witness in it, and what a dead attempt left."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from schemas.facts import Loss
from schemas.wire import AttemptId, ResourceKey
from statemachines.steps.activity import Client, Written


@dataclass(frozen=True)
class Marker:
    """A row of the table `identity` in the schema `resetd`: whose database people say that this is."""

    environment: str
    believed: bool
    """Whether the row names this server's system identifier and this database. In a copy it names another one."""


@dataclass(frozen=True)
class Identity:
    """A database as its server names it."""

    key: ResourceKey
    name: str
    server_version: int
    """`server_version_num`."""
    size_bytes: int
    tables: int
    markers: tuple[Marker, ...] = ()
    """At most 100."""

    @property
    def marked(self) -> tuple[str, ...]:
        """The environments that the believed markers name, sorted."""
        return tuple(sorted({marker.environment for marker in self.markers if marker.believed}))


class Witness(Protocol):
    """A session of the daemon in one database: what it hears was said in that database, and nowhere else.

    - It LISTENs on `CHANNEL`. NOTIFY reaches one database of one running server: no copy, no standby, no other one.
    - It holds a session-level advisory lock, by which other sessions in the database recognise it.
    - It stands in no transaction, so that neither DDL nor vacuum waits for it.
    """

    @property
    def identity(self) -> Identity:
        """The database, as it was read in this very session."""
        ...

    @property
    def incarnation(self) -> str:
        """The server's running process, and the database in it, as text to compare.

        A server that was started again, a copy, and another database under the same name each have another one.
        """
        ...

    @property
    def lock(self) -> int:
        """Number of the advisory lock, `objid` of `pg_advisory_lock(bigint)`: random, positive, under 2**31."""
        ...

    @property
    def pid(self) -> int:
        """Process of its backend."""
        ...

    @property
    def started_at(self) -> datetime:
        """When its backend began (`pg_stat_activity.backend_start`)."""
        ...

    async def hear(self, nonce: str, *, timeout: float) -> bool:
        """Tell whether somebody sent `nonce` on `CHANNEL`, since the session began, or in the next `timeout` seconds.

        A session that has ended hears nothing.
        """
        ...

    async def is_alive(self) -> bool:
        """Ask the server whether the session lives, in the same backend and database, listens, and holds its lock."""
        ...

    async def sees(self, application_name: str) -> bool:
        """Tell whether another client's session of that name is in this database now.

        Raises:
            TemporaryError: `database-unreachable`: the session has ended.
        """
        ...

    async def clients(self) -> tuple[Client, ...]:
        """Return the clients' sessions in this database now, but for the daemon's own.

        Sessions of attempts are among them. What the server itself runs, and replication, is not.

        Raises:
            TemporaryError: as `sees`.
        """
        ...

    async def written(self) -> Written:
        """Return how many rows of this database's tables were inserted, updated and deleted, as far as is reported.

        A session reports within seconds, and when it ends. Temporary tables and the server's own do not count.

        Raises:
            TemporaryError: as `sees`.
        """
        ...


CHANNEL = "resetd"
"""The channel on which a handshake's nonce comes."""


@dataclass(frozen=True)
class Leftover:
    """The sessions that a dead attempt may have left at work on a server."""

    at: datetime
    """When they were read, by the server's clock."""
    sessions: tuple[str, ...]
    """The sessions that are at work, for people: `pid 4711 since 12:03:11`."""
    hidden: tuple[str, ...] = ()
    """Sessions in a transaction whose statements the server hides from our role: whether they are the attempt's can't
    be shown. For people: `pid 4711 of migrator`."""


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

    async def identify(self, url: str, *, environment: str, direct: bool = False) -> Identity:
        """Return the identity of the database that answers at `url`.

        With `direct`, check as well that sessions at `url` stay in one backend of a primary. It sets nothing in any.

        Raises:
            TemporaryError: `database-unreachable`.
            PermanentError: `database-unidentified`: a refused login, no such database, or no PostgreSQL URL;
                `database-local-to-pod`, `database-several-hosts`: an address that leads the daemon elsewhere than the
                pod, or not always to one server; `database-tls`: no connection encrypted as the URL asks.
            PermanentError: with `direct`: `database-pooled`: a pooler changes backends between transactions or
                statements; `database-standby`.
        """
        ...

    async def sessions(self, url: str, *, environment: str) -> tuple[Session, ...]:
        """Return the clients' sessions in the database, but for those of this daemon's workers and programs.

        A daemon of another cluster is somebody else. So is a command of an attempt: its pod says whose that is.

        Raises:
            TemporaryError, PermanentError: as `identify`.
        """
        ...

    async def end_idle(
        self, url: str, *, environment: str, sessions: Collection[Session], seconds: float
    ) -> tuple[Session, ...]:
        """End those of these sessions that do nothing, and return them.

        - They have been idle for so many seconds, outside of a transaction, as a pooler's are that nobody uses.
        - The role of the URL may end them: they are its own, or those of a role that it is a member of.
        - One that began after it was listed is another one, and stays.

        Raises:
            TemporaryError, PermanentError: as `identify`.
        """
        ...

    async def lost_by_wipe(
        self, url: str, *, environment: str, service_url: str, whole: bool
    ) -> tuple[Loss, ...]:
        """Return what goes with the tables of the service's schema, and what no migration is known to make again.

        It is told by name, in the order of the names.

        - Extensions in the schema, or that need one there; each with whether the service's role may create it again.
        - Grants to other roles, default privileges, objects of other owners, security labels.
        - What depends on the schema from elsewhere: views, keys, triggers, event triggers, publications.

        Args:
            url: Where the daemon connects.
            environment: Whose namespace short hosts are looked up in.
            service_url: The service's own URL: its role wipes, and the schema is the one that it names (`?schema=`).
            whole: Whether the schema itself is dropped; otherwise its tables are.

        Raises:
            TemporaryError, PermanentError: as `identify`.
        """
        ...

    def witness(self, url: str, *, environment: str) -> AbstractAsyncContextManager[Witness]:
        """Open a witness in the database at `url`. Its session ends with the block.

        Raises:
            TemporaryError, PermanentError: as `identify`.
            PermanentError: `database-standby`: a server in recovery, in which nobody can NOTIFY.
        """
        ...

    async def leads_to(self, witness: Witness, url: str, *, environment: str) -> bool:
        """Tell whether a new session at `url` arrives where the witness is: one of the same identity sees its lock.

        It takes milliseconds. What it shows is good for the moment alone: the next connection may be led elsewhere.

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

        - They are sessions in the URL's database, in a statement that began after the attempt did, and no later than
          `working_at`. A tool may log in as another role than the URL's, and a role may become another one.
        - Sessions of which the server shows only that they are in a transaction are `hidden`.
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
