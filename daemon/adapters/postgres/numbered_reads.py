"""One row of each of many relations, read many relations at a time."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

_AT_ONCE = 50
"""Relations that one statement reads."""


async def read_each(
    connection: AsyncConnection[TupleRow], reads: Sequence[sql.Composable]
) -> list[tuple[Any, ...]]:
    """Return the row that each of `reads`, `COLUMNS FROM RELATION`, answers with, in their order.

    Raises:
        psycopg.Error: the role may not read one, or the server does not answer.
    """
    found: list[tuple[Any, ...]] = []
    for first in range(0, len(reads), _AT_ONCE):
        numbered = [
            sql.SQL("SELECT {}, {}").format(number, read)
            for number, read in enumerate(reads[first : first + _AT_ONCE])
        ]
        rows = await (await connection.execute(sql.SQL(" UNION ALL ").join(numbered))).fetchall()
        found += [row[1:] for row in sorted(rows, key=itemgetter(0))]
    return found
