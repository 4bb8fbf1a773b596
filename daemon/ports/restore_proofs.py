"""Proof of a backup by restoring it: a database of its own on a scratch server, compared with the manifest."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from daemon.ports.backups import Backup
from schemas.backups import Receipt
from schemas.wire import ResetId


class RestoreProofs(Protocol):
    """Restores dumps into scratch databases, whose names hold the reset's id, and drops them again."""

    async def scratch_for(self, server_version: int, size_bytes: int) -> str:
        """Name the scratch server on which a backup of such a database would be restored now.

        It has the same major version, and room by its own limit; the account there may create databases.

        Args:
            server_version: `server_version_num` of the database's server.
            size_bytes: Of the database.

        Raises:
            PermanentError: `no-scratch-server`: none is there, or each is of another version, too small, or closed to
                the account.
            TemporaryError: `database-unreachable`: the only one that fits does not answer.
        """
        ...

    async def prove(self, backup: Backup, *, reset: ResetId) -> Receipt:
        """Restore a backup, compare what came back with its manifest, and drop it.

        - What an earlier attempt of this reset at this database left on the scratch server is dropped first.
        - Nothing but the scratch database is written to.
        - The receipt is of this very dump: its size and its checksum are compared before it is restored.

        Raises:
            PermanentError: `backup-unproven`: the dump was cut or changed, can't be restored, has no manifest, or
                something of the manifest did not come back; `no-scratch-server`.
            TemporaryError: `database-unreachable`, `backup-unproven`: the restore took too long, or the store does not
                answer.
        """
        ...

    async def leftovers(self) -> Collection[ResetId]:
        """Return the resets of which scratch databases are there.

        Raises:
            PortError: a scratch server does not answer.
        """
        ...

    async def drop(self, reset: ResetId) -> None:
        """Drop all scratch databases of a reset.

        Raises:
            PortError: as `leftovers`.
        """
        ...
