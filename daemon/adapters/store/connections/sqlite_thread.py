"""SQLite: a whole transaction in one visit to the driver's thread.

aiosqlite takes each cursor, statement and fetch to its thread and back. A transaction of a dozen statements makes
forty such trips, and each may wait for the interpreter's lock while the event loop computes. Its public methods
offer no visit that does several things, hence the two private names, here only.
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
from daemon.adapters.store.connections.pipeline import Row, Sent, Statements, named, wrapped

T = TypeVar("T")


class Visit:
    """Statements that are done when they are awaited: nothing is waited for but the database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def execute(
        self, statement: Executable, parameters: Sequence[Any] | dict[str, Any] | None = None, /
    ) -> CursorResult[Any]:
        """See `Statements`."""
        return self._connection.execute(statement, parameters)

    async def together(self, statements: Sequence[Sent]) -> list[list[Row]]:
        """See `Statements`."""
        driver: Any = self._connection.connection.driver_connection
        answers = []
        for each in statements:
            try:
                cursor = driver.execute(each.text, each.parameters)
                rows = cursor.fetchall()
            except sqlite3.Error as error:
                raise wrapped(error, sqlite3.Error, self._connection.dialect, gone=False) from error
            answers.append(named(cursor.description, rows) if cursor.description else [])
        return answers


class OneVisit:
    """A connection of the engine's pool, kept from the first use to `close`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._kept: tuple[AsyncConnection, Driver, Engine] | None = None

    async def run(self, work: Callable[[Statements], Coroutine[Any, Any, T]]) -> T:
        """Run `work`, which awaits nothing but its statements, in a transaction."""
        _, driver, engine = self._kept = self._kept or await self._keep()
        execute: Callable[..., Awaitable[T]] = driver._execute  # noqa: SLF001 - see above
        return await execute(_transaction, engine, work)

    async def close(self) -> None:
        """Give the connection back."""
        if self._kept is not None:
            connection, _, _ = self._kept
            self._kept = None
            await connection.close()

    async def _keep(self) -> tuple[AsyncConnection, Driver, Engine]:
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


def _transaction(engine: Engine, work: Callable[[Statements], Coroutine[Any, Any, T]]) -> T:
    with engine.begin() as connection:
        running = work(Visit(connection))
        try:
            running.send(None)
        except StopIteration as ended:
            return cast("T", ended.value)
        running.close()
        raise asyncio.InvalidStateError("a transaction in the driver's thread waited for something else")
