"""Reads who is connected to a database, as far as the server shows it to a plain role."""

from __future__ import annotations

from collections.abc import Collection

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from daemon.ports.databases import Session

# A role sees addresses and starts of its own sessions only, unless it has pg_read_all_stats. Of others it sees role and
# application, and no backend_type. Who may become a role that may write, may write: rights that are not inherited are
# one SET ROLE away. Who may make tables may write: in an empty database nothing else tells them.
_SESSIONS = """
WITH present AS (
  SELECT pid, usesysid, usename, application_name, host(client_addr) AS address, backend_start
    FROM pg_stat_activity
   WHERE datname = current_database() AND usesysid IS NOT NULL AND pid <> pg_backend_pid()
     AND coalesce(backend_type, 'client backend') = 'client backend'
     AND application_name !~ %(own)s
), writers AS (
  SELECT usesysid FROM (SELECT DISTINCT usesysid FROM present) AS roles
   WHERE EXISTS (
     SELECT FROM pg_roles r
      WHERE pg_has_role(usesysid, r.oid, 'MEMBER')
        AND (r.rolsuper OR has_database_privilege(r.oid, current_database(), 'CREATE')
          OR EXISTS (SELECT FROM pg_namespace n
                      WHERE n.nspname !~ '^pg_' AND has_schema_privilege(r.oid, n.oid, 'CREATE'))
          OR EXISTS (
          SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE c.relkind IN ('r', 'p', 'v', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
             AND has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))))
)
SELECT pid, usename, application_name, address, backend_start, usesysid IN (SELECT usesysid FROM writers)
  FROM present ORDER BY pid
"""

# Who may not see a session's state may not end it either. A superuser's is ended by a superuser alone, and asking for
# more is an error.
_END_IDLE = """
SELECT a.pid, pg_terminate_backend(a.pid)
  FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
  JOIN unnest(%(pids)s::int[], %(starts)s::timestamptz[]) AS listed (pid, start)
    ON listed.pid = a.pid AND listed.start = a.backend_start
 WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.state = 'idle'
   AND a.state_change < clock_timestamp() - make_interval(secs => %(seconds)s)
   AND pg_has_role(current_user, a.usesysid, 'USAGE')
   AND (NOT r.rolsuper OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user))
"""


async def end_idle_sessions(
    connection: AsyncConnection[TupleRow], sessions: Collection[Session], seconds: float
) -> tuple[Session, ...]:
    """End those of these sessions that have been idle for so long, where the role may, and return them."""
    known = {each.pid: each for each in sessions if each.since is not None}
    asked = {
        "pids": list(known),
        "starts": [each.since for each in known.values()],
        "seconds": seconds,
    }
    rows = await (await connection.execute(_END_IDLE, asked)).fetchall()
    return tuple(known[pid] for pid, ended in rows if ended)


async def read_sessions(connection: AsyncConnection[TupleRow], daemon: str) -> tuple[Session, ...]:
    """Return the sessions of others in the connection's database. `daemon` is in the names of its own ones.

    Another cluster's resetd is one of the others, and so is what a command of a reset left: pods tell whose that is.
    """
    own = rf"^resetd( {daemon}|-dump-{daemon}[0-9a-f]{{16}})$"
    rows = await (await connection.execute(_SESSIONS, {"own": own})).fetchall()
    return tuple(
        Session(
            pid=pid,
            role=str(role),
            application=str(application or ""),
            address=address,
            hidden=since is None,
            writes=bool(writes),
            since=since,
        )
        for pid, role, application, address, since, writes in rows
    )
