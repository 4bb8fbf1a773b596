"""Whether a dump will fit where it goes, as far as that can be known beforehand."""

from __future__ import annotations

from daemon.ports.dump_store import DumpStore
from daemon.ports.errors import TemporaryError
from schemas.reasons import Reason

_GROWTH = 1.2
"""How much bigger than the former dump of its folder a dump may well be."""
_PACKED = 0.25
"""What pg_dump's compression leaves of tables. Rows that are packed already leave more, and then the disk says so."""


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
