"""Backups of databases: dumps, their proof, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Protocol

from daemon.ports.databases import Witness
from schemas.backups import Proof
from schemas.wire import ResourceKey


@dataclass(frozen=True)
class Backup:
    """A dump that was written whole, and has its final name."""

    resource: ResourceKey
    path: str
    """Relative to the backup store."""
    size_bytes: int
    sha256: str
    taken_at: datetime
    proven: bool
    """Whether it was read through after its checksum was compared."""
    stops: int = 0
    """How many times its reset had stopped when the dump began."""
    first: bool = False
    """Whether it shows the database as it was before its reset destroyed anything: the way back, which retention takes
    last."""
    proof: Proof = Proof.READ
    """The proof that it was given."""
    proof_at: datetime | None = None
    """When a restore proved it."""
    proof_seconds: float | None = None
    """How long that took."""
    scratch: str | None = None
    """The scratch server on which it was restored."""


def backup_of(row: Mapping[str, Any]) -> Backup:
    """Return a recorded backup from its row in the state database."""
    known = {field.name: row[field.name] for field in fields(Backup)}
    return Backup(**known | {"proof": Proof(row["proof"])})


class Backups(Protocol):
    """Keeps dumps of databases."""

    async def dump(
        self, url: str, *, environment: str, resource: ResourceKey, attempt: str, witness: Witness
    ) -> Backup:
        """Dump the witness' database (pg_dump's custom format), checksum the dump, name it, and read it through.

        - The dump is of one snapshot. The session that holds it, the one that counts the rows of each table in it, and
          the one that dumps are each shown to be where the witness is.
        - The dump counts as read once it holds as many rows of each table as were counted.
        - None of these sessions is left when this returns.
        - A dump that fails leaves nothing that looks whole.
        - Repeated for one attempt, it makes another dump. No stored dump is ever replaced.

        Raises:
            TemporaryError: `database-unreachable`, or `backup-failed`: the disk is full.
            PermanentError: `backup-failed`, `backup-unproven`, or `database-mismatch`: another database than `resource`
                answers, or `url` does not lead to the witness each time; others as `Databases.identify`.
        """
        ...

    async def check_programs(self, server_version: int) -> None:
        """Check that a server of this version (`server_version_num`) can be dumped.

        Raises:
            PermanentError: `pg-dump-too-old`: every pg_dump here is older. The error names both versions.
        """
        ...

    async def prove(self, backup: Backup) -> Backup:
        """Compare a dump's size and checksum, read it through, and compare the rows that were counted for it.

        Raises:
            TemporaryError: the store does not answer.
            PermanentError: `backup-unproven`. So is a dump that was never proven and whose counted rows are lost.
        """
        ...

    async def holds(self, path: str, size_bytes: int, sha256: str) -> bool:
        """Tell whether that very dump is still at that path.

        It is read again where the file system does not say that it is unchanged since it was read last.

        Raises:
            TemporaryError: the store does not answer.
        """
        ...

    async def restore(self, backup: Backup, url: str, *, environment: str) -> None:
        """Put a proven backup back into the database at `url`, in one transaction that drops the present contents.

        Raises:
            TemporaryError: `database-unreachable`, or `backup-failed`: somebody held locks too long.
            PermanentError: `backup-unproven`, `backup-failed`; others as `Databases.identify` with `direct`.
        """
        ...
