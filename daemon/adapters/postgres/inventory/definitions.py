"""Reads the definitions in a database: names, types, keys and indexes, and apart from them their expressions.

An expression is what the server writes of its parsed form. `CHECK (status IN ('a', 'b'))` of a varchar comes back in
other words once it was restored, so expressions stand by their text, to be read again before two are compared.
Definitions stand by a digest. What extensions brought along is theirs, and is left out.
"""

# ruff: noqa: S608 - queries are put together of this module's own constants

from __future__ import annotations

import hashlib
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from schemas.backups import Expression, Schema

# Names in definitions are written with their schema unless they are PostgreSQL's own.
_OURS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"


def _not_of_extension(catalog: str, oid: str) -> str:
    return (
        f"NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_catalog.{catalog}'::regclass"
        f" AND e.objid = {oid} AND e.deptype = 'e')"
    )


_OF_TABLE = f"{_OURS} AND {_not_of_extension('pg_class', 'c.oid')} AND c.relpersistence <> 't'"
# A dump leaves out what a failed CREATE INDEX CONCURRENTLY left behind.
_VALID = "(x.indisvalid OR c.relkind = 'p')"
_NAME = "quote_ident(n.nspname) || '.' || quote_ident(c.relname)"

# Each answers (kind, name, definition). A sequence's own parameters are part of its definition, its state is not.
OBJECTS = (
    f"""
SELECT 'schema', quote_ident(n.nspname), '' FROM pg_namespace n
 WHERE {_OURS} AND {_not_of_extension("pg_namespace", "n.oid")}
""",
    f"""
SELECT CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view' WHEN 'f' THEN 'foreign table'
                      WHEN 'm' THEN 'materialized view' ELSE 'type' END,
       {_NAME},
       c.relkind::text || c.relpersistence::text || c.relrowsecurity::text || c.relforcerowsecurity::text
       || coalesce(pg_get_partkeydef(c.oid), '') || coalesce(pg_get_expr(c.relpartbound, c.oid), '')
       || coalesce((SELECT string_agg(i.inhparent::regclass::text, ',' ORDER BY i.inhseqno)
                      FROM pg_inherits i WHERE i.inhrelid = c.oid), '')
       || E'\\n' || coalesce((
           SELECT string_agg(concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
                                       a.attnotnull, nullif(a.attidentity, ''), nullif(a.attgenerated, ''),
                                       nullif(a.attcollation, 0)::regcollation), E'\\n' ORDER BY a.attnum)
             FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND {_OF_TABLE}
""",
    f"""
SELECT 'sequence', {_NAME},
       concat_ws(' ', format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache,
                 s.seqcycle, (SELECT d.refobjid::regclass::text || '.' || a.attname FROM pg_depend d
                                JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                               WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
                                 AND d.refclassid = 'pg_class'::regclass))
  FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE {_OF_TABLE}
""",
    # A NOT NULL, which newer servers keep as a constraint, too, is part of its column. A partition's foreign key, which
    # its parent's makes, may come back under another name.
    f"""
SELECT 'constraint', {_NAME} || '.' || quote_ident(o.conname),
       CASE WHEN o.contype = 'c' THEN concat_ws(' ', 'CHECK', o.connoinherit, o.convalidated)
            WHEN o.contype = 'x' THEN 'EXCLUDE'
            ELSE pg_get_constraintdef(o.oid) END
  FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE o.contype <> 'n' AND o.contype <> 't' AND NOT (o.contype = 'f' AND o.conparentid <> 0) AND {_OF_TABLE}
""",
    f"""
SELECT 'constraint', format_type(o.contypid, NULL) || '.' || quote_ident(o.conname),
       concat_ws(' ', 'CHECK', o.convalidated)
  FROM pg_constraint o JOIN pg_namespace n ON n.oid = o.connamespace
 WHERE o.contypid <> 0 AND o.contype = 'c' AND {_OURS} AND {_not_of_extension("pg_type", "o.contypid")}
""",
    f"""
SELECT 'index', quote_ident(n.nspname) || '.' || quote_ident(ic.relname),
       concat_ws(' ', x.indrelid::regclass, am.amname, x.indisunique, x.indisprimary, x.indisexclusion,
                 x.indimmediate, x.indisreplident, x.indnkeyatts, x.indoption::text,
                 array_to_string(ic.reloptions, ','), x.indpred IS NOT NULL)
       || E'\\n' || (SELECT string_agg(
              CASE WHEN x.indkey[k] = 0 THEN '(expression)' ELSE pg_get_indexdef(x.indexrelid, k + 1, false) END
              || ' ' || coalesce((SELECT o.opcname FROM pg_opclass o WHERE o.oid = x.indclass[k]), '')
              || ' ' || coalesce(nullif(x.indcollation[k], 0)::regcollation::text, ''), E'\\n' ORDER BY k)
              FROM generate_series(0, x.indnatts - 1) k)
  FROM pg_index x JOIN pg_class ic ON ic.oid = x.indexrelid JOIN pg_am am ON am.oid = ic.relam
  JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE {_VALID} AND {_OF_TABLE}
""",
    f"""
SELECT 'type', quote_ident(n.nspname) || '.' || quote_ident(t.typname),
       concat_ws(' ', t.typtype::text, CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
                 CASE WHEN t.typtype = 'd' THEN t.typnotnull END,
                 (SELECT format_type(r.rngsubtype, NULL) FROM pg_range r WHERE r.rngtypid = t.oid),
                 (SELECT string_agg(quote_literal(e.enumlabel), ',' ORDER BY e.enumsortorder)
                    FROM pg_enum e WHERE e.enumtypid = t.oid))
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE t.typtype IN ('d', 'e', 'r') AND {_OURS} AND {_not_of_extension("pg_type", "t.oid")}
""",
    f"""
SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
       quote_ident(n.nspname) || '.' || quote_ident(p.proname)
       || '(' || pg_get_function_identity_arguments(p.oid) || ')',
       concat_ws(' ', l.lanname, format_type(p.prorettype, NULL), p.proretset, p.provolatile::text, p.proisstrict,
                 p.prosecdef, p.proleakproof, p.proparallel::text, array_to_string(p.proconfig, ','), p.prosrc)
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
 WHERE {_OURS} AND {_not_of_extension("pg_proc", "p.oid")}
   AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = 'pg_proc'::regclass AND i.objid = p.oid
                    AND i.deptype = 'i')
""",
    f"""
SELECT 'trigger', {_NAME} || '.' || quote_ident(t.tgname),
       concat_ws(' ', t.tgfoid::regproc, t.tgtype, t.tgenabled::text, t.tgdeferrable, t.tginitdeferred,
                 encode(t.tgargs, 'hex'), t.tgqual IS NOT NULL,
                 (SELECT string_agg(quote_ident(a.attname), ',' ORDER BY a.attname) FROM pg_attribute a
                   WHERE a.attrelid = t.tgrelid AND a.attnum = ANY (t.tgattr)))
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT t.tgisinternal AND {_OF_TABLE}
""",
    f"""
SELECT 'policy', {_NAME} || '.' || quote_ident(p.polname), concat_ws(' ', p.polcmd::text, p.polpermissive)
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE {_OF_TABLE}
""",
)

# Each answers (name, what it is over, text).
EXPRESSIONS = (
    f"""
SELECT 'constraint ' || {_NAME} || '.' || quote_ident(o.conname), 'ONLY ' || {_NAME},
       pg_get_expr(o.conbin, o.conrelid)
  FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE o.contype = 'c' AND {_OF_TABLE}
""",
    f"""
SELECT 'constraint ' || format_type(o.contypid, NULL) || '.' || quote_ident(o.conname),
       '(SELECT NULL::' || format_type(t.typbasetype, t.typtypmod) || ' AS value) domain',
       pg_get_expr(o.conbin, 0)
  FROM pg_constraint o JOIN pg_type t ON t.oid = o.contypid JOIN pg_namespace n ON n.oid = o.connamespace
 WHERE o.contype = 'c' AND {_OURS} AND {_not_of_extension("pg_type", "o.contypid")}
""",
    f"""
SELECT 'column ' || {_NAME} || '.' || quote_ident(a.attname), 'ONLY ' || {_NAME},
       pg_get_expr(d.adbin, d.adrelid)
  FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
  JOIN pg_class c ON c.oid = d.adrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE {_OF_TABLE}
""",
    f"""
SELECT 'index ' || quote_ident(n.nspname) || '.' || quote_ident(ic.relname) || part.kind, 'ONLY ' || {_NAME}, part.text
  FROM pg_index x JOIN pg_class ic ON ic.oid = x.indexrelid
  JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
       LATERAL (VALUES ('', pg_get_expr(x.indexprs, x.indrelid)), (' WHERE', pg_get_expr(x.indpred, x.indrelid)))
            part (kind, text)
 WHERE part.text IS NOT NULL AND {_VALID} AND {_OF_TABLE}
""",
    f"""
SELECT 'policy ' || {_NAME} || '.' || quote_ident(p.polname) || part.kind, 'ONLY ' || {_NAME}, part.text
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
       LATERAL (VALUES (' USING', pg_get_expr(p.polqual, p.polrelid)),
                       (' CHECK', pg_get_expr(p.polwithcheck, p.polrelid))) part (kind, text)
 WHERE part.text IS NOT NULL AND {_OF_TABLE}
""",
    f"""
SELECT CASE c.relkind WHEN 'v' THEN 'view ' ELSE 'materialized view ' END || {_NAME}, '', pg_get_viewdef(c.oid)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('v', 'm') AND {_OF_TABLE}
""",
)


async def read_definitions(connection: AsyncConnection[TupleRow]) -> Schema:
    """Read all definitions of the database, in the session's snapshot.

    Raises:
        psycopg.Error: the server does not answer.
    """
    # Names are written in full where nothing is on the search path, as in a dump.
    await connection.execute("SET LOCAL search_path = pg_catalog")
    objects: dict[str, str] = {}
    for query in OBJECTS:
        for kind, name, definition in await _rows(connection, query):
            objects[f"{kind} {name}"] = hashlib.sha256(definition.encode()).hexdigest()[:32]
    expressions = {
        name: Expression(over=over, text=text)
        for query in EXPRESSIONS
        for name, over, text in await _rows(connection, query)
    }
    whole = hashlib.sha256()
    for name in sorted(objects):
        whole.update(f"{name}\0{objects[name]}\0".encode())
    for name in sorted(expressions):
        whole.update(f"{name}\0".encode())
    return Schema(digest=f"sha256:{whole.hexdigest()}", objects=objects, expressions=expressions)


async def _rows(connection: AsyncConnection[TupleRow], query: str) -> list[tuple[str, ...]]:
    rows = await (await connection.execute(query.encode())).fetchall()
    return [tuple(map(_as_text, row)) for row in rows]


def _as_text(value: Any) -> str:  # noqa: ANN401 - text, or bytes in a database without an encoding
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value or "")
