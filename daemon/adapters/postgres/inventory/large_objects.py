"""Counts the large objects of a database, and makes one digest of all their contents."""

from __future__ import annotations

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from schemas.backups import LargeObjects

# The server reads one megabyte at a time: a large object may be larger than a value may be. `pg_largeobject` itself is
# for superusers, and `lo_get` is for whoever may read the object.
_DIGEST = """
SELECT count(*), encode(sha256(convert_to(coalesce(string_agg(m.oid || ' ' || whole.digest, E'\\n' ORDER BY m.oid), ''),
                                          'UTF8')), 'hex')
  FROM pg_largeobject_metadata m, LATERAL (
       WITH RECURSIVE piece (number, digest, length) AS (
           SELECT 0::bigint, sha256(d), length(d) FROM lo_get(m.oid, 0, 1048576) d
           UNION ALL
           SELECT p.number + 1, sha256(d), length(d)
             FROM piece p, LATERAL lo_get(m.oid, (p.number + 1) * 1048576, 1048576) d WHERE p.length = 1048576)
       SELECT string_agg(encode(piece.digest, 'hex'), '' ORDER BY piece.number) AS digest FROM piece) whole
"""


async def read_large_objects(connection: AsyncConnection[TupleRow]) -> LargeObjects:
    """Read them in the session's snapshot.

    Raises:
        psycopg.Error: the role may not read one, or the server does not answer.
    """
    row = await (await connection.execute(_DIGEST.encode())).fetchone()
    assert row is not None
    count, digest = row
    return LargeObjects(count=count, digest=digest if count else "")
