"""Has a server read expressions again and write them: what it writes then no longer changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

from schemas.backups import Expression

_VIEW = "resetd_round_trip"


async def read_again(
    connection: AsyncConnection[TupleRow], expressions: Mapping[str, Expression], names: Iterable[str]
) -> dict[str, str]:
    """Return the text of these expressions after one round trip. One that the server can't read stays out.

    Nothing of it stays in the database.

    Raises:
        psycopg.OperationalError: the server does not answer.
    """
    texts: dict[str, str] = {}
    for name in names:
        each = expressions[name]
        query = each.text.rstrip().rstrip(";")
        if each.over:
            query = f"SELECT ({query}) AS e FROM {each.over}"  # noqa: S608 - as the server itself wrote them
        try:
            async with connection.transaction(force_rollback=True):
                await connection.execute("SET LOCAL search_path = pg_catalog")
                await connection.execute(f"CREATE TEMPORARY VIEW {_VIEW} AS {query}".encode())
                row = await (
                    await connection.execute(
                        sql.SQL("SELECT pg_get_viewdef(({} || {})::regclass)").format("pg_temp.", _VIEW)
                    )
                ).fetchone()
        except psycopg.OperationalError:
            raise
        except psycopg.Error:
            continue
        assert row is not None
        texts[name] = str(row[0])
    return texts
