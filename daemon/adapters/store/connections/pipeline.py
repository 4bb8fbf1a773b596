"""Statements as text, sent in one trip: on PostgreSQL a transaction's trips cost more than its work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import CursorResult, Dialect, Executable
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

Row = dict[str, Any]
"""A row that was read, by the names of its columns."""


@dataclass(frozen=True)
class BoundStatement:
    """A statement in the database's own words, with the parameters that its driver takes."""

    text: str
    parameters: Any


BoundStatements = tuple[BoundStatement, ...]
"""Statements whose rows are read as one answer: one, as many as the bound rows need, or none."""


class TxConnection(Protocol):
    """What a transaction needs of its connection."""

    async def execute(
        self, statement: Executable, parameters: Sequence[Any] | dict[str, Any] | None = None, /
    ) -> CursorResult[Any]:
        """Run a statement, once for each set of parameters."""
        ...

    async def pipeline(self, statements: Sequence[BoundStatement]) -> list[list[Row]]:
        """Run statements in order, sent in one trip, and return the rows of each."""
        ...


class PooledTxConnection:
    """`TxConnection` on a connection of the engine's pool."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def execute(
        self, statement: Executable, parameters: Sequence[Any] | dict[str, Any] | None = None, /
    ) -> CursorResult[Any]:
        """See `TxConnection`."""
        return await self._connection.execute(statement, parameters)

    async def pipeline(self, statements: Sequence[BoundStatement]) -> list[list[Row]]:
        """See `TxConnection`. On PostgreSQL the driver's pipeline mode makes one trip of them."""
        if self._connection.dialect.name == "postgresql":
            return await self._postgres_pipeline(statements)
        answers = []
        for statement in statements:
            result = await self._connection.exec_driver_sql(statement.text, tuple(statement.parameters))
            answers.append([dict(row) for row in result.mappings()] if result.returns_rows else [])
        return answers

    async def _postgres_pipeline(self, statements: Sequence[BoundStatement]) -> list[list[Row]]:
        driver: Any = (await self._connection.get_raw_connection()).driver_connection
        dialect = self._connection.dialect
        errors = dialect.loaded_dbapi.Error
        try:
            async with driver.pipeline():
                cursors = [
                    await driver.execute(statement.text, statement.parameters) for statement in statements
                ]
            return [
                named_rows(cursor.description, await cursor.fetchall()) if cursor.description else []
                for cursor in cursors
            ]
        except errors as error:
            raise sqlalchemy_error(error, errors, dialect, gone=driver.closed) from error


def named_rows(description: Sequence[Any], rows: Sequence[Sequence[Any]]) -> list[Row]:
    """Give rows the names of their columns, from a cursor's `description` (PEP 249)."""
    names = [column[0] for column in description]
    return [dict(zip(names, row, strict=True)) for row in rows]


def sqlalchemy_error(
    error: Exception, errors: type[Exception], dialect: Dialect, *, gone: bool
) -> BaseException:
    """Wrap a driver's error as SQLAlchemy does, without the statement's values.

    Args:
        error: The driver's own.
        errors: The driver's base class of errors (PEP 249).
        dialect: The database's.
        gone: Whether the connection is lost.
    """
    return DBAPIError.instance(
        None, None, error, errors, hide_parameters=True, connection_invalidated=gone, dialect=dialect
    )
