"""Whether a dump will fit where it goes, as far as that can be known beforehand."""

from __future__ import annotations

from daemon.adapters.postgres.sessions import as_port_errors, connect
from daemon.adapters.postgres.urls import Address
from daemon.ports.dump_store import DumpStore
from daemon.ports.errors import TemporaryError
from schemas.reasons import Reason

_GROWTH = 1.2
"""How much bigger than the former dump of its folder a dump may well be."""
_PACKED = 0.25
"""What pg_dump's compression leaves of tables. Rows that are packed already leave more, and then the disk says so."""
_TABLES = """
SELECT coalesce(sum(pg_table_size(c.oid)), 0)::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""


async def size_of_tables(where: Address) -> int:
    """Return how many bytes the tables have on the server's disk, without their indexes.

    Raises:
        PortError: as a connection's.
    """
    with as_port_errors(where):
        connection = await connect(where)
    try:
        with as_port_errors(where):
            row = await (await connection.execute(_TABLES.encode())).fetchone()
            await connection.rollback()
    finally:
        await connection.close()
    return int(row[0]) if row else 0


async def check_room(dumps: DumpStore, folder: str, tables_bytes: int) -> None:
    """Refuse a dump that will not fit, before it fills the disk.

    Raises:
        TemporaryError: `backup-failed`: there is less room than the last dump of the folder took, or than the tables
            will take where there was none.
    """
    free = await dumps.free_bytes()
    if free is None:
        return
    former = [stored for stored in await dumps.list(folder) if stored.name.endswith(".dump")]
    if former:
        needed = int(max(former, key=lambda stored: stored.changed_at).size_bytes * _GROWTH)
    else:
        needed = int(tables_bytes * _PACKED)
    if free < needed:
        raise TemporaryError(
            Reason.BACKUP_FAILED,
            f"backup store: {free} bytes are free, and the dump needs about {needed}",
            hint="Make room in the store, or let `resetd backups prune` remove what may go.",
        )
