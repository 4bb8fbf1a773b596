"""A snapshot of the database that a witness is in, and the rows of each table in it.

The id of a snapshot proves nothing: a copied server takes it, too. So every session that uses it is shown to be where
the witness is. All of them end with the block: a session that counted rows makes `DROP SCHEMA` wait.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from psycopg import AsyncConnection, IsolationLevel, sql
from psycopg.errors import InsufficientPrivilege
from psycopg.rows import TupleRow

from daemon.adapters.postgres.errors import ALL_ROWS, one_line
from daemon.adapters.postgres.inventory.contents import read_contents
from daemon.adapters.postgres.inventory.sequences import read_sequences
from daemon.adapters.postgres.numbered_reads import read_each
from daemon.adapters.postgres.pooling import standby
from daemon.adapters.postgres.sessions import as_port_errors, connect
from daemon.adapters.postgres.urls import Address
from daemon.adapters.postgres.witness import recognises
from daemon.ports.databases import Witness
from daemon.ports.errors import PermanentError
from schemas.backups import Contents, SequenceState
from schemas.reasons import Reason

# What a role or a database may have set for its sessions. A table that hides rows from the role is an error then.
_SETTINGS = """
SET LOCAL row_security = off;
SET LOCAL statement_timeout = 0;
SET LOCAL lock_timeout = '60s';
SET LOCAL idle_in_transaction_session_timeout = 0;
"""
# The tables whose rows a dump holds: no extension's, no partitioned table, which has none of its own.
_TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY 1, 2
"""


_SIZE = """
SELECT coalesce(sum(pg_table_size(c.oid)), 0)::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""


@dataclass(frozen=True)
class Snapshot:
    """An exported snapshot."""

    id: str
    tables_bytes: int
    """What the tables have on the server's disk, without their indexes."""


@asynccontextmanager
async def exported(where: Address, witness: Witness) -> AsyncIterator[Snapshot]:
    """Export a snapshot from a session that is where the witness is, for as long as the block runs.

    Raises:
        PermanentError: `database-mismatch`: the session is not where the witness is; `database-standby`; others as a
            connection's.
        TemporaryError: `database-unreachable`.
    """
    async with _transaction(where, witness) as connection:
        with as_port_errors(where):
            size = await (await connection.execute(_SIZE.encode())).fetchone()
            row = await (await connection.execute("SELECT pg_export_snapshot()")).fetchone()
        assert row is not None
        assert size is not None
        yield Snapshot(str(row[0]), int(size[0]))


async def read_in(where: Address, witness: Witness, snapshot: str) -> Contents:
    """Read all that a manifest tells of the snapshot, in a session that ends before the answer.

    Returns:
        Rows by `table_name` of each table; sequences as they stand now, which are in no snapshot.

    Raises:
        PermanentError: as `exported`; `backup-failed`: something, or some rows of a table, are hidden from the role.
        TemporaryError: `database-unreachable`.
    """
    async with _transaction(where, witness, snapshot) as connection:
        with as_port_errors(where):
            try:
                return await read_contents(connection, await count_rows(connection))
            except InsufficientPrivilege as error:
                detail = f"{where}: not all can be read: {one_line(str(error))}"
                raise PermanentError(Reason.BACKUP_FAILED, detail, hint=ALL_ROWS) from error


async def sequences_now(where: Address, witness: Witness) -> dict[str, SequenceState]:
    """Read where the sequences stand, in a session that ends before the answer. Raises as `read_in`."""
    async with _transaction(where, witness) as connection:
        with as_port_errors(where):
            try:
                return await read_sequences(connection)
            except InsufficientPrivilege as error:
                detail = f"{where}: not all sequences can be read: {one_line(str(error))}"
                raise PermanentError(Reason.BACKUP_FAILED, detail, hint=ALL_ROWS) from error


async def count_rows(connection: AsyncConnection[TupleRow]) -> dict[str, int]:
    """Count the rows of each table, by its `table_name`.

    Raises:
        psycopg.Error: the role may not read one, or the server does not answer.
    """
    tables = await (await connection.execute(_TABLES.encode())).fetchall()
    counts = [sql.SQL("count(*) FROM ONLY {}").format(sql.Identifier(*table)) for table in tables]
    rows = await read_each(connection, counts)
    codec = connection.info.encoding
    return {
        table_name(*(part.encode(codec) for part in table)): count
        for table, (count,) in zip(tables, rows, strict=True)
    }


def table_name(schema: bytes, name: bytes) -> str:
    """Write the name of a table as text, whatever the database's encoding is."""
    return f"{schema.decode('utf-8', 'backslashreplace')}.{name.decode('utf-8', 'backslashreplace')}"


@asynccontextmanager
async def _transaction(
    where: Address, witness: Witness, snapshot: str | None = None
) -> AsyncIterator[AsyncConnection[TupleRow]]:
    """Open a transaction that reads only, in a session that is where the witness is; in that snapshot or a new one."""
    with as_port_errors(where):
        connection = await connect(where)
    try:
        with as_port_errors(where):
            await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
            await connection.set_read_only(True)
            if snapshot is not None:
                # Nothing may be asked before a snapshot is taken over, and another server says no more than "invalid".
                await _check_is_with(connection, where, witness)
                await connection.rollback()
                await connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(snapshot))
            await connection.execute(_SETTINGS)
            await _check_is_with(connection, where, witness)
        yield connection
        with as_port_errors(where):
            # Waits until the server has let go of everything. A connection that is only closed may linger.
            await connection.rollback()
    finally:
        await connection.close()


async def _check_is_with(connection: AsyncConnection[TupleRow], where: Address, witness: Witness) -> None:
    row = await (await connection.execute("SELECT pg_is_in_recovery()")).fetchone()
    if row != (False,):
        raise standby(where)
    if not await recognises(connection, witness):
        raise PermanentError(
            Reason.DATABASE_MISMATCH,
            f"{where} led a second session elsewhere than the one that the handshake was shown to",
            hint="An address has to lead to one server: look at its Service, its DNS name, a failover under way.",
        )
