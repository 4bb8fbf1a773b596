"""Transactions: one for each call of the store, whole or not at all, whatever becomes of the caller."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from itertools import chain, islice
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, func, literal
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.sql.sqltypes import UTCDateTime

from daemon.adapters.store.connections.driver_errors import translated
from daemon.adapters.store.connections.pipeline import (
    BoundStatement,
    BoundStatements,
    PooledTxConnection,
    Row,
    TxConnection,
)
from daemon.adapters.store.connections.sqlite_thread import SqliteThread
from daemon.ports.store.outbox import StatusTopics

T = TypeVar("T")

_TIMEOUT_SECONDS = 25.0
"""Seconds that a transaction may take, all of its waiting included."""


class TxLock(IntEnum):
    """Advisory locks of PostgreSQL, each held to the end of its transaction.

    A transaction takes them in the order below. It locks rows of resets between FREEZES and INTAKE, and rows of
    environments between LOCKS and IDS.
    """

    FREEZES = 0x7265736574640013
    """Shared by those who record a first destructive attempt, and taken alone by who freezes or ends a freeze."""
    INTAKE = 0x7265736574640010
    LOCKS = 0x7265736574640011
    IDS = 0x7265736574640012
    """Taken by whoever inserts acts or outbox rows, so that ids grow in the order of the commits."""


@dataclass(frozen=True)
class Tx:
    """A transaction under way."""

    connection: TxConnection
    postgres: bool
    topics: StatusTopics

    def clock(self, plus: float = 0.0) -> ColumnElement[Any]:
        """Return the database's time, some seconds from now. SQLite has the clock of the one process that uses it."""
        if self.postgres:
            return func.statement_timestamp() + timedelta(seconds=plus)
        return literal(datetime.now(UTC) + timedelta(seconds=plus), UTCDateTime())

    async def pipeline(self, *statements: BoundStatements) -> list[list[Row]]:
        """Run bound statements in order, sent in one trip, and return the rows that each argument answers."""
        every = list(chain.from_iterable(statements))
        answers = iter(await self.connection.pipeline(every) if every else ())
        return [list(chain.from_iterable(islice(answers, len(bound)))) for bound in statements]

    def lock_statement(self, lock: TxLock, *, shared: bool = False) -> BoundStatements:
        """Make the statement that takes a lock, waiting for whoever holds it; SQLite has one writer and needs none."""
        function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        taking = BoundStatement(f"SELECT {function}(%(key)s)", {"key": int(lock)})
        return (taking,) if self.postgres else ()

    async def take_lock(self, lock: TxLock) -> None:
        """Take a lock to the end of this transaction."""
        await self.pipeline(self.lock_statement(lock))


class Transactions:
    """Runs each piece of work in a transaction and a task of its own.

    A caller that is cancelled waits until its transaction has ended, and then goes. So no connection is left in the
    middle of a statement, and no lock behind it.
    """

    def __init__(self, engine: AsyncEngine, *, postgres: bool, topics: StatusTopics) -> None:
        self._engine = engine
        self._postgres = postgres
        self._topics = topics
        self._running: set[asyncio.Task[Any]] = set()
        # SQLite's writers would otherwise poll for the lock, and the unlucky starve.
        self._writer = asyncio.Lock()
        self._thread = SqliteThread(engine)

    async def write(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Run `work` in a transaction that may write.

        Raises:
            TemporaryError: the database does not answer; the transaction may have been committed nevertheless.
        """
        return await self._run(self._transaction(work, reads_only=False))

    async def write_pipelined(self, work: Callable[[Tx], Coroutine[Any, Any, T]]) -> T:
        """Run `work`, which awaits nothing but its statements, in a transaction that may write.

        On SQLite the whole transaction is one trip to the driver's thread.

        Raises:
            TemporaryError: as `write`.
        """
        return await self._run(
            self._transaction(work, reads_only=False) if self._postgres else self._transaction_in_thread(work)
        )

    async def read(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Run `work` in a transaction that only reads: one snapshot on SQLite, one per statement on PostgreSQL.

        Raises:
            TemporaryError: the database does not answer.
        """
        return await self._run(self._transaction(work, reads_only=True))

    async def close(self) -> None:
        """Wait for the transactions under way, and let the connections go."""
        while self._running:
            await asyncio.wait(self._running)
        await self._thread.close()
        await self._engine.dispose()

    async def _run(self, transaction: Coroutine[Any, Any, T]) -> T:
        task = asyncio.create_task(transaction)
        self._running.add(task)
        task.add_done_callback(self._ended)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait({task})
            raise

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            # A caller that was cancelled does not ask for the error: asyncio would report it as never retrieved.
            task.exception()

    async def _transaction(self, work: Callable[[Tx], Awaitable[T]], *, reads_only: bool) -> T:
        with translated():
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(asyncio.timeout(_TIMEOUT_SECONDS))
                if not reads_only and not self._postgres:
                    await stack.enter_async_context(self._writer)
                connection = await stack.enter_async_context(self._engine.connect())
                await connection.execution_options(reads_only=reads_only)
                async with connection.begin():
                    return await work(Tx(PooledTxConnection(connection), self._postgres, self._topics))

    async def _transaction_in_thread(self, work: Callable[[Tx], Coroutine[Any, Any, T]]) -> T:
        with translated():
            async with asyncio.timeout(_TIMEOUT_SECONDS), self._writer:
                return await self._thread.run(
                    lambda connection: work(Tx(connection, self._postgres, self._topics))
                )
