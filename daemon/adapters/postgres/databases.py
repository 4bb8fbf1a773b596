"""The databases port by psycopg: who answers at a URL, the lock of the handshake, and sessions that an attempt left."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from daemon.adapters.postgres.errors import connection_error
from daemon.adapters.postgres.sessions import read_sessions
from daemon.adapters.postgres.urls import KEEPALIVE_OPTIONS, Address, parse_address
from daemon.ports.databases import Identity, Leftover, Session
from schemas.wire import AttemptId, ResourceKey
from statemachines.steps.session_names import session_name

_CONNECT_TIMEOUT_SECONDS = 10
_APPLICATION_NAME = "resetd"
MAX_CLOCK_SKEW = timedelta(minutes=1)
"""Between the clock of the worker that recorded an attempt and that of the worker that asks about it."""
# Reads what identifies a database: system identifier and name. A rename swaps the oid, so that is no part of it. A
# copied cluster keeps its system identifier: hence the handshake right before anything is destroyed.
_IDENTITY = """
SELECT (SELECT system_identifier FROM pg_control_system()),
       current_database(),
       current_setting('server_version_num')::int,
       pg_database_size(current_database()),
       (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema')
"""

# Lists the role's sessions that are in a statement. The statement's start tells an orphan, which begins no other one.
# The session's start does not: behind a pooler a session may be older than the attempt that uses it.
_ACTIVE_SESSIONS = """
SELECT pid, application_name = %(name)s, query_start
  FROM pg_stat_activity
 WHERE datname = current_database() AND usename = current_user AND backend_type = 'client backend'
   AND pid <> pg_backend_pid() AND application_name <> %(own)s
   AND state IS DISTINCT FROM 'idle' AND query_start BETWEEN %(since)s AND %(working_at)s
 ORDER BY pid
"""


@dataclass(frozen=True)
class PostgresLock:
    """Implements `daemon.ports.databases.AdvisoryLock`."""

    number: int
    connection: AsyncConnection[TupleRow]

    async def is_held(self) -> bool:
        """See the port. It asks the server: a dead peer's socket looks open for a long time."""
        try:
            await self.connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True


class PostgresDatabases:
    """Implements `daemon.ports.databases.Databases`.

    Args:
        timeout_ms: Milliseconds that a statement of ours may take.
    """

    def __init__(self, *, timeout_ms: int = 15_000) -> None:
        self._timeout_ms = timeout_ms

    async def identify(self, url: str, *, environment: str) -> Identity:
        """See the port."""
        where = parse_address(url, environment)
        try:
            async with await self._connect(where) as connection:
                await self._set_statement_timeout(connection)
                row = await (await connection.execute(_IDENTITY)).fetchone()
        except psycopg.Error as error:
            raise connection_error(where, str(error), error.sqlstate) from _cause_without_password(
                error, where
            )
        assert row is not None
        identifier, name, version, size, tables = row
        return Identity(
            key=ResourceKey(f"database/{identifier}/{name}"),
            name=name,
            server_version=version,
            size_bytes=size,
            tables=tables,
        )

    async def sessions(self, url: str, *, environment: str) -> tuple[Session, ...]:
        """See the port."""
        where = parse_address(url, environment)
        try:
            async with await self._connect(where) as connection:
                await self._set_statement_timeout(connection)
                return await read_sessions(connection, _APPLICATION_NAME)
        except psycopg.Error as error:
            raise connection_error(where, str(error), error.sqlstate) from _cause_without_password(
                error, where
            )

    @asynccontextmanager
    async def hold_lock(self, url: str, *, environment: str) -> AsyncIterator[PostgresLock]:
        """See the port.

        The lock belongs to a transaction that stays open: behind a pooler an open transaction keeps its backend ours.
        """
        where = parse_address(url, environment)
        number = secrets.randbelow(2**31 - 1) + 1
        try:
            connection = await self._connect(where)
            try:
                await self._set_statement_timeout(connection)
                await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                await connection.execute("SELECT pg_advisory_xact_lock(%s::bigint)", (number,))
            except BaseException:
                await connection.close()
                raise
        except psycopg.Error as error:
            raise connection_error(where, str(error), error.sqlstate) from _cause_without_password(
                error, where
            )
        try:
            yield PostgresLock(number, connection)
        finally:
            await connection.close()  # ends the transaction, and with it the lock

    async def leftover(
        self,
        url: str,
        *,
        environment: str,
        attempt: AttemptId,
        since: datetime,
        working_at: datetime | None,
    ) -> Leftover:
        """See the port. The URL's role may end its own sessions."""
        where = parse_address(url, environment)
        try:
            async with await self._connect(where) as connection:
                await self._set_statement_timeout(connection)
                at = await self._server_time(connection)
                skew = at - datetime.now(UTC)
                parameters = {
                    "name": session_name(attempt),
                    "own": _APPLICATION_NAME,
                    "since": since + skew - MAX_CLOCK_SKEW,
                    "working_at": working_at or at,
                }
                rows = await (await connection.execute(_ACTIVE_SESSIONS, parameters)).fetchall()
                for pid in (pid for pid, is_ours, _ in rows if is_ours):
                    await connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
        except psycopg.Error as error:
            raise connection_error(where, str(error), error.sqlstate) from _cause_without_password(
                error, where
            )
        return Leftover(at, tuple(f"pid {pid} since {began:%H:%M:%S}" for pid, _, began in rows))

    async def _server_time(self, connection: AsyncConnection[TupleRow]) -> datetime:
        row = await (await connection.execute("SELECT clock_timestamp()")).fetchone()
        assert row is not None
        at: datetime = row[0]
        return at

    async def _connect(self, where: Address) -> AsyncConnection[TupleRow]:
        return await AsyncConnection.connect(
            where.conninfo(
                connect_timeout=_CONNECT_TIMEOUT_SECONDS,
                application_name=_APPLICATION_NAME,
                **KEEPALIVE_OPTIONS,
            ),
            password=where.password or None,
            # Prepared statements outlive a transaction, which a pooler does not.
            prepare_threshold=None,
        )

    async def _set_statement_timeout(self, connection: AsyncConnection[TupleRow]) -> None:
        # For this transaction only: poolers refuse start-up options, and hand a session's settings to others.
        await connection.execute("SELECT set_config('statement_timeout', %s, true)", (str(self._timeout_ms),))


def _cause_without_password(error: psycopg.Error, where: Address) -> BaseException | None:
    """Return the client's own error as the cause, unless it quotes the password."""
    return None if where.password and where.password in str(error) else error
