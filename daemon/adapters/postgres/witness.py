"""A witness in a database: the session that LISTENs, and how another session recognises it by its advisory lock."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from daemon.adapters.postgres.activity import read_clients, read_written
from daemon.adapters.postgres.identity import incarnation_of, key_of, read_identity
from daemon.ports.databases import CHANNEL, Identity, Witness
from daemon.ports.errors import TemporaryError
from schemas.reasons import Reason
from statemachines.steps.activity import Client, Written

LARGEST_LOCK_NUMBER = 2**31 - 1
"""Up to this number `pg_advisory_lock(bigint)` shows the number as `pg_locks.objid`, with a `classid` of 0."""
_TURN_SECONDS = 0.05
"""How long one caller waits for notifications before another statement of the session gets its turn."""
_ANSWER_SECONDS = 10.0
"""How long an answer of the server may take. A setting of the session would stay behind in a pooler."""
_REMEMBERED = 1000
"""Nonces that nobody asked for yet. Others may send on the channel, too."""

# The start of the server's process differs between a server and its copy, and the database's oid between two databases
# that swapped their names.
_SELF = """
SELECT pg_is_in_recovery(), pg_backend_pid(), current_database(),
       (SELECT backend_start FROM pg_stat_get_activity(pg_backend_pid())),
       pg_postmaster_start_time(),
       (SELECT oid::bigint FROM pg_database WHERE datname = current_database())
"""
_ALIVE = """
SELECT pg_backend_pid(), current_database(),
       (SELECT backend_start FROM pg_stat_get_activity(pg_backend_pid())),
       %(channel)s IN (SELECT pg_listening_channels()),
       EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = 0 AND objsubid = 1
                  AND objid::bigint = %(lock)s AND pid = pg_backend_pid())
"""
# A plain role does not see when a backend of another role began; the lock's number is random, so it is enough there.
_RECOGNISED = """
SELECT (SELECT system_identifier FROM pg_control_system()),
       current_database(),
       pg_is_in_recovery(),
       pg_postmaster_start_time(),
       (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),
       EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = 0 AND objsubid = 1
                  AND objid::bigint = %(lock)s AND pid = %(pid)s
                  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())),
       (SELECT backend_start IS NULL OR backend_start = %(started_at)s FROM pg_stat_activity WHERE pid = %(pid)s)
"""
# The type of a backend is hidden from a plain role where the backend is another role's.
_SEEN = """
SELECT EXISTS (SELECT FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = %s AND pid <> pg_backend_pid()
                  AND (backend_type IS NULL OR backend_type = 'client backend'))
"""


class StandbyError(Exception):
    """The server is in recovery."""


class PostgresWitness:
    """Implements `daemon.ports.databases.Witness`. `begin` makes one of an open session in autocommit."""

    def __init__(
        self,
        connection: AsyncConnection[TupleRow],
        identity: Identity,
        *,
        incarnation: str,
        pid: int,
        started_at: datetime,
    ) -> None:
        self._connection = connection
        self._heard: deque[str] = deque(maxlen=_REMEMBERED)
        self.identity = identity
        self.incarnation = incarnation
        self.lock = secrets.randbelow(LARGEST_LOCK_NUMBER) + 1
        self.pid = pid
        self.started_at = started_at

    @classmethod
    async def begin(cls, connection: AsyncConnection[TupleRow]) -> PostgresWitness:
        """Read who the database is, take the lock and LISTEN.

        Raises:
            StandbyError: the server is in recovery.
            psycopg.Error, TimeoutError: the server refuses, or does not answer.
        """
        async with asyncio.timeout(_ANSWER_SECONDS):
            in_recovery, pid, _, started_at, server_started_at, oid = await _row(connection, _SELF)
            if in_recovery:
                raise StandbyError
            identity = await read_identity(connection)
            witness = cls(
                connection,
                identity,
                incarnation=incarnation_of(server_started_at, oid),
                pid=pid,
                started_at=started_at,
            )
            # A role or a server may end sessions that are idle. The setting is unknown before PostgreSQL 14.
            await connection.execute(
                "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'"
            )
            await connection.execute("SELECT pg_advisory_lock(%s::bigint)", (witness.lock,))
            await connection.execute(f"LISTEN {CHANNEL}")
        return witness

    async def hear(self, nonce: str, *, timeout: float) -> bool:
        """See the port. Several may wait at a time: each takes what comes, for all of them."""
        until = time.monotonic() + timeout
        try:
            while nonce not in self._heard:
                left = until - time.monotonic()
                turn = min(max(left, 0.0), _TURN_SECONDS)
                async for notice in self._connection.notifies(timeout=turn, stop_after=1):
                    self._heard.append(notice.payload)
                if left <= 0:
                    break
        except psycopg.Error:
            return False
        return nonce in self._heard

    async def is_alive(self) -> bool:
        """See the port. It asks the server: a dead peer's socket looks open for a long time."""
        parameters = {"channel": CHANNEL, "lock": self.lock}
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                row = await _row(self._connection, _ALIVE, parameters)
        except (psycopg.Error, TimeoutError):
            return False
        return tuple(row) == (self.pid, self.identity.name, self.started_at, True, True)

    async def sees(self, application_name: str) -> bool:
        """See the port."""
        async with self._answers():
            (seen,) = await _row(self._connection, _SEEN, (application_name,))
        return bool(seen)

    async def clients(self) -> tuple[Client, ...]:
        """See the port."""
        async with self._answers():
            return await read_clients(self._connection)

    async def written(self) -> Written:
        """See the port."""
        async with self._answers():
            return await read_written(self._connection, self.incarnation)

    @asynccontextmanager
    async def _answers(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                yield
        except (psycopg.Error, TimeoutError) as error:
            detail = f"the daemon's session in {self.identity.name} has ended"
            raise TemporaryError(Reason.DATABASE_UNREACHABLE, detail) from error


async def recognises(connection: AsyncConnection[TupleRow], witness: Witness) -> bool:
    """Tell whether this session is in the database of the witness.

    Raises:
        psycopg.Error: the server does not answer.
    """
    parameters = {"lock": witness.lock, "pid": witness.pid, "started_at": witness.started_at}
    identifier, name, in_recovery, server_started_at, oid, is_locked, is_same_backend = await _row(
        connection, _RECOGNISED, parameters
    )
    return (
        not in_recovery
        and key_of(identifier, name) == witness.identity.key
        and incarnation_of(server_started_at, oid) == witness.incarnation
        and bool(is_locked)
        and bool(is_same_backend)
    )


async def _row(
    connection: AsyncConnection[TupleRow],
    statement: str,
    parameters: Any = None,  # noqa: ANN401 - psycopg's
) -> TupleRow:
    row = await (await connection.execute(statement.encode(), parameters)).fetchone()
    assert row is not None
    return row
