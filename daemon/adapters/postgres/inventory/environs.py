"""Reads what a dump does not bring back, and what a database needs around it: roles, extensions, settings, rights."""

from __future__ import annotations

import hashlib
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from schemas.backups import Locale

_EXTENSIONS = "SELECT extname, extversion FROM pg_extension ORDER BY 1"
_COLLATIONS = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(l.collname), l.collversion
  FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1
"""
# Whoever owns something of this database, or has a right on it. Rights of everybody are nobody's.
_ROLES = """
SELECT DISTINCT pg_get_userbyid(d.refobjid) FROM pg_shdepend d JOIN pg_database b ON b.datname = current_database()
 WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype IN ('o', 'a', 'r', 'i')
   AND (d.dbid = b.oid OR (d.dbid = 0 AND d.classid = 'pg_database'::regclass AND d.objid = b.oid))
UNION SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database() ORDER BY 1
"""
# Newer servers have one column for what older ones have as ICU's.
_LOCALE = """
SELECT pg_encoding_to_char(b.encoding), coalesce(to_jsonb(b)->>'datlocprovider', 'c'), b.datcollate, b.datctype,
       coalesce(to_jsonb(b)->>'datlocale', to_jsonb(b)->>'daticulocale'), to_jsonb(b)->>'datcollversion'
  FROM pg_database b WHERE b.datname = current_database()
"""
_SETTINGS = """
SELECT coalesce(quote_ident(r.rolname) || ' ', '') || split_part(item, '=', 1),
       substr(item, strpos(item, '=') + 1),
       NOT EXISTS (SELECT FROM pg_settings s WHERE s.name = lower(split_part(item, '=', 1)))
       OR strpos(split_part(item, '=', 1), '.') > 0
  FROM pg_db_role_setting s JOIN pg_database b ON b.oid = s.setdatabase
  LEFT JOIN pg_roles r ON r.oid = s.setrole, LATERAL unnest(s.setconfig) item
 WHERE b.datname = current_database() ORDER BY 1
"""
_GRANTS = """
SELECT 'OWNER=' || pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()
UNION ALL
SELECT a::text FROM pg_database, LATERAL unnest(datacl) a WHERE datname = current_database() ORDER BY 1
"""


async def read_environs(connection: AsyncConnection[TupleRow]) -> dict[str, Any]:
    """Return the fields of `Contents` that tell it, in the session's snapshot.

    Raises:
        psycopg.Error: the server does not answer.
    """

    async def rows(query: str) -> list[TupleRow]:
        return await (await connection.execute(query.encode())).fetchall()

    [(encoding, provider, collate, ctype, locale, version)] = await rows(_LOCALE)
    return {
        "extensions": dict(await rows(_EXTENSIONS)),
        "collations": dict(await rows(_COLLATIONS)),
        "roles": tuple(name for (name,) in await rows(_ROLES)),
        "locale": Locale(
            encoding=encoding,
            provider=provider,
            collate=collate,
            ctype=ctype,
            locale=locale,
            version=version,
        ),
        "settings": {
            name: _digest(value) if is_own else value for name, value, is_own in await rows(_SETTINGS)
        },
        "grants": tuple(grant for (grant,) in await rows(_GRANTS)),
    }


def _digest(value: str) -> str:
    return f"sha256:{hashlib.sha256(value.encode()).hexdigest()}"
