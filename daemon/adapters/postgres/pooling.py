"""Whether a session of the daemon stays in one backend of a primary, which locks, LISTEN and dumps need.

A pooler in transaction mode hands a backend to another client between two transactions. What one session sets, or
locks, then stays behind in a session of the running service. So nothing is set to find that out: each transaction
only asks for its backend, while other sessions of the daemon hold the backends that a pooler has at hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from daemon.adapters.postgres.errors import DIRECT
from daemon.adapters.postgres.sessions import as_port_errors, connect
from daemon.adapters.postgres.urls import Address
from daemon.ports.errors import PermanentError, TemporaryError
from schemas.reasons import Reason

_TRANSACTIONS = 3
_HOLDERS = 1
# Something that is no server answers: each session was told of another backend than the one that it is in.
_TRANSACTIONS_OF_SUSPECT = 8
_HOLDERS_OF_SUSPECT = 3
_PATIENCE_SECONDS = 20.0


@asynccontextmanager
async def direct_session(where: Address) -> AsyncIterator[AsyncConnection[TupleRow]]:
    """Begin a session that stays in one backend of a primary, as sessions at this address do. It is in no transaction.

    Raises:
        PermanentError: `database-pooled`, `database-standby`; others as a connection's.
        TemporaryError: `database-unreachable`.
    """
    async with AsyncExitStack() as stack:
        try:
            with as_port_errors(where):
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    asking = await _session(stack, where)
                    await _check_direct(asking, where)
        except TimeoutError as error:
            raise TemporaryError(
                Reason.DATABASE_UNREACHABLE,
                f"{where} did not begin a second session in {_PATIENCE_SECONDS:g} s",
            ) from error
        yield asking


async def _check_direct(asking: AsyncConnection[TupleRow], where: Address) -> None:
    backend = await _backend(asking, where)
    await asking.rollback()
    is_suspect = backend != asking.info.backend_pid
    for _ in range((_TRANSACTIONS_OF_SUSPECT if is_suspect else _TRANSACTIONS) - 1):
        await _check_stays(asking, where, backend)
    async with AsyncExitStack() as holders:
        for _ in range(_HOLDERS_OF_SUSPECT if is_suspect else _HOLDERS):
            # Its transaction stays open, so a pooler has to give the next one another backend.
            holder = await _session(holders, where)
            if await _backend(holder, where) == backend:
                raise _pooled(where)
            await _check_stays(asking, where, backend)


async def _session(stack: AsyncExitStack, where: Address) -> AsyncConnection[TupleRow]:
    connection = await connect(where)
    stack.push_async_callback(connection.close)
    return connection


async def _check_stays(asking: AsyncConnection[TupleRow], where: Address, backend: int) -> None:
    if await _backend(asking, where) != backend:
        raise _pooled(where)
    await asking.rollback()


async def _backend(connection: AsyncConnection[TupleRow], where: Address) -> int:
    """Ask twice in one transaction, which is left open: a pooler of statements changes backends in between."""
    answers: list[TupleRow] = []
    for _ in range(2):
        cursor = await connection.execute("SELECT pg_backend_pid(), pg_is_in_recovery()")
        answers += await cursor.fetchall()
    (backend, in_recovery), again = answers
    if (backend, in_recovery) != tuple(again):
        raise _pooled(where)
    if in_recovery:
        raise standby(where)
    return int(backend)


def _pooled(where: Address) -> PermanentError:
    return PermanentError(
        Reason.DATABASE_POOLED,
        f"{where}: a session changes its backend between transactions, so a pooler answers there",
        hint=DIRECT,
    )


def standby(where: Address) -> PermanentError:
    """Make the error for a server that is in recovery."""
    return PermanentError(
        Reason.DATABASE_STANDBY,
        f"{where}: the server is in recovery, a standby",
        hint="Give the service the address of the primary, or name a variable that holds it as `directUrlVariable` of "
        "the database in the catalog.",
    )
