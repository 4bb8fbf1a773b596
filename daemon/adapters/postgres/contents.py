"""The contents port by psycopg: one read-only transaction for each look, in the database that was agreed to."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

from daemon.adapters.postgres.errors import connection_error, one_line
from daemon.adapters.postgres.identity import incarnation_of
from daemon.adapters.postgres.pooling import standby
from daemon.adapters.postgres.sessions import as_port_errors, connect
from daemon.adapters.postgres.urls import DEFAULT_SCHEMA, Address, Network, parse_address, schema_of
from daemon.ports.contents import MOST_LEDGER_ROWS
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from schemas.checks import Ledger, RowsCheck, TableName, UnchangedCheck
from schemas.reasons import Reason
from schemas.wire import ResourceKey
from statemachines.steps.database_checks import Fingerprint, LedgerRow, Record

_TABLES_AT_ONCE = 200
"""Tables that one statement asks for a row."""
_CANCELLED = "57014"
_OF_THE_STATEMENT = ("22", "42", "0A", "2F", "25", "54")
"""Classes of SQLSTATE that are about what was asked, not about the connection."""

_BEGIN = """
SELECT set_config('transaction_read_only', 'on', true),
       set_config('statement_timeout', %(timeout)s, true),
       set_config('lock_timeout', %(timeout)s, true),
       set_config('row_security', 'off', true),
       set_config('search_path', coalesce(quote_ident(%(schema)s), current_setting('search_path')), true)
"""
_NO_VALUES: Mapping[str, Any] = {}

_WHO = """
SELECT (SELECT system_identifier FROM pg_control_system()), current_database(), pg_is_in_recovery(),
       pg_postmaster_start_time(), (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),
       current_schemas(false)
"""

# The tables of the database beside those of the server and of extensions; a partition counts with its table.
_TABLES = """
SELECT n.nspname, c.relname, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
   AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'resetd')
   AND n.nspname = ANY(%(schemas)s)
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                    AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY 1, 2
"""
_FIND = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname = %(name)s
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND n.nspname = ANY(%(schemas)s)
 ORDER BY array_position(%(schemas)s, n.nspname::text) LIMIT 1
"""


class PostgresContents:
    """Implements `daemon.ports.contents.Contents`.

    Args:
        network: What the daemon is told about the network between it and the databases.
        timeout_ms: Milliseconds that one question may take.
    """

    def __init__(self, network: Network | None = None, *, timeout_ms: int = 15_000) -> None:
        self._network = network or Network()
        self._timeout_ms = timeout_ms

    @asynccontextmanager
    async def open(self, url: str, *, environment: str, resource: ResourceKey) -> AsyncIterator[_Reader]:
        """See the port."""
        where = parse_address(url, environment, self._network)
        with as_port_errors(where):
            connection = await connect(where)
        try:
            reader = _Reader(connection, where, schema_of(url))
            await reader.begin(self._timeout_ms, resource)
            yield reader
        finally:
            await connection.close()  # ends the transaction, and with it its locks


class _Reader:
    """Implements `daemon.ports.contents.Reader` in one transaction."""

    def __init__(self, connection: AsyncConnection[TupleRow], where: Address, schema: str | None) -> None:
        self._connection = connection
        self._where = where
        self._schema = schema
        self._schemas: list[str] = []
        """Where the service's tables are: the first one that has a name counts."""
        self.incarnation = ""

    async def begin(self, timeout_ms: int, resource: ResourceKey) -> None:
        """Bind the transaction to reading, and compare the database with what was agreed to."""
        await self._ask(_BEGIN, {"timeout": str(timeout_ms), "schema": self._schema})
        ((identifier, name, in_recovery, started_at, oid, schemas),) = await self._ask(_WHO)
        if in_recovery:
            raise standby(self._where)  # it may be behind, and tells of what was there before
        found = f"database/{identifier}/{name}"
        if found != resource:
            raise PermanentError(Reason.DATABASE_MISMATCH, f"{self._where} is {found}, not {resource}")
        self.incarnation = incarnation_of(started_at, oid)
        unless_named = [DEFAULT_SCHEMA] if self._schema is None else []
        self._schemas = list(dict.fromkeys([*schemas, *unless_named]))

    async def ledger(self, ledger: Ledger) -> tuple[LedgerRow, ...] | None:
        """See the port."""
        tables = await self._existing(ledger.table)
        if not tables:
            return None
        query = sql.SQL(
            "SELECT ({})::text, coalesce(({})::boolean, false), coalesce(({})::boolean, false) FROM {} LIMIT {}"
        )
        found: list[LedgerRow] = []
        for table in tables:
            asked = query.format(
                _sql(ledger.column),
                _sql(ledger.undone or "false"),
                _sql(ledger.finished or "true"),
                table,
                sql.Literal(MOST_LEDGER_ROWS + 1),
            )
            for text, undone, finished in await self._ask_catalog(asked):
                record = Record.UNDONE if undone else Record.APPLIED if finished else Record.OPEN
                found.append(LedgerRow(text or "", record))
        if len(found) > MOST_LEDGER_ROWS:
            raise PermanentError(
                Reason.CHECK_FAILED, f"{self._where}: its ledger has over {MOST_LEDGER_ROWS} rows"
            )
        return tuple(found)

    async def count(self, rows: RowsCheck) -> int | None:
        """See the port."""
        if rows.query is not None:
            sources = [sql.SQL("({}) AS asked").format(_sql(rows.query))]
        else:
            tables = await self._existing(rows.table or ())
            if not tables:
                return None
            where = sql.SQL(" WHERE ({})").format(_sql(rows.where)) if rows.where else sql.SQL("")
            sources = [sql.SQL("{}{}").format(table, where) for table in tables]
        query = sql.SQL("SELECT count(*) FROM (SELECT 1 FROM {} LIMIT {}) AS found")
        total = 0
        for source in sources:
            ((number,),) = await self._ask_catalog(query.format(source, sql.Literal(rows.at_least)))
            total += number
        return min(total, rows.at_least)

    async def filled(self, besides: Sequence[TableName]) -> Mapping[str, bool]:
        """See the port."""
        named = [(schema, name) for schema, name, _ in await self._tables(besides)]
        found: dict[str, bool] = {}
        for start in range(0, len(named), _TABLES_AT_ONCE):
            some = named[start : start + _TABLES_AT_ONCE]
            asked = sql.SQL("SELECT {}").format(
                sql.SQL(", ").join(
                    sql.SQL("EXISTS (SELECT FROM {})").format(sql.Identifier(*table)) for table in some
                )
            )
            (answers,) = await self._ask(asked)
            found |= {".".join(table): answer for table, answer in zip(some, answers, strict=True)}
        return found

    async def table_numbers(self, besides: Sequence[TableName]) -> Mapping[str, int]:
        """See the port."""
        return {f"{schema}.{name}": number for schema, name, number in await self._tables(besides)}

    async def fingerprint(self, asked: UnchangedCheck) -> Fingerprint | None:
        """See the port. Two sums of 60 bits each over the rows' digests: the order is no part of it."""
        if asked.query is not None:
            texts = [sql.SQL("SELECT asked::text AS said FROM ({}) AS asked").format(_sql(asked.query))]
        else:
            columns = (
                sql.SQL("ROW({})").format(sql.SQL(", ").join(map(sql.Identifier, asked.columns)))
                if asked.columns
                else sql.SQL("seen")
            )
            where = sql.SQL(" WHERE ({})").format(_sql(asked.where)) if asked.where else sql.SQL("")
            texts = [
                sql.SQL("SELECT ({})::text AS said FROM {} AS seen{}").format(columns, table, where)
                for table in await self._existing(asked.table or ())
            ]
            if not texts:
                return None
        query = sql.SQL(
            "SELECT count(*), coalesce(sum(('x' || substr(d, 1, 15))::bit(60)::bigint), 0)::text,"
            " coalesce(sum(('x' || substr(d, 16, 15))::bit(60)::bigint), 0)::text"
            " FROM (SELECT md5(said) AS d FROM ({}) AS texts) AS digests"
        )
        total, digest = 0, hashlib.sha256()
        for text in texts:
            ((number, first, second),) = await self._ask_catalog(query.format(text))
            total += number
            digest.update(f"{number} {first} {second}\n".encode())
        return Fingerprint(total, digest.hexdigest()[:32])

    async def _tables(self, besides: Sequence[TableName]) -> list[TupleRow]:
        left_out = set(besides)
        told = [schema for name in besides if (schema := name.rpartition(".")[0])]
        rows = await self._ask(_TABLES, {"schemas": [*self._schemas, *told]})
        return [row for row in rows if not left_out & {row[1], f"{row[0]}.{row[1]}"}]

    async def _existing(self, names: Sequence[TableName]) -> list[sql.Identifier]:
        found: dict[tuple[str, str], sql.Identifier] = {}
        for name in names:
            schema, _, table = name.rpartition(".")
            rows = await self._ask(_FIND, {"name": table, "schemas": [schema] if schema else self._schemas})
            found |= {(row[0], row[1]): sql.Identifier(row[0], row[1]) for row in rows}
        return list(found.values())

    async def _ask_catalog(self, query: sql.Composed) -> list[TupleRow]:
        """Ask with the catalog's SQL in it. Binary results need the extended protocol: it runs one statement only."""
        return await self._ask(query, _NO_VALUES, binary=True)

    async def _ask(
        self, query: str | sql.Composed, values: Mapping[str, Any] | None = None, *, binary: bool = False
    ) -> list[TupleRow]:
        text = query.encode() if isinstance(query, str) else query
        try:
            return await (await self._connection.execute(text, values, binary=binary)).fetchall()
        except psycopg.Error as error:
            raise _error(self._where, error) from _cause(self._where, error)


def _sql(text: str) -> sql.SQL:
    """SQL of the catalog; `%` means itself."""
    return sql.SQL(text.replace("%", "%%"))  # the catalog's: nothing of an event is in it


def _error(where: Address, error: psycopg.Error) -> PortError:
    code = error.sqlstate or ""
    if code == _CANCELLED or code.startswith("55"):
        return TemporaryError(Reason.CHECK_FAILED, f"{where}: {one_line(str(error))}")
    if code.startswith(_OF_THE_STATEMENT):
        return PermanentError(
            Reason.CHECK_FAILED,
            f"{where}: the check's question was refused: {one_line(where.without_secret(str(error)))}",
            hint="Compare the check's table, column and SQL with the database; the role has to see every row.",
        )
    return connection_error(where, str(error), error.sqlstate)


def _cause(where: Address, error: psycopg.Error) -> BaseException | None:
    return None if where.password and where.password in str(error) else error
