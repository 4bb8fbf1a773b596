"""Reading a dump through to its end, and counting the rows that it holds."""

from __future__ import annotations

import asyncio
import re
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from contextlib import asynccontextmanager

from daemon.adapters.postgres.programs import Programs, running
from daemon.adapters.postgres.snapshots import table_name
from daemon.adapters.postgres.urls import Address

_CHUNK_BYTES = 1024 * 1024
_NAME = rb'("(?:[^"]|"")*"|[^\s."(]+)'
_COPY = re.compile(rb"COPY " + _NAME + rb"\." + _NAME + rb" .*?FROM stdin;\n", re.DOTALL)
_END = b"\n\\.\n"


async def read_through(programs: Programs, dump: AsyncIterable[bytes]) -> tuple[int, dict[str, int], str]:
    """Read all of a dump's data as pg_restore would restore them.

    Returns:
        pg_restore's exit code, `table_name` of each table -> how many rows the dump holds, and pg_restore's errors.

    Raises:
        PortError: what reading `dump` raises.
    """
    rows = RowCounter()
    # The schema is read in any case: it stands in the table of contents, before the data.
    argv = [programs["pg_restore"], "--data-only", "--file=/dev/stdout"]
    async with reading(argv, dump) as process:
        assert process.stdout is not None
        while chunk := await process.stdout.read(_CHUNK_BYTES):
            rows.feed(chunk)
        said = await process.errors()
        code = await process.wait()
    return code, rows.found, said


class Feeding:
    """pg_restore at work on a dump that streams into it."""

    def __init__(self, process: Process, dump: AsyncIterable[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self.stdout = process.stdout
        self._fed = asyncio.create_task(_feed(process, process.stdin, dump))
        self._said = asyncio.create_task(process.stderr.read())

    async def errors(self) -> str:
        """Return what it said on its standard error until it ended."""
        return (await self._said).decode("utf-8", "replace")

    async def wait(self) -> int:
        """Return its exit code.

        Raises:
            PortError: what reading the dump raised.
        """
        await self._fed
        return await self._process.wait()

    def kill(self) -> None:
        """End it where it is at work."""
        if self._process.returncode is None:
            self._process.kill()

    async def close(self) -> None:
        """Leave nothing behind."""
        for task in (self._fed, self._said):
            task.cancel()
        await asyncio.gather(self._fed, self._said, return_exceptions=True)


@asynccontextmanager
async def reading(
    argv: Sequence[str], dump: AsyncIterable[bytes], where: Address | None = None
) -> AsyncGenerator[Feeding]:
    """Run pg_restore on a dump from a store for as long as the block runs; `where` it restores, if anywhere."""
    async with running(argv, where, stdin=PIPE, stdout=PIPE) as process:
        feeding = Feeding(process, dump)
        try:
            yield feeding
        finally:
            await feeding.close()


async def _feed(process: Process, stdin: asyncio.StreamWriter, dump: AsyncIterable[bytes]) -> None:
    """Give the program all of a dump. One that reads no further, such as for a list, has the rest left out."""
    try:
        async for piece in dump:
            stdin.write(piece)
            await stdin.drain()
        stdin.close()
        await stdin.wait_closed()
    except (BrokenPipeError, ConnectionResetError):
        return
    except BaseException:
        # Its end would look like the dump's.
        if process.returncode is None:
            process.kill()
        raise


class RowCounter:
    """Counts the lines of each COPY in a script of pg_restore's."""

    def __init__(self) -> None:
        self.found: dict[str, int] = {}
        self._table: str | None = None
        self._lines = 0
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        """Take the next piece of the script."""
        self._rest += chunk
        while self._data() if self._table is not None else self._statement():
            pass

    def _statement(self) -> bool:
        """Skip to the next data; False when more of the script is needed."""
        start = 0
        while (end := self._rest.find(b"\n", start)) >= 0:
            if not self._rest.startswith(b"COPY ", start):
                start = end + 1
                continue
            copy = _COPY.match(self._rest, start)
            if copy is None:  # a quoted name may hold a line break
                break
            self._table = table_name(*(_plain(name) for name in copy.groups()))
            # The line break before the data counts as a line's end: data may begin with their end.
            self._lines, self._rest = -1, b"\n" + self._rest[copy.end() :]
            return True
        self._rest = self._rest[start:]
        return False

    def _data(self) -> bool:
        """Count lines to the end of the data; False when more of the script is needed."""
        end = self._rest.find(_END)
        if end < 0:
            counted = max(len(self._rest) - len(_END) + 1, 0)
            self._lines += self._rest.count(b"\n", 0, counted)
            self._rest = self._rest[counted:]
            return False
        assert self._table is not None
        self._lines += self._rest.count(b"\n", 0, end + 1)
        self.found[self._table] = self.found.get(self._table, 0) + self._lines
        self._rest, self._table = self._rest[end + len(_END) :], None
        return True


def _plain(name: bytes) -> bytes:
    return name[1:-1].replace(b'""', b'"') if name.startswith(b'"') else name
