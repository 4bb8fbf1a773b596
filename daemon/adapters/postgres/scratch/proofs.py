"""Proves dumps by restoring them: into a scratch database, compared with the manifest, and dropped."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

from psycopg.errors import InsufficientPrivilege

from daemon.adapters.postgres.errors import one_line
from daemon.adapters.postgres.inventory.contents import read_contents
from daemon.adapters.postgres.inventory.round_trip import read_again
from daemon.adapters.postgres.manifest import manifest_name, read_manifest
from daemon.adapters.postgres.programs import programs_for
from daemon.adapters.postgres.restoring import Dump
from daemon.adapters.postgres.scratch import databases
from daemon.adapters.postgres.scratch.restoring import restore_scratch
from daemon.adapters.postgres.scratch.servers import ScratchServer, ScratchServers, session
from daemon.adapters.postgres.sessions import as_port_errors
from daemon.adapters.postgres.snapshots import count_rows
from daemon.adapters.postgres.urls import Address, Network
from daemon.ports.backups import Backup
from daemon.ports.dump_store import Checksum, DumpStore
from daemon.ports.errors import PermanentError, TemporaryError
from schemas.admin_servers import AdminServer
from schemas.backups import Contents, Manifest, Proof, Receipt
from schemas.reasons import Reason
from schemas.wire import ResetId
from statemachines.backups.comparing import differences, unlike_expressions, with_texts

_AT_ONCE = 2
"""Restores on one scratch server at a time."""
_NAMED = 5
"""Differences that an error names."""


class ScratchProofs:
    """Implements `daemon.ports.restore_proofs.RestoreProofs` on the scratch servers of the administrators' file.

    Args:
        dumps: Where dumps lie.
        servers: Reads the file; raises PortError where it can't be used.
        pg_bin: Where pg_restore is, as for backups.
        network: What the daemon is told about the network between it and databases.
        timeout: Seconds that one proof may take.
    """

    def __init__(
        self,
        dumps: DumpStore,
        servers: Callable[[], Sequence[AdminServer]],
        pg_bin: Path | None = None,
        network: Network | None = None,
        *,
        timeout: float = 3600.0,
    ) -> None:
        self._dumps = dumps
        self._servers = ScratchServers(servers, network or Network())
        self._pg_bin = pg_bin
        self._timeout = timeout
        self._slots: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_AT_ONCE))

    async def scratch_for(self, server_version: int, size_bytes: int) -> str:
        """See the port."""
        return (await self._servers.choose(server_version, size_bytes)).name

    async def prove(self, backup: Backup, *, reset: ResetId) -> Receipt:
        """See the port."""
        if not await self._dumps.holds(backup.path, Checksum(backup.size_bytes, backup.sha256)):
            raise PermanentError(Reason.BACKUP_UNPROVEN, f"{backup.path} is not what was dumped")
        manifest = await self._manifest(backup)
        server = await self._servers.choose(manifest.server_version, manifest.database_bytes)
        async with self._slots[server.name]:
            began = time.monotonic()
            try:
                async with asyncio.timeout(self._timeout):
                    found = await self._restored(backup, manifest.contents, server, reset)
            except TimeoutError as error:
                detail = f"restoring {backup.path} on {server.name} took more than {self._timeout:g} s"
                raise TemporaryError(Reason.BACKUP_UNPROVEN, detail) from error
        return Receipt(
            sha256=backup.sha256,
            proof=Proof.RESTORED,
            at=datetime.now(UTC),
            seconds=round(time.monotonic() - began, 3),
            server=server.name,
            tables=len(found.rows),
            rows=sum(found.rows.values()),
        )

    async def leftovers(self) -> Collection[ResetId]:
        """See the port."""
        found: set[ResetId] = set()
        async for server in self._servers.all():
            found.update((await databases.leftovers(server)).values())
        return found

    async def drop(self, reset: ResetId) -> None:
        """See the port."""
        async for server in self._servers.all():
            left = await databases.leftovers(server)
            await databases.drop(server, [name for name, taker in left.items() if taker == reset])

    async def _manifest(self, backup: Backup) -> Manifest:
        told = read_manifest(await self._dumps.document(manifest_name(backup.path)))
        if told is None or told.whole is None:
            raise PermanentError(
                Reason.BACKUP_UNPROVEN,
                f"{backup.path} has no manifest that says what a restore has to bring back",
            )
        manifest = told.whole
        if (manifest.resource, manifest.size_bytes, manifest.sha256) != (
            backup.resource,
            backup.size_bytes,
            backup.sha256,
        ):
            raise PermanentError(Reason.BACKUP_UNPROVEN, f"the manifest of {backup.path} is another dump's")
        return manifest

    async def _restored(
        self, backup: Backup, expected: Contents, server: ScratchServer, reset: ResetId
    ) -> Contents:
        """Restore and compare. Return what came back.

        Raises:
            PermanentError: `backup-unproven`: something of `expected` did not.
        """
        programs = programs_for(server.version, self._pg_bin)
        async with databases.scratch_database(server, reset, backup.resource, expected.locale) as where:
            if "schema public" not in expected.definitions.objects:
                await _without_public(where)
            await restore_scratch(programs, Dump(backup.path, lambda: self._dumps.read(backup.path)), where)
            found = await _read(where)
            alike = await _alike(where, expected, found)
        unlike = differences(*alike)
        if unlike:
            some = "; ".join(str(each) for each in unlike[:_NAMED])
            more = f"; and {len(unlike) - _NAMED} more" if len(unlike) > _NAMED else ""
            raise PermanentError(
                Reason.BACKUP_UNPROVEN,
                f"{backup.path} was restored, and is not what was dumped: {some}{more}",
                hint="Nothing was destroyed. Look whether the scratch server is of the same kind as the database's, "
                "then resume: it dumps again.",
            )
        return found


async def _without_public(where: Address) -> None:
    async with session(where) as connection:
        with as_port_errors(where):
            await connection.execute("DROP SCHEMA public")


async def _read(where: Address) -> Contents:
    """Read what was restored."""
    async with session(where) as connection:
        with as_port_errors(where):
            try:
                async with connection.transaction():
                    return await read_contents(connection, await count_rows(connection))
            except InsufficientPrivilege as error:
                raise PermanentError(
                    Reason.BACKUP_UNPROVEN, f"not all that was restored can be read: {one_line(str(error))}"
                ) from error


async def _alike(where: Address, expected: Contents, found: Contents) -> tuple[Contents, Contents]:
    """Return both with those expressions read once more that are written differently."""
    unlike = unlike_expressions(expected, found)
    if not unlike:
        return expected, found
    async with session(where) as connection:
        with as_port_errors(where):
            mine = await read_again(connection, expected.definitions.expressions, unlike)
            theirs = await read_again(connection, found.definitions.expressions, unlike)
    both = mine.keys() & theirs.keys()
    return (
        with_texts(expected, {name: mine[name] for name in both}),
        with_texts(found, {name: theirs[name] for name in both}),
    )
