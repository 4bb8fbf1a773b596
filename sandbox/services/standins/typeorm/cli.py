"""`typeorm COMMAND -d DATASOURCE`: results go to standard output, an error that ends it to standard error."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any

from sandbox.services.standins import controls
from sandbox.services.standins.controls import Control
from sandbox.services.standins.typeorm.source import DataSource, SourceError, load

if TYPE_CHECKING:  # a command that can't be read ends without the client, which takes a while to load
    import psycopg2

    from sandbox.services.standins.database import Session

_DURING = {
    "migration:run": "migration run",
    "migration:revert": "migration revert",
    "migration:show": "migration show",
    "query": "query execution",
}


def main(arguments: list[str]) -> int:
    """Run a command; returns 0, or 1 with the error as node prints it."""
    if not arguments or arguments[0] not in _DURING:
        sys.stderr.write("Usage: typeorm <command> [options]\n")
        return 1
    command, named, words = arguments[0], None, list[str]()
    rest = iter(arguments[1:])
    for argument in rest:
        if argument in ("-d", "--dataSource"):
            named = next(rest, None)
        elif argument.startswith(("-d=", "--dataSource=")):
            named = argument.partition("=")[2]
        else:
            words.append(argument)
    if named is None:
        sys.stderr.write(f"typeorm {command}\n\nMissing required argument: dataSource\n")
        return 1
    control = controls.begin(f"typeorm {command}")
    try:
        source = load(named)
    except SourceError as error:
        return _fail(command, f"Error: {error}")
    if source.log is None or command == "query":  # its rows are no lines of the logger
        return _connected(command, source, words, control)
    with source.log.open("a") as log, contextlib.redirect_stdout(log):
        return _connected(command, source, words, control)


def _connected(command: str, source: DataSource, words: list[str], control: Control) -> int:
    import psycopg2

    from sandbox.services.standins.database import Session
    from sandbox.services.standins.typeorm import migrations

    try:
        session = Session(source.dsn)
    except psycopg2.OperationalError as error:
        return _fail(command, _not_connected(str(error), source))
    try:
        with session:
            if command == "migration:run":
                migrations.run(session, source, control)
            elif command == "migration:show":
                migrations.show(session, source)
            elif command == "query":
                _query(session, words)
            else:
                gone = migrations.revert(session, source, control)
                if gone:
                    return _fail(command, f"TypeORMError: {gone}")
    except psycopg2.Error as error:
        return _fail(command, _refused(error))
    return 0


def _query(session: Session, words: list[str]) -> None:
    """Run the first word as a statement, and print its rows."""
    statement = words[0] if words else ""
    sys.stdout.write(f"Running query: {statement}\n")
    cursor = session.execute(statement)
    rows: list[dict[str, Any]] = []
    if cursor.description:
        names = [column.name for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor]
    sys.stdout.write(f"Query has been executed. Result: \n{_inspected(rows)}\n")


def _inspected(rows: list[dict[str, Any]]) -> str:
    """Print rows as node's `util.inspect` does."""
    if not rows:
        return "[]"
    shown = [
        "  {\n" + ",\n".join(f"    {key}: {_literal(value)}" for key, value in row.items()) + "\n  }"
        for row in rows
    ]
    return "[\n" + ",\n".join(shown) + "\n]"


def _literal(value: object) -> str:
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    return f"'{value}'"


def _not_connected(said: str, source: DataSource) -> str:
    if "FATAL:" in said:
        return f"error: {said[said.index('FATAL:') + 6 :].strip()}"
    host, _, port = source.dsn.rpartition("@")[2].partition("/")[0].partition(":")
    return (
        f"Error: connect ECONNREFUSED {host}:{port}\n"
        "    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1611:16) {\n"
        f"  errno: -111,\n  code: 'ECONNREFUSED',\n  syscall: 'connect',\n  address: '{host}',\n"
        f"  port: {port}\n}}"
    )


def _refused(error: psycopg2.Error) -> str:
    from sandbox.services.standins.database import refusal

    said = refusal(error)
    if said is None:
        return "QueryFailedError: Connection terminated unexpectedly"
    return (
        f"QueryFailedError: {said.message}\n"
        "    at PostgresQueryRunner.query (node_modules/typeorm/driver/postgres/PostgresQueryRunner.js:231:19) {\n"
        f"  severity: '{said.severity}',\n  code: '{said.code}'\n}}"
    )


def _fail(command: str, text: str) -> int:
    sys.stdout.write(f"Error during {_DURING[command]}:\n")
    sys.stderr.write(f"{text}\n")
    return 1
