"""Statements as text, sent to the database together: on PostgreSQL a transaction's trips cost more than its work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import CursorResult, Dialect, Executable
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

Row = dict[str, Any]


@dataclass(frozen=True)
class Sent:
    """A statement in the database's own words."""

    text: str
    parameters: Any


Sending = tuple[Sent, ...]
"""Statements whose answers belong together: one, or as many as the rows need; or none."""


class Statements(Protocol):
    """What a piece of work needs of a connection."""

    async def execute(
        self, statement: Executable, parameters: Sequence[Any] | dict[str, Any] | None = None, /
    ) -> CursorResult[Any]:
        """Run a statement, once for each set of parameters."""
        ...

    async def together(self, statements: Sequence[Sent]) -> list[list[Row]]:
        """Run statements one after the other, sent at once; the rows that each of them answers."""
        ...


class Connected:
    """Statements on a connection of the engine."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def execute(
        self, statement: Executable, parameters: Sequence[Any] | dict[str, Any] | None = None, /
    ) -> CursorResult[Any]:
        """See `Statements`."""
        return await self._connection.execute(statement, parameters)

    async def together(self, statements: Sequence[Sent]) -> list[list[Row]]:
        """See `Statements`: on PostgreSQL one trip, in its driver's pipeline mode."""
        if self._connection.dialect.name == "postgresql":
            return await self._pipeline(statements)
        answers = []
        for each in statements:
            result = await self._connection.exec_driver_sql(each.text, tuple(each.parameters))
            answers.append([dict(row) for row in result.mappings()] if result.returns_rows else [])
        return answers

    async def _pipeline(self, statements: Sequence[Sent]) -> list[list[Row]]:
        driver: Any = (await self._connection.get_raw_connection()).driver_connection
        dialect = self._connection.dialect
        errors = dialect.loaded_dbapi.Error
        try:
            async with driver.pipeline():
                cursors = [await driver.execute(each.text, each.parameters) for each in statements]
            return [
                named(each.description, await each.fetchall()) if each.description else [] for each in cursors
            ]
        except errors as error:
            raise wrapped(error, errors, dialect, gone=driver.closed) from error


def named(description: Sequence[Any], rows: Sequence[Sequence[Any]]) -> list[Row]:
    """Rows with the names of their columns (PEP 249)."""
    names = [each[0] for each in description]
    return [dict(zip(names, row, strict=True)) for row in rows]


def wrapped(error: Exception, errors: type[Exception], dialect: Dialect, *, gone: bool) -> BaseException:
    """A driver's error as SQLAlchemy raises it, without the statement's values."""
    return DBAPIError.instance(
        None, None, error, errors, hide_parameters=True, connection_invalidated=gone, dialect=dialect
    )
