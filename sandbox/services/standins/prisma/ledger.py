"""The `_prisma_migrations` table, the advisory lock around it, and the application of a migration.

The record of a migration is committed before its script runs, and finished after it. A client that is killed in between
leaves a failed migration (P3009), and its session holds the lock until its statement has ended (P1002).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

import psycopg2
from psycopg2 import errors, sql

from sandbox.services.standins.controls import Control
from sandbox.services.standins.database import Session
from sandbox.services.standins.prisma import failures
from sandbox.services.standins.prisma.datasource import Datasource
from sandbox.services.standins.prisma.schema import Migration

_LOCK = 72707369
_LOCK_WITHIN = "10s"

_TABLE = """
CREATE TABLE _prisma_migrations (
    id                      VARCHAR(36) PRIMARY KEY NOT NULL,
    checksum                VARCHAR(64) NOT NULL,
    finished_at             TIMESTAMPTZ,
    migration_name          VARCHAR(255) NOT NULL,
    logs                    TEXT,
    rolled_back_at          TIMESTAMPTZ,
    started_at              TIMESTAMPTZ NOT NULL DEFAULT now(),
    applied_steps_count     INTEGER NOT NULL DEFAULT 0
)
"""


class Applied(NamedTuple):
    """A row of the ledger that was not rolled back. `begun` is text, in UTC; `failed`: the row has no end."""

    name: str
    begun: str
    failed: bool


def connect(source: Datasource) -> Session:
    """Open a session in the datasource's schema; every statement is a transaction of its own.

    Raises:
        PrismaError: P1000, P1001 or P1003.
    """
    try:
        session = Session(source.dsn)
        session.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(source.schema)))
    except psycopg2.OperationalError as error:
        raise failures.from_connecting(error, source) from error
    return session


def lock(session: Session, source: Datasource) -> None:
    """Take Prisma's advisory lock, which the session holds to its end; PrismaError P1002 after 10 s."""
    try:
        session.execute(f"SET lock_timeout = '{_LOCK_WITHIN}'")
        session.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        session.execute("RESET lock_timeout")
    except errors.LockNotAvailable as error:
        raise failures.locked(source) from error


def exists(session: Session) -> bool:
    """Whether there is a ledger."""
    row = session.execute("SELECT to_regclass('_prisma_migrations') IS NOT NULL").fetchone()
    return bool(row and row[0])


def other_tables(session: Session, source: Datasource) -> bool:
    """Whether the schema has any table besides the ledger."""
    query = (
        "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = %s AND tablename <> '_prisma_migrations')"
    )
    row = session.execute(query, [source.schema]).fetchone()
    return bool(row and row[0])


def initialise(session: Session, source: Datasource) -> None:
    """Make the ledger if there is none; PrismaError P3005 when there are tables already."""
    if exists(session):
        return
    if other_tables(session, source):
        raise failures.not_empty()
    session.execute(_TABLE)


def applied(session: Session) -> list[Applied]:
    """The migrations that were applied or tried, oldest first."""
    rows = session.execute(
        "SELECT migration_name, to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'),"
        " finished_at IS NULL FROM _prisma_migrations WHERE rolled_back_at IS NULL"
        " ORDER BY started_at"
    )
    return [Applied(*row) for row in rows]


def apply(session: Session, migration: Migration, control: Control) -> None:
    """Run a migration's script as ONE simple query, so in one transaction, and record it before and after.

    Raises:
        PrismaError: P3018 when the database refuses the script, P1017 when the session is lost.
    """
    import uuid

    key = str(uuid.uuid4())
    session.execute(
        "INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at) VALUES (%s, %s, %s, %s)",
        [key, migration.checksum, migration.name, datetime.now(UTC)],
    )
    script = migration.script
    if control.seconds:
        script = f"SELECT pg_sleep({float(control.seconds)});\n{script}"
    if control.fail:
        raised = control.fail.replace("'", "''").replace("%", "%%")
        script = f"{script}\nDO $sandbox$ BEGIN RAISE EXCEPTION '{raised}'; END $sandbox$;"
    try:
        session.execute(script)
    except psycopg2.Error as error:
        if failures.lost(error):
            raise failures.from_statement(error) from error
        failure = failures.failed_now(migration.name, error)
        logs = str(failure).partition("Migration name:")[2]
        session.execute(
            "UPDATE _prisma_migrations SET logs = %s WHERE id = %s", [f"Migration name:{logs}", key]
        )
        raise failure from error
    session.execute(
        "UPDATE _prisma_migrations SET finished_at = %s, applied_steps_count = 1 WHERE id = %s",
        [datetime.now(UTC), key],
    )
