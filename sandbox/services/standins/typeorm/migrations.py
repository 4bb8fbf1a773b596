"""`migration:run`, `migration:revert`, `migration:show`: they read and change the table `migrations`.

All pending migrations run in ONE transaction and without a lock: two processes at once try the same migrations.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

import psycopg2

from sandbox.services.standins.controls import Control
from sandbox.services.standins.database import Session, refusal
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


def run(session: Session, source: DataSource, control: Control) -> None:
    """`migration:run`: applies pending migrations; psycopg2.Error, after the rollback, when a statement is refused."""
    loaded = _loaded(session)
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
    query(session, "START TRANSACTION")
    for migration in pending:
        try:
            if control.seconds:
                session.execute("SELECT pg_sleep(%s)", [control.seconds])
            for statement in migration.up:
                query(session, statement)
            if control.fail:
                _raise(session, control.fail)
        except psycopg2.Error as error:
            said = refusal(error)
            message = said.message if said else "Connection terminated unexpectedly"
            say(f'Migration "{migration.name}" failed, error: {message}')
            _roll_back(session)
            raise
        session.execute(
            'INSERT INTO "migrations"("timestamp", "name") VALUES (%s, %s)',
            [migration.timestamp, migration.name],
        )
        say(f"query: {_INSERT} -- PARAMETERS: {_parameters(migration.timestamp, migration.name)}")
        say(f"Migration {migration.name} has been executed successfully.")
    query(session, "COMMIT")


def revert(session: Session, source: DataSource, control: Control) -> str | None:
    """`migration:revert`: undoes the ONE migration that was executed last; returns an error when its class is gone."""
    loaded = _loaded(session)
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
    query(session, "START TRANSACTION")
    try:
        if control.seconds:
            session.execute("SELECT pg_sleep(%s)", [control.seconds])
        for statement in found.down:
            query(session, statement)
        if control.fail:
            _raise(session, control.fail)
    except psycopg2.Error:
        _roll_back(session)
        raise
    session.execute('DELETE FROM "migrations" WHERE "timestamp" = %s AND "name" = %s', [timestamp, name])
    say(f"query: {_DELETE} -- PARAMETERS: {_parameters(timestamp, name)}")
    say(f"Migration {name} has been reverted successfully.")
    query(session, "COMMIT")
    return None


def show(session: Session, source: DataSource) -> None:
    """`migration:show`: a line for each, `[X] id name` when applied, `[ ] name` when pending; the exit code is 0."""
    ids: dict[str, int] = {}
    if _exists(session):
        ids = dict(session.execute('SELECT "name", "id" FROM "migrations"').fetchall())
    for migration in source.migrations:
        applied = migration.name in ids
        say(f"[X] {ids[migration.name]} {migration.name}" if applied else f"[ ] {migration.name}")


def query(session: Session, statement: str) -> None:
    """Run one statement, and log it as TypeORM does."""
    say(f"query: {statement}")
    try:
        session.execute(statement)
    except psycopg2.Error as error:
        say(f"query failed: {statement}")
        said = refusal(error)
        say(f"error: error: {said.message if said else 'Connection terminated unexpectedly'}")
        raise


def _exists(session: Session) -> bool:
    row = session.execute("SELECT to_regclass('public.migrations') IS NOT NULL").fetchone()
    return bool(row and row[0])


def _loaded(session: Session) -> list[tuple[int, str]]:
    query(session, "SELECT version()")
    query(session, "SELECT * FROM current_schema()")
    say(f"query: {_LOOK}")
    if not _exists(session):
        query(session, _TABLE)
    query(session, _ALL)
    rows = session.execute('SELECT "timestamp", "name" FROM "migrations" ORDER BY "id" DESC')
    return [(row[0], row[1]) for row in rows]


def _roll_back(session: Session) -> None:
    if not session.closed:
        query(session, "ROLLBACK")


def _raise(session: Session, text: str) -> None:
    raised = text.replace("'", "''").replace("%", "%%")
    query(session, f"DO $sandbox$ BEGIN RAISE EXCEPTION '{raised}'; END $sandbox$")


def _parameters(timestamp: int, name: str) -> str:
    return json.dumps([timestamp, name], separators=(",", ":"))


def _date(timestamp: int) -> str:
    moment = datetime.fromtimestamp(timestamp / 1000, UTC)
    return moment.strftime("%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)")
