"""A library that reads and writes files, put into a stream: it works in a thread of its own, with bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
_PIECE_BYTES = 512 * 1024
_PIECES_AHEAD = 2


class Bridge:
    """What the library takes for a file to read, and for one to write."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._loop = asyncio.get_running_loop()
        self._pieces = pieces
        self._unread = b""
        self._unsent = bytearray()
        self._waiting: Future[Any] | None = None
        self._is_closed = False
        self.written: asyncio.Queue[bytes | None] = asyncio.Queue(_PIECES_AHEAD)
        self.error: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes of the stream; none at its end."""
        if not self._unread:
            try:
                self._unread = self._wait(self._next())
            except Exception as error:
                self.error = error
                raise
        size = len(self._unread) if size < 0 else size
        found, self._unread = self._unread[:size], self._unread[size:]
        return found

    def write(self, piece: bytes) -> int:
        """Take what the library made."""
        self._unsent += piece
        if len(self._unsent) >= _PIECE_BYTES:
            self.flush()
        return len(piece)

    def flush(self) -> None:
        """Pass on what was taken."""
        if self._unsent:
            made, self._unsent = bytes(self._unsent), bytearray()
            self._wait(self.written.put(made))

    def run(self, work: Work) -> None:
        """Let the library work to its end, in a thread."""
        try:
            work(self, self)
            self.flush()
        finally:
            if not self._is_closed:
                self._wait(self.written.put(None))

    def close(self) -> None:
        """Let the thread end, wherever it waits."""
        self._is_closed = True
        if self._waiting is not None:
            self._waiting.cancel()

    def _wait(self, call: Coroutine[Any, Any, T]) -> T:
        self._waiting = asyncio.run_coroutine_threadsafe(call, self._loop)
        if self._is_closed:
            self._waiting.cancel()
        found: T = self._waiting.result()
        return found

    async def _next(self) -> bytes:
        while (piece := await anext(self._pieces, None)) is not None:
            if piece:
                return piece
        return b""


Work: TypeAlias = Callable[[Bridge, Bridge], None]
"""Reads the first one to its end, and writes into the second one."""


async def streamed(pieces: AsyncIterator[bytes], work: Work) -> AsyncGenerator[bytes]:
    """Return what the library makes of a stream. What the stream raises, and what the library raises, is raised."""
    bridge = Bridge(pieces)
    executor = ThreadPoolExecutor(1, thread_name_prefix="age")
    working = asyncio.get_running_loop().run_in_executor(executor, bridge.run, work)
    try:
        while (piece := await bridge.written.get()) is not None:
            yield piece
        try:
            await working
        except Exception:
            if bridge.error is not None:
                raise bridge.error from None
            raise
    finally:
        bridge.close()
        await asyncio.gather(working, return_exceptions=True)
        executor.shutdown(wait=False)
