"""Writes a seed's rows, each in a transaction of its own: a seed that is killed leaves what it wrote until then."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import psycopg2
from psycopg2 import errors, sql

from sandbox.services.standins.controls import Control
from sandbox.services.standins.database import Session

_SECONDS = 0.3


class SeedError(Exception):
    """The seed fails; the text is what the Prisma client or the script throws.

    Args:
        text: What is printed.
        exit_code: What the seed ends with: 0 where nothing handles what a command of nest-commander throws.
    """

    def __init__(self, text: str, *, exit_code: int = 1) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def _as_asked(control: Control) -> SeedError:
    text = "" if control.hides_error else f"Error: {control.fail}"
    return SeedError(text, exit_code=0 if control.exits_zero else 1)


class Row(NamedTuple):
    """One row. Mode `upsert`, by `key`, may be repeated; mode `insert` may not."""

    table: str
    key: tuple[str, ...]
    mode: str
    values: dict[str, Any]

    def statement(self) -> tuple[sql.Composed, list[Any]]:
        """The INSERT and its parameters."""
        columns = [sql.Identifier(name) for name in self.values]
        parts = [
            sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                sql.Identifier(self.table),
                sql.SQL(", ").join(columns),
                sql.SQL(", ").join(sql.Placeholder() * len(columns)),
            )
        ]
        if self.mode == "upsert":
            parts.append(
                sql.SQL("ON CONFLICT ({}) DO UPDATE SET {}").format(
                    sql.SQL(", ").join(map(sql.Identifier, self.key)),
                    sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(column) for column in columns),
                )
            )
        parameters = [
            json.dumps(value) if isinstance(value, dict | list) else value for value in self.values.values()
        ]
        return sql.SQL(" ").join(parts), parameters


def rows_of(tables: Sequence[dict[str, Any]]) -> Iterator[Row]:
    """The rows of a seed file's `tables`, in their order."""
    for table in tables:
        for values in table["rows"]:
            yield Row(table["table"], tuple(table["key"]), table["mode"], values)


def connect(variable: str = "DATABASE_URL") -> Session:
    """Open a session on the database of a variable; SeedError when it is not set or the database does not answer."""
    url = os.environ.get(variable)
    if url is None:
        raise SeedError(
            f"PrismaClientInitializationError: error: Environment variable not found: {variable}."
        )
    try:
        return Session(url.partition("?")[0])
    except psycopg2.OperationalError as error:
        said = str(error)
        if "FATAL:" in said:
            text = said[said.index("FATAL:") :].strip()
        else:
            address = url.rpartition("@")[2].partition("/")[0]
            text = f"Can't reach database server at `{address}`"
        raise SeedError(f"PrismaClientInitializationError: \n{text}") from error


def write(session: Session, rows: Sequence[Row], control: Control) -> None:
    """Write all rows in about the time of the control, with a line of progress for each table.

    Raises:
        SeedError: the control says that the seed fails, or the database refuses, in the client's words.
    """
    seconds = _SECONDS if control.seconds is None else control.seconds
    stop_after = len(rows) if control.fail_after_rows is None else control.fail_after_rows
    begun = time.monotonic()
    for number, row in enumerate(rows):
        if control.fail and number >= stop_after:
            raise _as_asked(control)
        statement, parameters = row.statement()
        try:
            session.execute(statement, parameters)
        except psycopg2.Error as error:
            raise SeedError(_as_client(error, row)) from error
        if number + 1 == len(rows) or rows[number + 1].table != row.table:
            sys.stdout.write(f"  ✓ {row.table} ({number + 1}/{len(rows)})\n")
        time.sleep(max(0.0, begun + seconds * (number + 1) / len(rows) - time.monotonic()))
    if control.fail:
        raise _as_asked(control)


def check_readable(session: Session, table: str, column: str) -> None:
    """Check that a column can be read; SeedError when the table or the column is missing."""
    query = sql.SQL("SELECT {} FROM {}").format(sql.Identifier(column), sql.Identifier(table))
    try:
        session.execute(query)
    except psycopg2.Error as error:
        raise SeedError(_as_client(error, Row(table, (), "find", {column: None}))) from error


def _as_client(error: psycopg2.Error, row: Row) -> str:
    call = f"Invalid `prisma.{row.table}.{row.mode}()` invocation:\n\n"
    known = "PrismaClientKnownRequestError: \n" + call
    said = error.diag.message_primary
    if isinstance(error, errors.UndefinedTable):
        return (
            f"{known}The table `public.{row.table}` does not exist in the current database.\n  code: 'P2021'"
        )
    if isinstance(error, errors.UndefinedColumn):
        return f"{known}The column does not exist in the current database: {said}\n  code: 'P2022'"
    if error.pgcode is None or error.pgcode.startswith("57P"):
        return f"{known}Server has closed the connection.\n  code: 'P1017'"
    return (
        f"PrismaClientUnknownRequestError: \n{call}Error occurred during query execution:\n"
        f'ConnectorError(ConnectorError {{ kind: QueryError(PostgresError {{ code: "{error.pgcode}", '
        f'message: "{said}", severity: "{error.diag.severity}" }}) }})'
    )
