"""The contents of a database, in a form that is equal for databases with the same content.

It leaves out columns that the database fills by itself with other values each time (a serial, a UUID, the time), which
are surrogate ids and timestamps. Of the ledgers of migrations it reads what was applied: name, checksum, whether it
failed.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import psycopg
from psycopg import sql

# The rows of each table; a row is [[column, value], ...] with the columns in the order of their names.
Contents = dict[str, list[list[list[Any]]]]

_COLUMNS = """
SELECT c.table_name, c.column_name
FROM information_schema.columns c
JOIN information_schema.tables t USING (table_schema, table_name)
WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'
  AND c.table_name NOT IN ('_prisma_migrations', 'migrations')
  AND c.is_identity = 'NO'
  AND c.data_type NOT LIKE 'timestamp%'
  AND coalesce(c.column_default, '') !~ '(nextval|gen_random_uuid|now)\\('
ORDER BY c.table_name, c.column_name
"""
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
_LEDGERS = {
    "_prisma_migrations": (
        "SELECT migration_name AS name, checksum, finished_at IS NULL AS failed"
        " FROM public._prisma_migrations WHERE rolled_back_at IS NULL"
    ),
    "migrations": "SELECT name, timestamp FROM public.migrations",
}


def read(url: str) -> Contents:
    """Read every table of the schema `public`, sorted, in one snapshot. `url` may be in Prisma's style."""
    with psycopg.connect(url.partition("?")[0]) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        columns: dict[str, list[str]] = {row[0]: [] for row in connection.execute(_TABLES)}
        for table, column in connection.execute(_COLUMNS):
            columns[table].append(column)
        return {
            table: _rows(connection, _LEDGERS[table] if table in _LEDGERS else _select(table, names))
            for table, names in columns.items()
        }


def digest(contents: Contents) -> str:
    """A digest of 12 hexadecimal digits: the same for the same content."""
    return hashlib.sha256(json.dumps(contents).encode()).hexdigest()[:12]


def counts(contents: Contents) -> dict[str, int]:
    """The number of rows of each table."""
    return {table: len(rows) for table, rows in contents.items()}


def _select(table: str, columns: list[str]) -> sql.Composed:
    return sql.SQL("SELECT {} FROM public.{}").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(table)
    )


def _rows(connection: psycopg.Connection, query: str | sql.Composed) -> list[list[list[Any]]]:
    cursor = connection.execute(query.encode() if isinstance(query, str) else query)
    names = [column.name for column in cursor.description or ()]
    rows = [[[name, _plain(value)] for name, value in sorted(zip(names, row, strict=True))] for row in cursor]
    return sorted(rows, key=json.dumps)


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float | str | list | dict):
        return value
    return str(value)
