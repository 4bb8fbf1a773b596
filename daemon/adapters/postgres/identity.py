"""Reads who a database is: its system identifier and name, and the markers that people put in it."""

from __future__ import annotations

from datetime import UTC, datetime

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from daemon.ports.databases import Identity, Marker
from schemas.wire import ResourceKey

# A rename swaps the oid, so that is no part of the identity. A copied cluster keeps its system identifier: hence the
# witness. `to_regclass` would fail where the role may not use the schema.
_IDENTITY = """
SELECT (SELECT system_identifier FROM pg_control_system()),
       current_database(),
       current_setting('server_version_num')::int,
       pg_database_size(current_database()),
       (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'resetd')),
       EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = 'resetd' AND c.relname = 'identity')
"""
_MARKERS = """
SELECT DISTINCT environment::text, system_identifier::text, name::text FROM resetd.identity
 ORDER BY 1, 2, 3 LIMIT 100
"""


async def read_identity(connection: AsyncConnection[TupleRow]) -> Identity:
    """Read the identity of the database that the session is in.

    Raises:
        psycopg.Error: the server does not answer, or the role may not read the markers that are there.
    """
    row = await (await connection.execute(_IDENTITY)).fetchone()
    assert row is not None
    identifier, name, version, size, tables, is_marked = row
    markers: tuple[Marker, ...] = ()
    if is_marked:
        rows = await (await connection.execute(_MARKERS)).fetchall()
        markers = tuple(
            Marker(environment or "", believed=(of_server, of_name) == (str(identifier), name))
            for environment, of_server, of_name in rows
        )
    return Identity(
        key=key_of(identifier, name),
        name=name,
        server_version=version,
        size_bytes=size,
        tables=tables,
        markers=markers,
    )


def key_of(system_identifier: int, name: str) -> ResourceKey:
    """Return the key of a database."""
    return ResourceKey(f"database/{system_identifier}/{name}")


def incarnation_of(server_started_at: datetime, oid: int) -> str:
    """Return the running server and the database in it as `Witness.incarnation`, whatever the session's time zone."""
    return f"{server_started_at.astimezone(UTC).isoformat()}/{oid}"
