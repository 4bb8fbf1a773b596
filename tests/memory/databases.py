"""Databases in memory. A database is found by its URL: one that nobody added does not answer."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from daemon.ports.databases import Identity, Leftover, Marker, Session, Witness
from daemon.ports.errors import PermanentError, TemporaryError
from schemas.facts import Loss
from schemas.reasons import Reason
from schemas.wire import AttemptId, ResourceKey
from statemachines.steps.activity import Client, Written
from statemachines.steps.session_names import session_name


@dataclass
class MemoryDatabase:
    """A database. A reset changes its `tables`."""

    server: str
    name: str
    tables: dict[str, list[Any]] = field(default_factory=dict)
    made: list[list[Any]] = field(default_factory=list)
    """The tables that were ever numbered: another list is another table."""
    witnesses: list[MemoryWitness] = field(default_factory=list)
    """Sessions that listen here now. A copy of the server is another object with the same server and name."""
    incarnation: str = field(default_factory=lambda: secrets.token_hex(4))
    server_version: int = 160004
    answers: bool = True
    pooled: bool = False
    standby: bool = False
    at_work: dict[str, datetime] = field(default_factory=dict)
    """`application_name` of each session in a statement -> when the statement began."""
    sessions: list[Session] = field(default_factory=list)
    """Further sessions of clients. A URL of another role shows neither their address nor their start."""
    idle: set[int] = field(default_factory=set)
    """Processes of those that do nothing."""
    losses: list[Loss] = field(default_factory=list)
    """What a wipe takes with it."""
    markers: set[tuple[str, str, str]] = field(default_factory=set)
    """Environment, system identifier and name of each marker."""
    hidden: list[str] = field(default_factory=list)
    """Sessions of other roles that are in a transaction."""
    written: int = 0
    """Rows that were written, beside one for each time that other `tables` were seen."""
    tables_seen: bytes | None = None

    def number(self, table: str) -> int:
        """By which number the server knows the table."""
        rows = self.tables[table]
        if not any(one is rows for one in self.made):
            self.made.append(rows)
        return next(number for number, one in enumerate(self.made, start=1) if one is rows)

    def written_rows(self) -> int:
        """Count what was written so far."""
        tables = self.dumped()
        if self.tables_seen not in {None, tables}:
            self.written += 1
        self.tables_seen = tables
        return self.written

    def dumped(self) -> bytes:
        """Write all rows down, the same rows as the same bytes."""
        return json.dumps(self.tables, sort_keys=True).encode()

    def notify(self, text: str) -> None:
        """Do what `NOTIFY resetd` does: whoever listens here hears it."""
        for witness in self.witnesses:
            witness.heard.add(text)
            witness.news.set()

    def restart(self) -> None:
        """End every session, as a server does that is started again."""
        self.witnesses.clear()
        self.at_work.clear()
        self.incarnation = secrets.token_hex(4)

    @property
    def key(self) -> ResourceKey:
        """Return the key of its resource: `database/{server}/{name}`."""
        return ResourceKey(f"database/{self.server}/{self.name}")


@dataclass(eq=False)
class MemoryWitness:
    """Implements `daemon.ports.databases.Witness`."""

    database: MemoryDatabase
    identity: Identity
    incarnation: str
    started_at: datetime
    role: str
    lock: int = field(default_factory=lambda: secrets.randbelow(2**31 - 1) + 1)
    pid: int = field(default_factory=lambda: secrets.randbelow(2**15) + 1)
    heard: set[str] = field(default_factory=set)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def hear(self, nonce: str, *, timeout: float) -> bool:
        """See the port."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while nonce not in self.heard:
                    self.news.clear()
                    await self.news.wait()
        return nonce in self.heard

    async def is_alive(self) -> bool:
        """See the port."""
        return self.database.answers and self in self.database.witnesses

    async def sees(self, application_name: str) -> bool:
        """See the port."""
        if not await self.is_alive():
            raise TemporaryError(
                Reason.DATABASE_UNREACHABLE, f"the session in {self.identity.name} has ended"
            )
        return application_name in self.database.at_work

    async def clients(self) -> tuple[Client, ...]:
        """See the port."""
        if not await self.is_alive():
            raise TemporaryError(
                Reason.DATABASE_UNREACHABLE, f"the session in {self.identity.name} has ended"
            )
        at_work = [
            Client(-number, self.role, name, hidden=False)
            for number, name in enumerate(sorted(self.database.at_work), 1)
            if name != "resetd"
        ]
        sessions = [
            Client(one.pid, one.role, one.application, hidden=one.role != self.role)
            for one in self.database.sessions
        ]
        return (*sessions, *at_work)

    async def written(self) -> Written:
        """See the port."""
        if not await self.is_alive():
            raise TemporaryError(
                Reason.DATABASE_UNREACHABLE, f"the session in {self.identity.name} has ended"
            )
        return Written(self.incarnation, self.database.written_rows())


class MemoryDatabases:
    """Implements `daemon.ports.databases.Databases`."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._at: dict[str, MemoryDatabase] = {}
        self._now = now

    def add(self, url: str, database: MemoryDatabase) -> MemoryDatabase:
        """Let a URL lead to a database. Several may lead to one."""
        self._at[url] = database
        return database

    def at(self, url: str) -> MemoryDatabase:
        """Return the database that answers at `url`, with the errors of a connection."""
        if urlsplit(url).scheme not in {"postgres", "postgresql"}:
            raise PermanentError(Reason.DATABASE_UNIDENTIFIED, "not a PostgreSQL URL")
        if urlsplit(url).hostname in {None, "localhost", "127.0.0.1", "::1"}:
            raise PermanentError(Reason.DATABASE_LOCAL_TO_POD, "the address is the pod's own")
        if "," in urlsplit(url).netloc.rpartition("@")[2]:
            raise PermanentError(Reason.DATABASE_SEVERAL_HOSTS, "the URL names several hosts")
        database = self._at.get(url)
        if database is None or not database.answers:
            raise TemporaryError(Reason.DATABASE_UNREACHABLE, f"{urlsplit(url).hostname}: connection refused")
        return database

    async def identify(self, url: str, *, environment: str, direct: bool = False) -> Identity:  # noqa: ARG002 - the port's
        """See the port."""
        database = self.at(url)
        if direct and database.pooled:
            raise PermanentError(Reason.DATABASE_POOLED, f"{database.key} is behind a pooler")
        if direct and database.standby:
            raise PermanentError(Reason.DATABASE_STANDBY, f"{database.key} is in recovery")
        return Identity(
            key=database.key,
            name=database.name,
            server_version=database.server_version,
            size_bytes=len(database.dumped()),
            tables=len(database.tables),
            markers=tuple(
                Marker(environment, believed=(server, name) == (database.server, database.name))
                for environment, server, name in sorted(database.markers)
            ),
        )

    async def sessions(self, url: str, *, environment: str) -> tuple[Session, ...]:  # noqa: ARG002 - the port's
        """See the port."""
        database = self.at(url)
        asks = urlsplit(url).username or ""
        at_work = [
            Session(-number, asks, name, None, hidden=False, writes=True, since=began)
            for number, (name, began) in enumerate(sorted(database.at_work.items()), 1)
        ]
        shown = [
            session if session.role == asks else replace(session, address=None, hidden=True, since=None)
            for session in database.sessions
        ]
        return (*shown, *at_work)

    async def end_idle(
        self,
        url: str,
        *,
        environment: str,  # noqa: ARG002 - the port's
        sessions: Collection[Session],
        seconds: float,  # noqa: ARG002 - the port's
    ) -> tuple[Session, ...]:
        """See the port. Those of `idle` have been so for long."""
        database = self.at(url)
        mine = urlsplit(url).username or ""
        pids = {each.pid for each in sessions}
        ended = [each for each in database.sessions if each.pid in pids & database.idle and each.role == mine]
        database.sessions = [each for each in database.sessions if each not in ended]
        return tuple(ended)

    async def lost_by_wipe(
        self,
        url: str,
        *,
        environment: str,  # noqa: ARG002 - the port's
        service_url: str,  # noqa: ARG002 - the port's
        whole: bool,  # noqa: ARG002 - the port's
    ) -> tuple[Loss, ...]:
        """See the port."""
        return tuple(sorted(self.at(url).losses, key=lambda loss: loss.name))

    @asynccontextmanager
    async def witness(self, url: str, *, environment: str) -> AsyncIterator[MemoryWitness]:
        """See the port."""
        database = self.at(url)
        identity = await self.identify(url, environment=environment, direct=True)
        role = urlsplit(url).username or ""
        witness = MemoryWitness(database, identity, database.incarnation, self._now(), role)
        database.witnesses.append(witness)
        try:
            yield witness
        finally:
            if witness in database.witnesses:
                database.witnesses.remove(witness)

    async def leads_to(self, witness: Witness, url: str, *, environment: str) -> bool:  # noqa: ARG002 - the port's
        """See the port."""
        return witness.lock in {one.lock for one in self.at(url).witnesses}

    async def leftover(
        self,
        url: str,
        *,
        environment: str,  # noqa: ARG002 - the port's
        attempt: AttemptId,
        since: datetime,
        working_at: datetime | None,
    ) -> Leftover:
        """See the port."""
        database, at = self.at(url), self._now()
        found = {
            name: began for name, began in database.at_work.items() if since <= began <= (working_at or at)
        }
        database.at_work.pop(session_name(attempt), None)
        sessions = tuple(f"{name} since {began:%H:%M:%S}" for name, began in found.items())
        return Leftover(at, sessions, tuple(database.hidden))
