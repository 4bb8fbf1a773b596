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
from daemon.adapters.store.connections.pipeline import Connected, Row, Sending, Sent, Statements
from daemon.adapters.store.connections.sqlite_thread import OneVisit
from daemon.ports.store.outbox import StatusTopics

T = TypeVar("T")

_TIME_LIMIT = 25.0
"""Seconds that a transaction may take, all of its waiting included."""


class Order(IntEnum):
    """Advisory locks of PostgreSQL, each held to the end of its transaction; always taken in this order.

    A reset's row comes before all of them, an environment's row between LOCKS and IDS.
    """

    INTAKE = 0x7265736574640010
    LOCKS = 0x7265736574640011
    IDS = 0x7265736574640012
    """Drawn by whoever inserts acts or outbox rows: ids grow in the order of the commits."""


@dataclass(frozen=True)
class Tx:
    """A transaction under way."""

    connection: Statements
    postgres: bool
    topics: StatusTopics

    def clock(self, plus: float = 0.0) -> ColumnElement[Any]:
        """The database's time, some seconds from now. SQLite has the clock of the one process that uses it."""
        if self.postgres:
            return func.statement_timestamp() + timedelta(seconds=plus)
        return literal(datetime.now(UTC) + timedelta(seconds=plus), UTCDateTime())

    async def together(self, *sending: Sending) -> list[list[Row]]:
        """Run statements one after the other, sent at once; the rows that each of `sending` answers."""
        statements = list(chain.from_iterable(sending))
        answers = iter(await self.connection.together(statements) if statements else ())
        return [list(chain.from_iterable(islice(answers, len(each)))) for each in sending]

    def ordering(self, order: Order) -> Sending:
        """Waits until nobody else is between this and the end of its transaction; SQLite has one writer anyhow."""
        locking = Sent("SELECT pg_advisory_xact_lock(%(key)s)", {"key": int(order)})
        return (locking,) if self.postgres else ()

    async def in_order(self, order: Order) -> None:
        """Wait for `ordering`."""
        await self.together(self.ordering(order))


class Transactions:
    """Runs each piece of work in a transaction and a task of its own.

    A caller that is cancelled waits until the transaction has ended, then goes: no connection is left in the
    middle of a statement, and no lock behind it.
    """

    def __init__(self, engine: AsyncEngine, *, postgres: bool, topics: StatusTopics) -> None:
        self._engine = engine
        self._postgres = postgres
        self._topics = topics
        self._running: set[asyncio.Task[Any]] = set()
        # SQLite's writers would otherwise poll for the lock, and the unlucky starve.
        self._writer = asyncio.Lock()
        self._one_visit = OneVisit(engine)

    async def write(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Run `work` in a transaction that may write.

        Raises:
            TemporaryError: the database does not answer; the transaction may have been committed nevertheless.
        """
        return await self._run(self._transaction(work, reads_only=False))

    async def write_at_once(self, work: Callable[[Tx], Coroutine[Any, Any, T]]) -> T:
        """`write` for work that awaits nothing but its statements: on SQLite all of it is one trip to the driver's
        thread.
        """
        return await self._run(
            self._transaction(work, reads_only=False) if self._postgres else self._visit(work)
        )

    async def read(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Run `work` in a transaction that only reads: one snapshot on SQLite, one per statement on PostgreSQL."""
        return await self._run(self._transaction(work, reads_only=True))

    async def close(self) -> None:
        """Wait for what is under way, then let the connections go."""
        while self._running:
            await asyncio.wait(self._running)
        await self._one_visit.close()
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
            task.exception()  # a caller that was cancelled does not ask: say that it was looked at

    async def _transaction(self, work: Callable[[Tx], Awaitable[T]], *, reads_only: bool) -> T:
        with translated():
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(asyncio.timeout(_TIME_LIMIT))
                if not reads_only and not self._postgres:
                    await stack.enter_async_context(self._writer)
                connection = await stack.enter_async_context(self._engine.connect())
                await connection.execution_options(reads_only=reads_only)
                async with connection.begin():
                    return await work(Tx(Connected(connection), self._postgres, self._topics))

    async def _visit(self, work: Callable[[Tx], Coroutine[Any, Any, T]]) -> T:
        with translated():
            async with asyncio.timeout(_TIME_LIMIT), self._writer:
                return await self._one_visit.run(
                    lambda connection: work(Tx(connection, self._postgres, self._topics))
                )
