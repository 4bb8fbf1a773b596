"""What may stand in front of a server: a switch that changes where it leads, and an end of TLS.

Each serves on a free port of 127.0.0.1, which it yields, for as long as its block runs.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

_SSL_REQUEST = 80877103
_CHUNK_BYTES = 65536
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


@asynccontextmanager
async def switch(*ports: int) -> AsyncIterator[int]:
    """Lead the first connection to the first port, the second to the second; all later ones to the last."""
    left = list(ports)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = left.pop(0) if len(left) > 1 else left[0]
        await _relay(reader, writer, port)

    async with serving(serve) as port:
        yield port


@dataclass
class Turned:
    """A switch that somebody turns: new connections go to `leads_to`, and those that are there stay."""

    leads_to: int
    port: int = 0


@asynccontextmanager
async def turned(to: int) -> AsyncIterator[Turned]:
    """Lead each new connection to the port that the switch is turned to, at first `to`."""
    switch = Turned(to)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _relay(reader, writer, switch.leads_to)

    async with serving(serve) as switch.port:
        yield switch


@asynccontextmanager
async def tls(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """Take TLS connections only, as a server with `hostssl` does, and lead them to a server without TLS."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            length, code = struct.unpack("!ii", await reader.readexactly(8))
            if code != _SSL_REQUEST:
                await reader.readexactly(length - 8)
                message = b"SFATAL\0VFATAL\0C28000\0Mno pg_hba.conf entry for host, no encryption\0\0"
                writer.write(b"E" + struct.pack("!i", len(message) + 4) + message)
                await writer.drain()
                writer.close()
                return
            writer.write(b"S")
            await writer.drain()
            await writer.start_tls(context)
            await _relay(reader, writer, port)

    async with serving(serve) as own:
        yield own


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[int]:
    """Serve each connection by a task of its own. What is left of them ends with the block."""
    clients: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        clients.add(task)
        task.add_done_callback(clients.discard)

    listening = await asyncio.start_server(begin, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
    finally:
        for end in (writer, inner_writer):
            end.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, ssl.SSLError):
        while chunk := await source.read(_CHUNK_BYTES):
            sink.write(chunk)
            await sink.drain()
    with suppress(ConnectionError, NotImplementedError):  # the other side may be gone already
        sink.close()
