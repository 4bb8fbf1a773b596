"""Reads where the sequences of a database stand. They are in no snapshot: what is read is what they are now."""

from __future__ import annotations

from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

from daemon.adapters.postgres.numbered_reads import read_each
from schemas.backups import SequenceState

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
    reads = [sql.SQL("last_value, is_called FROM {}").format(sql.Identifier(*place[:2])) for place in known]
    rows = await read_each(connection, reads)
    return {
        str(place[2]): SequenceState(last, is_called)
        for place, (last, is_called) in zip(known, rows, strict=True)
    }
