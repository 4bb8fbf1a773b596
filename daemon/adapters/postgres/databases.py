"""The databases port by psycopg: who answers at a URL, a witness there, and sessions that an attempt left."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote, urlsplit

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from daemon.adapters.postgres.client_sessions import end_idle_sessions, read_sessions
from daemon.adapters.postgres.identity import read_identity
from daemon.adapters.postgres.losses import read_losses
from daemon.adapters.postgres.pooling import direct_session, standby
from daemon.adapters.postgres.sessions import as_port_errors, connect
from daemon.adapters.postgres.urls import DEFAULT_SCHEMA, Address, Network, parse_address, schema_of
from daemon.adapters.postgres.witness import (
    PostgresWitness,
    StandbyError,
    recognises,
)
from daemon.ports.databases import Identity, Leftover, Session, Witness
from daemon.ports.errors import TemporaryError
from schemas.facts import Loss
from schemas.reasons import Reason
from schemas.wire import AttemptId
from statemachines.steps.session_names import session_name

MAX_CLOCK_SKEW = timedelta(minutes=1)
"""Between the clock of the worker that recorded an attempt and that of the worker that asks about it."""
# Lists the sessions that are in a statement. The statement's start tells an orphan, which begins no other one.
# The session's start does not: behind a pooler a session may be older than the attempt that uses it.
_ACTIVE_SESSIONS = """
SELECT pid, usename, application_name = %(name)s, query_start
  FROM pg_stat_activity
 WHERE datname = current_database() AND backend_type = 'client backend'
   AND pid <> pg_backend_pid() AND application_name <> %(own)s
   AND state IS DISTINCT FROM 'idle' AND query_start BETWEEN %(since)s AND %(working_at)s
 ORDER BY pid
"""
# Of another role's sessions a plain role sees that they are there, and in pg_locks whether they are in a transaction:
# each one locks its own virtual id.
_HIDDEN_SESSIONS = """
SELECT pid, usename
  FROM pg_stat_activity
 WHERE datname = current_database() AND backend_type IS NULL AND pid <> pg_backend_pid()
   AND application_name <> %(own)s
   AND EXISTS (SELECT FROM pg_locks WHERE pg_locks.pid = pg_stat_activity.pid AND locktype = 'virtualxid' AND granted)
 ORDER BY pid
"""


class PostgresDatabases:
    """Implements `daemon.ports.databases.Databases`.

    Args:
        network: What the daemon is told about the network between it and the databases.
        timeout_ms: Milliseconds that a statement of ours may take.
    """

    def __init__(self, network: Network | None = None, *, timeout_ms: int = 15_000) -> None:
        self._network = network or Network()
        self._timeout_ms = timeout_ms

    async def identify(self, url: str, *, environment: str, direct: bool = False) -> Identity:
        """See the port."""
        where = parse_address(url, environment, self._network)
        async with self._session(where, direct=direct) as connection:
            return await read_identity(connection)

    async def sessions(self, url: str, *, environment: str) -> tuple[Session, ...]:
        """See the port."""
        where = parse_address(url, environment, self._network)
        async with self._session(where) as connection:
            return await read_sessions(connection, where.daemon)

    async def end_idle(
        self, url: str, *, environment: str, sessions: Collection[Session], seconds: float
    ) -> tuple[Session, ...]:
        """See the port."""
        where = parse_address(url, environment, self._network)
        async with self._session(where) as connection:
            return await end_idle_sessions(connection, sessions, seconds)

    async def lost_by_wipe(
        self, url: str, *, environment: str, service_url: str, whole: bool
    ) -> tuple[Loss, ...]:
        """See the port."""
        where = parse_address(url, environment, self._network)
        async with self._session(where) as connection:
            return await read_losses(
                connection,
                role=unquote(urlsplit(service_url.strip()).username or ""),
                schema=schema_of(service_url) or DEFAULT_SCHEMA,
                whole=whole,
            )

    @asynccontextmanager
    async def witness(self, url: str, *, environment: str) -> AsyncIterator[PostgresWitness]:
        """See the port."""
        where = parse_address(url, environment, self._network)
        # A witness sets, locks and listens. Behind a pooler that would stay in a session of somebody else.
        async with direct_session(where) as connection:
            try:
                with as_port_errors(where):
                    await connection.set_autocommit(True)
                    witness = await PostgresWitness.begin(connection)
            except StandbyError as error:
                raise standby(where) from error
            except TimeoutError as error:
                raise TemporaryError(
                    Reason.DATABASE_UNREACHABLE, f"{where} does not answer in time"
                ) from error
            yield witness

    async def leads_to(self, witness: Witness, url: str, *, environment: str) -> bool:
        """See the port."""
        where = parse_address(url, environment, self._network)
        async with self._session(where) as connection:
            return await recognises(connection, witness)

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
        where = parse_address(url, environment, self._network)
        async with self._session(where) as connection:
            at = await self._server_time(connection)
            skew = at - datetime.now(UTC)
            parameters = {
                "name": session_name(attempt),
                "own": where.session_name,
                "since": since + skew - MAX_CLOCK_SKEW,
                "working_at": working_at or at,
            }
            # A role may be set to become another one, and what it sees and may end is then another's.
            await connection.execute("SET LOCAL ROLE NONE")
            rows = await (await connection.execute(_ACTIVE_SESSIONS, parameters)).fetchall()
            hidden = await (await connection.execute(_HIDDEN_SESSIONS, parameters)).fetchall()
            for pid in (pid for pid, _, is_ours, _ in rows if is_ours):
                await connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
        sessions = tuple(f"pid {pid} of {role} since {began:%H:%M:%S}" for pid, role, _, began in rows)
        return Leftover(at, sessions, tuple(f"pid {pid} of {role}" for pid, role in hidden))

    async def _server_time(self, connection: AsyncConnection[TupleRow]) -> datetime:
        row = await (await connection.execute("SELECT clock_timestamp()")).fetchone()
        assert row is not None
        at: datetime = row[0]
        return at

    @asynccontextmanager
    async def _session(
        self, where: Address, *, direct: bool = False
    ) -> AsyncIterator[AsyncConnection[TupleRow]]:
        """Begin a session in which statements end in time; the client's errors become the port's."""
        with as_port_errors(where):
            async with direct_session(where) if direct else await connect(where) as connection:
                # For this transaction only: poolers refuse start-up options, and hand a session's settings to others.
                await connection.execute(
                    "SELECT set_config('statement_timeout', %s, true)", (str(self._timeout_ms),)
                )
                yield connection
