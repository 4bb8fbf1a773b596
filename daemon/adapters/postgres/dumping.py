"""Dumps by pg_dump of the snapshot of a witness' database, by a backend that the witness sees at work."""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import termios
from asyncio.subprocess import Process
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, Self, TypeAlias

from daemon.adapters.postgres.errors import program_error
from daemon.adapters.postgres.inventory.contents import between
from daemon.adapters.postgres.programs import Programs, running
from daemon.adapters.postgres.snapshots import Snapshot, exported, read_in, sequences_now
from daemon.adapters.postgres.urls import KEEPALIVE_OPTIONS, Address
from daemon.ports.databases import Witness
from daemon.ports.dump_store import Checksum
from daemon.ports.errors import PermanentError, TemporaryError
from schemas.backups import Contents
from schemas.reasons import Reason

Put: TypeAlias = Callable[[AsyncIterator[bytes], int], Awaitable[Checksum]]
"""Takes the dump, and how many bytes the tables have on the server's disk."""

_PIECE_BYTES = 1024 * 1024
_LOOK_SECONDS = 0.01
_IN_VAIN_SECONDS = 3.0
"""How long a backend that already speaks to pg_dump may be out of the witness' sight."""
_FREE_BYTES = 1024
"""What pg_dump may say before it is seen: more than of a refused connection, and less than of an empty database."""
_KEPT_LINES = 40
_CHATTER = (b"pg_dump: error", b"pg_dump: warning", b"pg_dump: detail", b"pg_dump: hint")


async def dump_into(
    put: Put, programs: Programs, where: Address, witness: Witness, *, timeout: float
) -> tuple[Checksum, Contents]:
    """Stream a dump of the witness' database into a store, and read what it has to hold.

    `put` stores what pg_dump writes. Where pg_dump fails, the stream raises at its end, so that nothing is stored.

    Returns:
        What was stored, and the contents of the dumped snapshot, with where sequences stood before pg_dump began and
        after it ended.

    Raises:
        PermanentError: `database-mismatch`: a session or pg_dump is not where the witness is; `backup-failed`; others
            as a connection's.
        TemporaryError: `database-unreachable`, `backup-failed`.
    """
    try:
        async with asyncio.timeout(timeout), exported(where, witness) as snapshot:
            before = await sequences_now(where, witness)
            sent, contents = await _together(
                _pg_dump(put, programs, where, witness, snapshot), read_in(where, witness, snapshot.id)
            )
            after = await sequences_now(where, witness)
    except TimeoutError as error:
        detail = f"pg_dump of {where} took more than {timeout:g} s"
        raise TemporaryError(Reason.BACKUP_FAILED, detail) from error
    known = contents.sequences.keys()  # those of the snapshot
    moved = {name: each for name, each in between(before, after).items() if name in known}
    return sent, contents.model_copy(update={"sequences": contents.sequences | moved})


async def _together(
    dumping: Coroutine[Any, Any, Checksum], counting: Coroutine[Any, Any, Contents]
) -> tuple[Checksum, Contents]:
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


async def _pg_dump(
    put: Put, programs: Programs, where: Address, witness: Witness, snapshot: Snapshot
) -> Checksum:
    name = where.dump_name()
    argv = [
        programs["pg_dump"],
        "--format=custom",
        "--no-password",
        "--lock-wait-timeout=60s",
        "--verbose",
        f"--snapshot={snapshot.id}",
        f"--dbname={where.conninfo(application_name=name, **KEEPALIVE_OPTIONS)}",
    ]
    async with (
        _Sayings.open() as sayings,
        _Output.open() as output,
        running(argv, where, stdout=output.sink, stderr=sayings.sink) as process,
    ):
        sayings.close_sink()
        output.close_sink()
        seen = await _is_seen(process, sayings, witness, name)
        if not seen and process.returncode is None:
            raise _unseen(where)
        async with aclosing(_written(process, output, sayings, where, seen=seen)) as pieces:
            return await put(pieces, snapshot.tables_bytes)


async def _written(
    process: Process, output: _Output, sayings: _Sayings, where: Address, *, seen: bool
) -> AsyncGenerator[bytes]:
    """What pg_dump writes. Only a dump that ended well comes to its end without an error."""
    saying = asyncio.create_task(sayings.read_to_end())
    try:
        async for piece in output.pieces():
            yield piece
        said = await saying
        code = await process.wait()
    finally:
        saying.cancel()
        await asyncio.gather(saying, return_exceptions=True)
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


class _Pipe:
    """A pipe that a program writes to. The program's own children may outlive it, and nothing waits for them."""

    def __init__(self, source: int, sink: int) -> None:
        self._source, self.sink = source, sink
        self._is_sink_open = True

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Self]:
        """Make the pipe, for as long as the block runs."""
        source, sink = os.pipe()
        pipe = cls(source, sink)
        try:
            yield pipe
        finally:
            pipe.close_sink()
            os.close(source)

    def close_sink(self) -> None:
        """Leave the writing end to the program alone, so that its end is the pipe's end."""
        if self._is_sink_open:
            self._is_sink_open = False
            os.close(self.sink)

    @asynccontextmanager
    async def _reader(self, limit: int) -> AsyncIterator[asyncio.StreamReader]:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=limit)
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(os.dup(self._source), "rb", 0)
        )
        try:
            yield reader
        finally:
            transport.close()


class _Output(_Pipe):
    """pg_dump's standard output. Where nobody takes it, pg_dump waits."""

    def __init__(self, source: int, sink: int) -> None:
        super().__init__(source, sink)
        with suppress(OSError):  # a machine may allow less
            fcntl.fcntl(sink, fcntl.F_SETPIPE_SZ, _PIECE_BYTES)

    async def pieces(self) -> AsyncGenerator[bytes]:
        """What pg_dump writes, as it comes."""
        async with self._reader(_PIECE_BYTES // 2) as reader:
            while piece := await reader.read(_PIECE_BYTES):
                yield piece


class _Sayings(_Pipe):
    """pg_dump's standard error: a pipe with little room, so that pg_dump can't end before it was looked for.

    pg_dump tells what it does (`--verbose`). Once the room is used up it waits, with its session open, until
    `read_to_end` takes what it said.
    """

    def __init__(self, source: int, sink: int) -> None:
        super().__init__(source, sink)
        room = fcntl.fcntl(sink, fcntl.F_SETPIPE_SZ, os.sysconf("SC_PAGESIZE"))
        self._padding = max(room - _FREE_BYTES, 0)
        os.write(sink, b"\n" * self._padding)

    def has_any(self) -> bool:
        """Tell whether the program has said anything."""
        (length,) = struct.unpack("i", fcntl.ioctl(self._source, termios.FIONREAD, b"\0" * 4))
        return bool(length > self._padding)

    async def read_to_end(self) -> str:
        """Read what is said until the program ends, and return what is more than a report on its progress."""
        kept: deque[bytes] = deque(maxlen=_KEPT_LINES)
        async with self._reader(65536) as reader:
            async for line in _lines(reader):
                # What does not begin like a line of pg_dump's own goes on with the line before it.
                if line.startswith(_CHATTER) or (line.strip() and not line.startswith(b"pg_dump: ")):
                    kept.append(line)
        return b"\n".join(kept).decode("utf-8", "replace")


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    rest = b""
    while chunk := await reader.read(65536):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
    yield rest
