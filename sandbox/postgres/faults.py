"""Faults of the environments' databases: servers restart, sessions are cut, somebody holds Prisma's lock.

The moment of a restart or a cut is when a service's role has a session there: of a command, a backup or the daemon.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import psycopg

from sandbox.faults.armoury import Armed, Armoury
from sandbox.faults.fault import Fault
from sandbox.faults.injection import Injector, wait
from sandbox.faults.kinds import FaultKind
from sandbox.postgres.databases import ROLE
from sandbox.postgres.server import Server

PRISMAS_LOCK = 72707369
_HELD = 12.0  # longer than the 10 s that a deploy waits for the lock
_CONNECT = 5

_SESSIONS = """
SELECT pid FROM pg_stat_activity WHERE datname = ANY(%s) AND usename = %s AND backend_type = 'client backend'
"""
_WAITERS = """
SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
WHERE locktype = 'advisory' AND objid = %s AND NOT granted AND datname = ANY(%s)
"""

Places = Callable[[Fault], Sequence[tuple[Server, list[str]]]]
"""Says which servers and databases a fault is meant for."""


class DatabaseFaults:
    """Injects faults into the databases that `places` says they are meant for."""

    def __init__(self, armoury: Armoury, places: Places) -> None:
        self._armoury = armoury
        self._places = places
        self._restarting: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def injectors(self) -> dict[FaultKind, Injector]:
        """The injector of each kind that is served here."""
        return {
            FaultKind.POSTGRES_RESTARTED: self.restart,
            FaultKind.POSTGRES_CONNECTIONS_DROPPED: self.drop,
            FaultKind.POSTGRES_LOCK_HELD: self.hold,
        }

    def restart(self, armed: Armed) -> None:
        """Restart a server once it has a session that this cuts."""
        for server, databases in self._places(armed.fault):
            with self._restarting[server.name]:
                if _sessions(server, databases):
                    server.restart()
                    self._armoury.hit(armed)
                    return

    def drop(self, armed: Armed) -> None:
        """Terminate the sessions of a server; the fault counts when there was one."""
        for server, databases in self._places(armed.fault):
            with psycopg.connect(server.superuser_url, connect_timeout=_CONNECT, autocommit=True) as ours:
                found = ours.execute(_SESSIONS, [databases, ROLE]).fetchall()
                cut = [_terminate(ours, pid) for (pid,) in found]
                if any(cut):
                    self._armoury.hit(armed)
                    return

    def hold(self, armed: Armed) -> None:
        """Hold Prisma's advisory lock in these databases; the fault counts when a migration comes to wait for it."""
        places = self._places(armed.fault)
        with self._armoury.lasting(armed) as is_to_end, ExitStack() as held:
            for server, databases in places:
                for database in databases:
                    held.enter_context(migration_lock(_admins(server, database)))
            while self._armoury.is_armed(armed) and not is_to_end():
                if any(_waiters(server, databases) for server, databases in places):
                    self._armoury.hit(armed)
                    wait(armed.fault.seconds_or(_HELD), is_to_end)
                    return
                wait(0, is_to_end)


@contextmanager
def migration_lock(url: str) -> Iterator[psycopg.Connection]:
    """Hold Prisma's advisory lock as another client; closing the connection releases it early."""
    with psycopg.connect(url.partition("?")[0], autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [PRISMAS_LOCK])
        yield connection


def _terminate(ours: psycopg.Connection, pid: int) -> bool:
    """Terminate a session; False when it had gone already."""
    (answer,) = ours.execute("SELECT pg_terminate_backend(%s)", [pid]).fetchone() or (False,)
    return bool(answer)


def _sessions(server: Server, databases: list[str]) -> int:
    with psycopg.connect(server.superuser_url, connect_timeout=_CONNECT) as ours:
        return len(ours.execute(_SESSIONS, [databases, ROLE]).fetchall())


def _waiters(server: Server, databases: list[str]) -> int:
    with psycopg.connect(server.superuser_url, connect_timeout=_CONNECT) as ours:
        (found,) = ours.execute(_WAITERS, [PRISMAS_LOCK, databases]).fetchone() or (0,)
        return int(found)


def _admins(server: Server, database: str) -> str:
    return f"{server.superuser_url.rpartition('/')[0]}/{database}"
