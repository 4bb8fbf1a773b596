"""`migration:run`, `migration:revert`, `migration:show`: they read and change the table `migrations`.

All pending migrations run in ONE transaction and without a lock: two processes at once try the same migrations.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

import psycopg

from sandbox.services.standins.controls import Control
from sandbox.services.standins.typeorm.source import DataSource, Migration

_TABLE = (
    'CREATE TABLE "migrations" ("id" SERIAL NOT NULL, "timestamp" bigint NOT NULL, '
    '"name" character varying NOT NULL, '
    'CONSTRAINT "PK_8c82d7f526340ab734260ea46be" PRIMARY KEY ("id"))'
)
_LOOK = (
    'SELECT * FROM "information_schema"."tables" WHERE "table_schema" = $1 AND "table_name" = $2'
    ' -- PARAMETERS: ["public","migrations"]'
)
_INSERT = 'INSERT INTO "migrations"("timestamp", "name") VALUES ($1, $2)'
_DELETE = 'DELETE FROM "migrations" WHERE "timestamp" = $1 AND "name" = $2'
_ALL = 'SELECT * FROM "migrations" "migrations" ORDER BY "id" DESC'


def say(line: str) -> None:
    """Print a line of TypeORM's logger."""
    sys.stdout.write(f"{line}\n")


def run(connection: psycopg.Connection, source: DataSource, control: Control) -> None:
    """`migration:run`: applies pending migrations; psycopg.Error, after the rollback, when a statement is refused."""
    loaded = _loaded(connection)
    known = {name for _, name in loaded}
    pending = [migration for migration in source.migrations if migration.name not in known]
    if not pending:
        say("No migrations are pending")
        return
    say(f"{len(loaded)} migrations are already loaded in the database.")
    say(f"{len(source.migrations)} migrations were found in the source code.")
    if loaded:
        timestamp, name = max((int(row[0]), row[1]) for row in loaded)
        say(f"{name} is the last executed migration. It was executed on {_date(timestamp)}.")
    say(f"{len(pending)} migrations are new migrations must be executed.")
    query(connection, "START TRANSACTION")
    for migration in pending:
        try:
            if control.seconds:
                connection.execute("SELECT pg_sleep(%s)", [control.seconds])
            for statement in migration.up:
                query(connection, statement)
            if control.fail:
                _raise(connection, control.fail)
        except psycopg.Error as error:
            said = error.diag.message_primary or "Connection terminated unexpectedly"
            say(f'Migration "{migration.name}" failed, error: {said}')
            _roll_back(connection)
            raise
        connection.execute(
            'INSERT INTO "migrations"("timestamp", "name") VALUES (%s, %s)',
            [migration.timestamp, migration.name],
        )
        say(f"query: {_INSERT} -- PARAMETERS: {_parameters(migration.timestamp, migration.name)}")
        say(f"Migration {migration.name} has been executed successfully.")
    query(connection, "COMMIT")


def revert(connection: psycopg.Connection, source: DataSource, control: Control) -> str | None:
    """`migration:revert`: undoes the ONE migration that was executed last; returns an error when its class is gone."""
    loaded = _loaded(connection)
    if not loaded:
        say("No migrations were found in the database. Nothing to revert!")
        return None
    timestamp, name = loaded[0]
    found: Migration | None = next((known for known in source.migrations if known.name == name), None)
    if found is None:
        return (
            f"No migration {name} was found in the source code. Make sure you have this migration "
            "in your codebase and its included in the connection options."
        )
    say(f"{len(loaded)} migrations are already loaded in the database.")
    say(f"{name} is the last executed migration. It was executed on {_date(timestamp)}.")
    say("Now reverting it...")
    query(connection, "START TRANSACTION")
    try:
        if control.seconds:
            connection.execute("SELECT pg_sleep(%s)", [control.seconds])
        for statement in found.down:
            query(connection, statement)
        if control.fail:
            _raise(connection, control.fail)
    except psycopg.Error:
        _roll_back(connection)
        raise
    connection.execute('DELETE FROM "migrations" WHERE "timestamp" = %s AND "name" = %s', [timestamp, name])
    say(f"query: {_DELETE} -- PARAMETERS: {_parameters(timestamp, name)}")
    say(f"Migration {name} has been reverted successfully.")
    query(connection, "COMMIT")
    return None


def show(connection: psycopg.Connection, source: DataSource) -> None:
    """`migration:show`: a line for each, `[X] id name` when applied, `[ ] name` when pending; the exit code is 0."""
    ids: dict[str, int] = {}
    if _exists(connection):
        ids = dict(connection.execute('SELECT "name", "id" FROM "migrations"').fetchall())
    for migration in source.migrations:
        applied = migration.name in ids
        say(f"[X] {ids[migration.name]} {migration.name}" if applied else f"[ ] {migration.name}")


def query(connection: psycopg.Connection, statement: str) -> None:
    """Run one statement, and log it as TypeORM does."""
    say(f"query: {statement}")
    try:
        connection.execute(statement.encode())
    except psycopg.Error as error:
        say(f"query failed: {statement}")
        say(f"error: error: {error.diag.message_primary}")
        raise


def _exists(connection: psycopg.Connection) -> bool:
    row = connection.execute("SELECT to_regclass('public.migrations') IS NOT NULL").fetchone()
    return bool(row and row[0])


def _loaded(connection: psycopg.Connection) -> list[tuple[int, str]]:
    query(connection, "SELECT version()")
    query(connection, "SELECT * FROM current_schema()")
    say(f"query: {_LOOK}")
    if not _exists(connection):
        query(connection, _TABLE)
    query(connection, _ALL)
    rows = connection.execute('SELECT "timestamp", "name" FROM "migrations" ORDER BY "id" DESC')
    return [(row[0], row[1]) for row in rows]


def _roll_back(connection: psycopg.Connection) -> None:
    if not connection.closed:
        query(connection, "ROLLBACK")


def _raise(connection: psycopg.Connection, text: str) -> None:
    raised = text.replace("'", "''").replace("%", "%%")
    query(connection, f"DO $sandbox$ BEGIN RAISE EXCEPTION '{raised}'; END $sandbox$")


def _parameters(timestamp: int, name: str) -> str:
    return json.dumps([timestamp, name], separators=(",", ":"))


def _date(timestamp: int) -> str:
    moment = datetime.fromtimestamp(timestamp / 1000, UTC)
    return moment.strftime("%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)")
