"""The connection of one exec as the server carries it. A fault of the sandbox puts a stream of its own in its place."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from sandbox.kubernetes.objects import statuses

ERROR = 3
"""The channel on which the v1.Status comes."""


class ExecStream:
    """One open exec, seen from the server. Each method is a moment of the stream at which a fault may act."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        self.socket = socket
        self.transport = transport
        self.breaks_off = asyncio.Event()
        """Set by a fault that ends the stream early: nothing is sent or read any more, and `close` ends it."""

    def begins(self) -> bool:
        """Whether the command may start; when it may not, the stream is cut already."""
        return True

    @asynccontextmanager
    async def held_back(self) -> AsyncIterator[bool]:
        """Surrounds the command, from its acceptance to its end; yields whether a fault made it begin late.

        A command that begins late starts even when the client has left in the meantime.
        """
        yield False

    async def started(self) -> bool:
        """Called once the command has started; False when the connection is closed and carries nothing more."""
        return True

    async def carry(self, channel: int, data: bytes) -> None:
        """Send output of the command, unless the stream has broken off."""
        if not self.breaks_off.is_set():
            await self.send(channel, data)

    async def finish(self, status: statuses.Status) -> None:
        """Send the Status on channel 3 and close, unless the stream has broken off."""
        if not self.breaks_off.is_set():
            await self.send(ERROR, json.dumps(status).encode())
            await self.socket.close()

    async def close(self) -> None:
        """Close a stream that has broken off. Nobody may read from it: the close waits for the client's answer."""

    async def send(self, channel: int, data: bytes) -> None:
        """Send one message on a channel."""
        await self.socket.send_bytes(bytes([channel]) + data)
