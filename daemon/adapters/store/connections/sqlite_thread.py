"""SQLite: a whole transaction in one trip to the driver's thread.

aiosqlite takes each cursor, statement and fetch to its thread and back. A transaction of a dozen statements makes
forty such trips, and each may wait for the interpreter's lock while the event loop computes. The public methods of
aiosqlite offer no trip that does several things. So this module, and no other, uses two private names of it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar, cast

from aiosqlite import Connection as Driver
from sqlalchemy import Connection, CursorResult, Engine, Executable, StaticPool, create_engine, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from daemon.adapters.store.connections.engine import as_json, begin
from daemon.adapters.store.connections.pipeline import (
    BoundStatement,
    Row,
    TxConnection,
    named_rows,
    sqlalchemy_error,
)

T = TypeVar("T")


class ThreadTxConnection:
    """`TxConnection` in the driver's thread: a statement has run when its coroutine is awaited once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def execute(
        self, statement: Executable, parameters: Sequence[Any] | dict[str, Any] | None = None, /
    ) -> CursorResult[Any]:
        """See `TxConnection`."""
        return self._connection.execute(statement, parameters)

    async def pipeline(self, statements: Sequence[BoundStatement]) -> list[list[Row]]:
        """See `TxConnection`."""
        driver: Any = self._connection.connection.driver_connection
        answers = []
        for statement in statements:
            try:
                cursor = driver.execute(statement.text, statement.parameters)
                rows = cursor.fetchall()
            except sqlite3.Error as error:
                raise sqlalchemy_error(error, sqlite3.Error, self._connection.dialect, gone=False) from error
            answers.append(named_rows(cursor.description, rows) if cursor.description else [])
        return answers


class SqliteThread:
    """A connection of the engine's pool, kept from the first use to `close`, with the thread that drives it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._kept: tuple[AsyncConnection, Driver, Engine] | None = None

    async def run(self, work: Callable[[TxConnection], Coroutine[Any, Any, T]]) -> T:
        """Run `work` in a transaction. It awaits nothing but its statements.

        Raises:
            asyncio.InvalidStateError: `work` awaited something else; nothing was committed.
        """
        _, driver, engine = self._kept = self._kept or await self._connect()
        execute: Callable[..., Awaitable[T]] = driver._execute  # noqa: SLF001 - see above
        return await execute(_transaction, engine, work)

    async def close(self) -> None:
        """Give the connection back to the pool."""
        if self._kept is not None:
            connection, _, _ = self._kept
            self._kept = None
            await connection.close()

    async def _connect(self) -> tuple[AsyncConnection, Driver, Engine]:
        """Take a connection from the pool, and make a synchronous engine of its SQLite connection."""
        connection = await self._engine.connect()
        driver = cast("Driver", (await connection.get_raw_connection()).driver_connection)
        engine = create_engine(
            "sqlite://",
            creator=lambda: driver._conn,  # noqa: SLF001 - see above
            poolclass=StaticPool,
            hide_parameters=True,
            json_serializer=as_json,
        )
        event.listen(engine, "begin", begin)
        return connection, driver, engine


def _transaction(engine: Engine, work: Callable[[TxConnection], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in this thread, without an event loop: its statements never suspend it."""
    with engine.begin() as connection:
        running = work(ThreadTxConnection(connection))
        try:
            running.send(None)
        except StopIteration as ended:
            return cast("T", ended.value)
        running.close()
        raise asyncio.InvalidStateError("a transaction in the driver's thread waited for something else")
