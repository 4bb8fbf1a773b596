"""Reads where the sequences of a database stand. They are in no snapshot: what is read is what they are now."""

from __future__ import annotations

from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

from schemas.backups import SequenceState

_AT_ONCE = 100
_SEQUENCES = """
SELECT n.nspname, c.relname, quote_ident(n.nspname) || '.' || quote_ident(c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
                    AND e.deptype = 'e')
 ORDER BY 3
"""


async def read_sequences(connection: AsyncConnection[TupleRow]) -> dict[str, SequenceState]:
    """Read all sequences, but for those of extensions.

    Raises:
        psycopg.Error: the role may not read one, or the server does not answer.
    """
    known = await (await connection.execute(_SEQUENCES.encode())).fetchall()
    found: dict[str, SequenceState] = {}
    for first in range(0, len(known), _AT_ONCE):
        some = known[first : first + _AT_ONCE]
        reads = [
            sql.SQL("SELECT {}, last_value, is_called FROM {}").format(number, sql.Identifier(*place[:2]))
            for number, place in enumerate(some)
        ]
        rows = await (await connection.execute(sql.SQL(" UNION ALL ").join(reads))).fetchall()
        for number, last, is_called in rows:
            found[str(some[number][2])] = SequenceState(last, is_called)
    return found
