"""Backups in a directory: a dump under its final name is whole, and its manifest says what shows it.

{environment}/{database}/{attempt}.{8 hex digits}.dump        pg_dump's custom format
{environment}/{database}/{attempt}.{8 hex digits}.dump.json   size, checksum, rows, when, of what, whether read through

No dump takes the name of another. A worker that was paused in the middle of an attempt may wake up when the database
is destroyed already, and must not replace what was saved by what is left.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from daemon.adapters.postgres.checksums import Checksum, Checksums
from daemon.adapters.postgres.databases import PostgresDatabases
from daemon.adapters.postgres.dumping import dump_into
from daemon.adapters.postgres.errors import one_line
from daemon.adapters.postgres.programs import Programs, newest_programs, programs_for
from daemon.adapters.postgres.reading import read_through
from daemon.adapters.postgres.restoring import restore_into
from daemon.adapters.postgres.urls import Network, parse_address
from daemon.ports.backups import Backup
from daemon.ports.databases import Witness
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from schemas.reasons import Reason
from schemas.wire import ResourceKey

_PARTIAL = ".partial"


class DirectoryBackups:
    """Implements `daemon.ports.backups.Backups` in a directory.

    Args:
        root: The store; made where it is missing. Only their owner can read its files.
        pg_bin: Where pg_dump, pg_restore and psql are; None: PATH, then the embedded PostgreSQL's.
        network: What the daemon is told about the network between it and the databases.
        timeout: Seconds that one dump, proof or restore may take.
    """

    def __init__(
        self,
        root: Path,
        pg_bin: Path | None = None,
        network: Network | None = None,
        *,
        timeout: float = 3600.0,
    ) -> None:
        self._root = root
        self._pg_bin = pg_bin
        self._timeout = timeout
        self._network = network or Network()
        self._databases = PostgresDatabases(self._network)
        self._checksums = Checksums()

    async def dump(
        self, url: str, *, environment: str, resource: ResourceKey, attempt: str, witness: Witness
    ) -> Backup:
        """See the port."""
        where = parse_address(url, environment, self._network)
        identity = witness.identity
        if identity.key != resource:
            raise PermanentError(Reason.DATABASE_MISMATCH, f"{where} is {identity.key}, not {resource}")
        programs = programs_for(identity.server_version, self._pg_bin)
        folder = Path(_path_segment(environment)) / _path_segment(identity.name)
        path = folder / f"{_path_segment(attempt)}.{secrets.token_hex(4)}.dump"
        try:
            partial = await asyncio.to_thread(self._new_partial_file, folder, attempt)
            try:
                rows = await dump_into(partial, programs, where, witness, timeout=self._timeout)
                found = await asyncio.to_thread(self._checksums.read, partial)
                backup = Backup(
                    resource, str(path), found.size_bytes, found.sha256, datetime.now(UTC), proven=False
                )
                await asyncio.to_thread(self._finish, partial, backup, rows)
            finally:
                partial.unlink(missing_ok=True)
        except OSError as error:
            raise TemporaryError(Reason.BACKUP_FAILED, f"backup store: {error.strerror}") from error
        try:
            return await self._read_through(backup, programs)
        except PortError:
            await asyncio.to_thread(self._discard, backup)
            raise

    async def check_programs(self, server_version: int) -> None:
        """See the port."""
        programs_for(server_version, self._pg_bin)

    async def prove(self, backup: Backup) -> Backup:
        """See the port."""
        return await self._read_through(backup, newest_programs(self._pg_bin))

    async def holds(self, path: str, size_bytes: int, sha256: str) -> bool:
        """See the port."""
        wanted = Checksum(size_bytes, sha256)
        try:
            return await asyncio.to_thread(self._checksums.is_of, self._root / path, wanted)
        except OSError as error:
            raise TemporaryError(Reason.BACKUP_UNPROVEN, f"{path}: {error.strerror}") from error

    async def restore(self, backup: Backup, url: str, *, environment: str) -> None:
        """See the port. The dump is read through once more first. A failure on the way changes nothing."""
        where = parse_address(url, environment, self._network)
        # A restore sets what a pooler would leave to others.
        identity = await self._databases.identify(url, environment=environment, direct=True)
        programs = programs_for(identity.server_version, self._pg_bin)
        await self._read_through(backup, programs)
        try:
            async with asyncio.timeout(self._timeout):
                await restore_into(programs, self._root / backup.path, where)
        except TimeoutError as error:
            raise TemporaryError(
                Reason.BACKUP_FAILED, f"restoring {where} took more than {self._timeout:g} s"
            ) from error

    async def _read_through(self, backup: Backup, programs: Programs) -> Backup:
        path = self._root / backup.path
        try:
            found = await asyncio.to_thread(self._checksums.read, path)
        except FileNotFoundError as error:
            raise PermanentError(Reason.BACKUP_UNPROVEN, f"{backup.path} is gone") from error
        except OSError as error:
            raise TemporaryError(Reason.BACKUP_UNPROVEN, f"{backup.path}: {error.strerror}") from error
        if found != Checksum(backup.size_bytes, backup.sha256):
            raise PermanentError(
                Reason.BACKUP_UNPROVEN,
                f"{backup.path} has {found.size_bytes} bytes and sha256 {found.sha256[:12]}..., "
                f"not {backup.size_bytes} and {backup.sha256[:12]}...",
            )
        # Listing proves nothing: a dump that was cut still lists.
        try:
            async with asyncio.timeout(self._timeout):
                code, held, errors = await read_through(programs, path)
        except TimeoutError as error:
            raise TemporaryError(Reason.BACKUP_UNPROVEN, f"reading {backup.path} took too long") from error
        if code != 0:
            raise PermanentError(Reason.BACKUP_UNPROVEN, f"{backup.path} can't be read: {one_line(errors)}")
        try:
            rows = await asyncio.to_thread(self._counted_rows, backup)
            if rows is None and not backup.proven:
                raise PermanentError(
                    Reason.BACKUP_UNPROVEN,
                    f"{backup.path} lost its manifest, which says how many rows it has to hold",
                )
            # Without a manifest its checksum says that it is the very dump whose rows were compared before.
            _check_rows(backup, rows or {}, held)
            proven = replace(backup, proven=True)
            await asyncio.to_thread(self._write_manifest, proven, rows)
        except OSError as error:
            raise TemporaryError(Reason.BACKUP_UNPROVEN, f"backup store: {error.strerror}") from error
        return proven

    def _new_partial_file(self, folder: Path, attempt: str) -> Path:
        """Make a temporary file for a dump, and remove those that killed dumps left behind.

        Databases of several servers may have one name, so a file of another attempt may be one that is being written.
        It is removed only once it is older than any dump can be.
        """
        directory = self._root / folder
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        own = f".{_path_segment(attempt)}."
        oldest = time.time() - 2 * self._timeout
        for left in directory.glob(f".*{_PARTIAL}"):
            with suppress(FileNotFoundError):
                if left.name.startswith(own) or left.stat().st_mtime < oldest:
                    left.unlink()
        partial = directory / f"{own}{secrets.token_hex(4)}{_PARTIAL}"
        partial.touch(mode=0o600, exist_ok=False)
        return partial

    def _finish(self, partial: Path, backup: Backup, rows: Mapping[str, int]) -> None:
        """Give a dump its final name and its manifest, durably."""
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        final = self._root / backup.path
        partial.rename(final)
        try:
            self._write_manifest(backup, rows)
        except OSError:
            self._discard(backup)
            raise

    def _counted_rows(self, backup: Backup) -> dict[str, int] | None:
        """Read the rows that were counted when the dump was made; None where no manifest says so."""
        try:
            manifest = json.loads((self._root / f"{backup.path}.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        rows: dict[str, int] | None = manifest.get("rows")
        return rows

    def _write_manifest(self, backup: Backup, rows: Mapping[str, int] | None) -> None:
        final = self._root / f"{backup.path}.json"
        fresh = final.with_name(f".manifest.{secrets.token_hex(8)}{_PARTIAL}")
        manifest = asdict(backup) | {"taken_at": backup.taken_at.isoformat(), "rows": rows}
        try:
            with fresh.open("x", encoding="utf-8") as file:
                json.dump(manifest, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            fresh.rename(final)
        finally:
            fresh.unlink(missing_ok=True)
        directory = os.open(final.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _discard(self, backup: Backup) -> None:
        for path in (backup.path, f"{backup.path}.json"):
            (self._root / path).unlink(missing_ok=True)


def _check_rows(backup: Backup, counted: Mapping[str, int], found: Mapping[str, int]) -> None:
    """Compare the rows that a dump holds with those that were counted.

    Raises:
        PermanentError: `backup-unproven`; it names the first table that differs.
    """
    for table, rows in counted.items():
        if found.get(table, 0) != rows:
            raise PermanentError(
                Reason.BACKUP_UNPROVEN,
                f"{backup.path} holds {found.get(table, 0)} rows of {table}, the database had {rows}",
                hint="Rows are missing from the dump: see that nothing empties or rewrites the table meanwhile.",
            )


def _path_segment(name: str) -> str:
    """Write a name as one part of a path: slashes become dots, and odd characters are escaped."""
    return quote(name.replace("/", "."), safe="").lstrip(".") or "_"
