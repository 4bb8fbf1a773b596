"""Backups by pg_dump in a store of dumps: a dump counts once its manifest, which is put last, is beside it.

{environment}/{database}/{attempt}.{8 hex digits}.dump        pg_dump's custom format
{environment}/{database}/{attempt}.{8 hex digits}.dump.json   size, checksum, rows, when, of what, whether it was read

No dump takes the name of another. A worker that was paused in the middle of an attempt may wake up when the database
is destroyed already, and must not replace what was saved by what is left.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from daemon.adapters.postgres.databases import PostgresDatabases
from daemon.adapters.postgres.dumping import dump_into
from daemon.adapters.postgres.errors import one_line
from daemon.adapters.postgres.manifest import StoredManifest, manifest_name, read_manifest, write_manifest
from daemon.adapters.postgres.programs import Programs, newest_programs, programs_for
from daemon.adapters.postgres.reading import read_through
from daemon.adapters.postgres.restoring import Dump, restore_into
from daemon.adapters.postgres.room import check_room
from daemon.adapters.postgres.urls import Address, Network, parse_address
from daemon.ports.backups import Backup
from daemon.ports.databases import Witness
from daemon.ports.dump_store import Checksum, DumpStore
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from schemas.backups import Manifest
from schemas.reasons import Reason
from schemas.wire import ResourceKey


class PostgresBackups:
    """Implements `daemon.ports.backups.Backups` with PostgreSQL's programs.

    Args:
        dumps: Where dumps lie.
        pg_bin: Where pg_dump, pg_restore and psql are; None: PATH, then the embedded PostgreSQL's.
        network: What the daemon is told about the network between it and the databases.
        timeout: Seconds that one dump, proof or restore may take.
        at_once: Dumps of one server that this process makes at the same time. Further ones wait for a place.
    """

    def __init__(
        self,
        dumps: DumpStore,
        pg_bin: Path | None = None,
        network: Network | None = None,
        *,
        timeout: float = 3600.0,
        at_once: int = 4,
    ) -> None:
        self._dumps = dumps
        self._pg_bin = pg_bin
        self._timeout = timeout
        self._network = network or Network()
        self._databases = PostgresDatabases(self._network)
        self._places: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(at_once))

    async def dump(
        self, url: str, *, environment: str, resource: ResourceKey, attempt: str, witness: Witness
    ) -> Backup:
        """See the port."""
        where = parse_address(url, environment, self._network)
        identity = witness.identity
        if identity.key != resource:
            raise PermanentError(Reason.DATABASE_MISMATCH, f"{where} is {identity.key}, not {resource}")
        programs = programs_for(identity.server_version, self._pg_bin)
        _, server, *_ = identity.key.split("/")
        async with self._places[server]:
            return await self._dump(where, environment, attempt, witness, programs)

    async def _dump(
        self, where: Address, environment: str, attempt: str, witness: Witness, programs: Programs
    ) -> Backup:
        identity = witness.identity
        folder = f"{_path_segment(environment)}/{_path_segment(identity.name)}"
        path = f"{folder}/{_path_segment(attempt)}.{secrets.token_hex(4)}.dump"

        async def put(pieces: AsyncIterator[bytes], tables: int) -> Checksum:
            await check_room(self._dumps, folder, tables)
            return await self._dumps.put(path, pieces, expected_bytes=tables)

        sent, contents = await dump_into(put, programs, where, witness, timeout=self._timeout)
        backup = Backup(identity.key, path, sent.size_bytes, sent.sha256, datetime.now(UTC), proven=False)
        whole = Manifest(
            resource=identity.key,
            server_version=identity.server_version,
            pg_dump=programs.version,
            database_bytes=identity.size_bytes,
            size_bytes=sent.size_bytes,
            sha256=sent.sha256,
            taken_at=backup.taken_at,
            contents=contents,
        )
        manifest = StoredManifest(contents.rows, whole)
        try:
            proven = await self._read_through(backup, programs, manifest)
            await self._dumps.put_document(manifest_name(path), write_manifest(proven, manifest))
        except BaseException:
            await asyncio.shield(self._discard(backup))
            raise
        return proven

    async def check_programs(self, server_version: int) -> None:
        """See the port."""
        programs_for(server_version, self._pg_bin)

    async def prove(self, backup: Backup) -> Backup:
        """See the port."""
        manifest = read_manifest(await self._dumps.document(manifest_name(backup.path)))
        return await self._read_through(backup, newest_programs(self._pg_bin), manifest)

    async def holds(self, path: str, size_bytes: int, sha256: str) -> bool:
        """See the port."""
        return await self._dumps.holds(path, Checksum(size_bytes, sha256))

    async def restore(self, backup: Backup, url: str, *, environment: str) -> None:
        """See the port. The dump is read through once more first. A failure on the way changes nothing."""
        where = parse_address(url, environment, self._network)
        # A restore sets what a pooler would leave to others.
        identity = await self._databases.identify(url, environment=environment, direct=True)
        programs = programs_for(identity.server_version, self._pg_bin)
        manifest = read_manifest(await self._dumps.document(manifest_name(backup.path)))
        await self._read_through(backup, programs, manifest)
        dump = Dump(backup.path, lambda: self._dumps.read(backup.path))
        try:
            async with asyncio.timeout(self._timeout):
                await restore_into(programs, dump, where)
        except TimeoutError as error:
            raise TemporaryError(
                Reason.BACKUP_FAILED, f"restoring {where} took more than {self._timeout:g} s"
            ) from error

    async def _read_through(
        self, backup: Backup, programs: Programs, manifest: StoredManifest | None
    ) -> Backup:
        # Listing proves nothing: a dump that was cut still lists.
        try:
            async with asyncio.timeout(self._timeout), self._dumps.read(backup.path) as reading:
                code, held, errors = await read_through(programs, reading)
                found = await reading.checksum()
        except TimeoutError as error:
            raise TemporaryError(Reason.BACKUP_UNPROVEN, f"reading {backup.path} took too long") from error
        if found != Checksum(backup.size_bytes, backup.sha256):
            raise PermanentError(
                Reason.BACKUP_UNPROVEN,
                f"{backup.path} has {found.size_bytes} bytes and sha256 {found.sha256[:12]}..., "
                f"not {backup.size_bytes} and {backup.sha256[:12]}...",
            )
        if code != 0:
            raise PermanentError(Reason.BACKUP_UNPROVEN, f"{backup.path} can't be read: {one_line(errors)}")
        rows = manifest.rows if manifest is not None else None
        if rows is None and not backup.proven:
            raise PermanentError(
                Reason.BACKUP_UNPROVEN,
                f"{backup.path} lost its manifest, which says how many rows it has to hold",
            )
        # Without a manifest its checksum says that it is the very dump whose rows were compared before.
        _check_rows(backup, rows or {}, held)
        return replace(backup, proven=True)

    async def _discard(self, backup: Backup) -> None:
        for name in (backup.path, manifest_name(backup.path)):
            with suppress(PortError):
                await self._dumps.delete(name)


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
