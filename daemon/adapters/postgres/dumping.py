"""Dumps by pg_dump of the snapshot of a witness' database, by a backend that the witness sees at work."""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import termios
from asyncio.subprocess import Process
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from daemon.adapters.postgres.errors import program_error
from daemon.adapters.postgres.inventory.contents import between
from daemon.adapters.postgres.programs import Programs, running
from daemon.adapters.postgres.snapshots import exported, read_in, sequences_now
from daemon.adapters.postgres.urls import KEEPALIVE_OPTIONS, Address
from daemon.ports.databases import Witness
from daemon.ports.errors import PermanentError, TemporaryError
from schemas.backups import Contents
from schemas.reasons import Reason

_LOOK_SECONDS = 0.01
_IN_VAIN_SECONDS = 3.0
"""How long a backend that already speaks to pg_dump may be out of the witness' sight."""
_FREE_BYTES = 1024
"""What pg_dump may say before it is seen: more than of a refused connection, and less than of an empty database."""
_KEPT_LINES = 40
_CHATTER = (b"pg_dump: error", b"pg_dump: warning", b"pg_dump: detail", b"pg_dump: hint")


async def dump_into(
    file: Path, programs: Programs, where: Address, witness: Witness, *, timeout: float
) -> Contents:
    """Write a dump of the witness' database, and read what it has to hold.

    Returns:
        The contents of the dumped snapshot, and where sequences stood before pg_dump began and after it ended.

    Raises:
        PermanentError: `database-mismatch`: a session or pg_dump is not where the witness is; `backup-failed`; others
            as a connection's.
        TemporaryError: `database-unreachable`, `backup-failed`.
    """
    try:
        async with asyncio.timeout(timeout), exported(where, witness) as snapshot:
            before = await sequences_now(where, witness)
            _, contents = await _together(
                _pg_dump(file, programs, where, witness, snapshot), read_in(where, witness, snapshot)
            )
            after = await sequences_now(where, witness)
    except TimeoutError as error:
        detail = f"pg_dump of {where} took more than {timeout:g} s"
        raise TemporaryError(Reason.BACKUP_FAILED, detail) from error
    known = contents.sequences.keys()  # those of the snapshot
    moved = {name: each for name, each in between(before, after).items() if name in known}
    return contents.model_copy(update={"sequences": contents.sequences | moved})


async def _together(
    dumping: Coroutine[Any, Any, None], counting: Coroutine[Any, Any, Contents]
) -> tuple[None, Contents]:
    """Run both; where one fails, the other one ends, too."""
    dump, count = asyncio.create_task(dumping), asyncio.create_task(counting)
    try:
        done, _ = await asyncio.wait({dump, count}, return_when=asyncio.FIRST_EXCEPTION)
        for task in (dump, count):
            if task in done and (error := task.exception()) is not None:
                raise error
        return dump.result(), count.result()
    finally:
        for task in (dump, count):
            task.cancel()
        await asyncio.gather(dump, count, return_exceptions=True)


async def _pg_dump(file: Path, programs: Programs, where: Address, witness: Witness, snapshot: str) -> None:
    name = where.dump_name()
    argv = [
        programs["pg_dump"],
        "--format=custom",
        "--no-password",
        "--lock-wait-timeout=60s",
        "--verbose",
        f"--snapshot={snapshot}",
        f"--file={file}",
        f"--dbname={where.conninfo(application_name=name, **KEEPALIVE_OPTIONS)}",
    ]
    async with _Sayings.open() as sayings, running(argv, where, stderr=sayings.sink) as process:
        sayings.close_sink()
        seen = await _is_seen(process, sayings, witness, name)
        if not seen and process.returncode is None:
            raise _unseen(where)
        said = await sayings.read_to_end()
        code = await process.wait()
    if code != 0 and not (not seen and "snapshot" in said):  # another server does not know the snapshot
        raise program_error(where, "pg_dump", said)
    if not seen:
        raise _unseen(where)


async def _is_seen(process: Process, sayings: _Sayings, witness: Witness, name: str) -> bool:
    """Look for pg_dump's backend until it is seen, pg_dump has ended, or it dumps without being seen."""
    loop = asyncio.get_running_loop()
    spoke_at: float | None = None
    while True:
        has_spoken, has_ended = sayings.has_any(), process.returncode is not None
        if await witness.sees(name):
            return True
        if has_ended:
            return False
        if has_spoken:
            spoke_at = spoke_at or loop.time()
            if loop.time() - spoke_at > _IN_VAIN_SECONDS:
                return False
        await asyncio.sleep(_LOOK_SECONDS)


def _unseen(where: Address) -> PermanentError:
    return PermanentError(
        Reason.DATABASE_MISMATCH,
        f"pg_dump of {where} was not seen in the database that the handshake was shown to",
        hint="An address has to lead to one server: look at its Service, its DNS name, a failover under way.",
    )


class _Sayings:
    """pg_dump's standard error: a pipe with little room, so that pg_dump can't end before it was looked for.

    pg_dump tells what it does (`--verbose`). Once the room is used up it waits, with its session open, until
    `read_to_end` takes what it said.
    """

    def __init__(self, source: int, sink: int) -> None:
        self._source, self.sink = source, sink
        self._is_sink_open = True
        room = fcntl.fcntl(sink, fcntl.F_SETPIPE_SZ, os.sysconf("SC_PAGESIZE"))
        self._padding = max(room - _FREE_BYTES, 0)
        os.write(sink, b"\n" * self._padding)

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[_Sayings]:
        """Make the pipe, for as long as the block runs."""
        source, sink = os.pipe()
        sayings = cls(source, sink)
        try:
            yield sayings
        finally:
            sayings.close_sink()
            os.close(source)

    def close_sink(self) -> None:
        """Leave the writing end to the program alone, so that its end is the pipe's end."""
        if self._is_sink_open:
            self._is_sink_open = False
            os.close(self.sink)

    def has_any(self) -> bool:
        """Tell whether the program has said anything."""
        (length,) = struct.unpack("i", fcntl.ioctl(self._source, termios.FIONREAD, b"\0" * 4))
        return bool(length > self._padding)

    async def read_to_end(self) -> str:
        """Read what is said until the program ends, and return what is more than a report on its progress."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(os.dup(self._source), "rb", 0)
        )
        kept: deque[bytes] = deque(maxlen=_KEPT_LINES)
        try:
            async for line in _lines(reader):
                # What does not begin like a line of pg_dump's own goes on with the line before it.
                if line.startswith(_CHATTER) or (line.strip() and not line.startswith(b"pg_dump: ")):
                    kept.append(line)
        finally:
            transport.close()
        return b"\n".join(kept).decode("utf-8", "replace")


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    rest = b""
    while chunk := await reader.read(65536):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
    yield rest
