"""Prisma's errors as its CLI prints them to standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.services.standins.prisma.datasource import Datasource

if TYPE_CHECKING:  # the commands that need no database start without the client, which takes a while to load
    import psycopg2

RESOLVE = (
    "Read more about how to resolve migration issues in a production database: "
    "https://pris.ly/d/migrate-resolve"
)


class PrismaError(Exception):
    """The command ends with exit code 1; the text goes to standard error."""


def from_connecting(error: psycopg2.OperationalError, source: Datasource) -> PrismaError:
    """P1000, P1001, P1003 or the server's own words; never with the password."""
    said = str(error)
    if "password authentication failed" in said or "no password supplied" in said:
        return PrismaError(
            "Error: P1000: Authentication failed against database server, the provided database "
            f"credentials for `{source.user}` are not valid.\n\nPlease make sure to provide valid "
            f"database credentials for the database server at `{source.address}`."
        )
    if "does not exist" in said:
        return PrismaError(
            f"Error: P1003: Database `{source.database}` does not exist on the database server "
            f"at `{source.address}`."
        )
    if "FATAL:" in said:
        return PrismaError(f"Error: {said[said.index('FATAL:') :].strip()}")
    return PrismaError(
        f"Error: P1001: Can't reach database server at `{source.address}`\n\n"
        f"Please make sure your database server is running at `{source.address}`."
    )


def from_statement(error: psycopg2.Error) -> PrismaError:
    """P1017 for a lost connection; the database's words for any other error."""
    if lost(error):
        return PrismaError("Error: P1017\n\nServer has closed the connection.\n")
    return PrismaError(f"Error: {error.diag.message_primary}\n")


def lost(error: psycopg2.Error) -> bool:
    """Whether the session is gone: it was terminated, or the server has ended."""
    return error.pgcode is None or error.pgcode[:3] == "57P"


def locked(source: Datasource) -> PrismaError:
    """P1002: another migration holds the advisory lock, or the session of a killed one still does."""
    return PrismaError(
        f"Error: P1002\n\nThe database server at `{source.address}` was reached but timed out.\n\n"
        "Please try again.\n\n"
        f"Please make sure your database server is running at `{source.address}`.\n\n"
        "Context: Timed out trying to acquire a postgres advisory lock "
        "(SELECT pg_advisory_lock(72707369)). Timeout: 10000ms. "
        "See https://pris.ly/d/migrate-advisory-locking for details.\n\n"
    )


def not_empty() -> PrismaError:
    """P3005: there are tables, but no ledger."""
    return PrismaError(
        "Error: P3005\n\nThe database schema is not empty. Read more about how to baseline an "
        "existing production database: https://pris.ly/d/migrate-baseline\n"
    )


def failed_before(failed: list[tuple[str, str]]) -> PrismaError:
    """P3009: `failed` are the migrations without an end, each with its name and start."""
    lines = "\n".join(f"The `{name}` migration started at {begun} UTC failed" for name, begun in failed)
    return PrismaError(
        "Error: P3009\n\nmigrate found failed migrations in the target database, new migrations "
        f"will not be applied. {RESOLVE}\n{lines}\n\n"
    )


def failed_now(name: str, error: psycopg2.Error) -> PrismaError:
    """P3018: the database refused the script of this migration."""
    diag = error.diag
    return PrismaError(
        "Error: P3018\n\nA migration failed to apply. New migrations cannot be applied before the "
        f"error is recovered from. {RESOLVE}\n\nMigration name: {name}\n\n"
        f"Database error code: {error.pgcode}\n\nDatabase error:\nERROR: {diag.message_primary}\n\n"
        f'DbError {{ severity: "{diag.severity}", parsed_severity: Some(Error), code: '
        f"SqlState(E{error.pgcode}), message: {_quoted(diag.message_primary)}, detail: "
        f"{_option(diag.message_detail)}, hint: {_option(diag.message_hint)} }}\n"
    )


def _quoted(text: str | None) -> str:
    return '"' + (text or "").replace('"', '\\"') + '"'


def _option(text: str | None) -> str:
    return f"Some({_quoted(text)})" if text else "None"
