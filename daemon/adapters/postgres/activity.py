"""Reads which clients are in a database and how much was written, as far as a plain role sees it (PostgreSQL 13 to 18).

`pg_stat_database.sessions` also counts sessions that are over, but the daemon's own among them, and those of every
other worker and probe: it tells nobody apart, so it is left out.
"""

from __future__ import annotations

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from statemachines.steps.activity import Client, Written

# No daemon's session is the sign of a seed, whichever daemon it is. Of another role's session a plain role sees
# neither start nor type. Replication it sees by views of its own.
_CLIENTS = """
SELECT pid, usename, application_name, backend_type IS NULL
  FROM pg_stat_activity
 WHERE datname = current_database() AND usesysid IS NOT NULL AND pid <> pg_backend_pid()
   AND coalesce(backend_type, 'client backend') = 'client backend'
   AND application_name !~ '^resetd($| |-dump-)'
   AND pid NOT IN (SELECT pid FROM pg_stat_replication)
   AND pid NOT IN (SELECT pid FROM pg_stat_subscription WHERE pid IS NOT NULL)
 ORDER BY pid
"""
# `pg_stat_database` counts rows of the server's own tables, too, which autovacuum writes by itself. A reset of any
# table's counters is told by `stats_reset` of the database. The name is unique; a database has one row there.
_WRITTEN = """
SELECT (SELECT stats_reset::text FROM pg_stat_database WHERE datname = current_database()),
       (SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint FROM pg_stat_user_tables
         WHERE schemaname !~ '^pg_temp_')
"""


async def read_clients(connection: AsyncConnection[TupleRow]) -> tuple[Client, ...]:
    """See `daemon.ports.databases.Witness.clients`."""
    rows = await (await connection.execute(_CLIENTS)).fetchall()
    return tuple(
        Client(pid, str(role), str(application or ""), bool(hidden))
        for pid, role, application, hidden in rows
    )


async def read_written(connection: AsyncConnection[TupleRow], incarnation: str) -> Written:
    """See `daemon.ports.databases.Witness.written`."""
    row = await (await connection.execute(_WRITTEN)).fetchone()
    assert row is not None
    return Written(f"{incarnation} {row[0]}", int(row[1]))
