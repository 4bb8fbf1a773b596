"""How the stream of an exec goes: as it should, or as the fault says that it runs into."""

from __future__ import annotations

import asyncio
import json
import socket as sockets
from asyncio.trsock import TransportSocket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import WSCloseCode, web

from sandbox.faults.armoury import Armed, Armoury
from sandbox.faults.kinds import FaultKind
from sandbox.kubernetes.faults.background import until
from sandbox.kubernetes.objects import statuses

ERROR = 3
_DELAY = 1.0
_SILENCE = 120.0
_LATE = 3.0
_ESTABLISHED = 1  # TCP_INFO's tcpi_state, its first byte
_CLOSES = {
    FaultKind.EXEC_CLOSE_1000: int(WSCloseCode.OK),
    FaultKind.EXEC_CLOSE_1001: int(WSCloseCode.GOING_AWAY),
    FaultKind.EXEC_CLOSE_1006: int(WSCloseCode.ABNORMAL_CLOSURE),
}


@dataclass(frozen=True)
class Mishap:
    """An armed fault that is meant for a place; it counts from the moment that it happens."""

    armoury: Armoury
    armed: Armed

    def happens(self, *kinds: FaultKind) -> bool:
        """Whether it is one of these and has a hit left, which is taken with that."""
        return self.armed.fault.kind in kinds and self.armoury.hit(self.armed)

    def seconds(self, usual: float) -> float:
        """How long it takes."""
        given = self.armed.fault.seconds
        return usual if given is None else given

    async def silence(self, transport: asyncio.Transport) -> None:
        """Neither read nor write until the connection is closed, from either end, or the fault is over; then cut it.

        Nobody who reads nothing is told of the client's end, so the kernel is asked.
        """
        transport.pause_reading()
        connection = transport.get_extra_info("socket")
        with self.armoury.lasting(self.armed) as is_to_end:
            await until(lambda: is_to_end() or not _is_established(connection), within=self.seconds(_SILENCE))
            transport.abort()


class Course:
    """One open stream, seen from the server."""

    def __init__(
        self, socket: web.WebSocketResponse, transport: asyncio.Transport, mishap: Mishap | None
    ) -> None:
        self.socket = socket
        self._transport = transport
        self._mishap = mishap
        self._happened = False
        self._torn = False
        self._code = 0
        self.breaks_off = asyncio.Event()
        """Set when nothing is to be sent or read any more; `close` then closes as the fault has it."""

    def begins(self) -> bool:
        """Before the command starts; False: it must not, the stream is cut."""
        if self._happens(FaultKind.EXEC_CUT_BEFORE_START):
            self._transport.abort()
            return False
        return True

    @asynccontextmanager
    async def held_back(self) -> AsyncIterator[bool]:
        """Around the command, from its acceptance to its end: whether it begins late, which it then does here.

        That whoever asked for it has gone away meanwhile does not take it back.
        """
        mishap = self._mishap
        if mishap is None or mishap.armed.fault.kind is not FaultKind.EXEC_BEGINS_LATE:
            yield False
            return
        with mishap.armoury.lasting(mishap.armed) as is_to_end:
            await until(is_to_end, within=mishap.seconds(_LATE))
            yield True

    async def started(self) -> bool:
        """The command has started; False: nothing more will go over this stream, and now it is closed."""
        self._happens(FaultKind.EXEC_BEGINS_LATE)
        if self._happens(FaultKind.EXEC_CUT_AFTER_START):
            self._transport.abort()
            return False
        if self._mishap is not None and self._happens(FaultKind.EXEC_HALF_OPEN):
            await self._mishap.silence(self._transport)
            return False
        return True

    async def carry(self, channel: int, data: bytes) -> None:
        """Output of the command."""
        if self.breaks_off.is_set():
            return
        await self._maybe_wait()
        for part in self._parts(data):
            await self.socket.send_bytes(bytes([channel]) + part)
        self._maybe_break_off()

    async def finish(self, status: statuses.Status) -> None:
        """The Status on channel 3, then the close."""
        await self._maybe_wait()
        if self._happens(FaultKind.EXEC_CUT_BEFORE_STATUS):
            self._transport.abort()
        elif not self.breaks_off.is_set() and not self._maybe_break_off():
            await self.socket.send_bytes(bytes([ERROR]) + json.dumps(status).encode())
            await self.socket.close()

    async def close(self) -> None:
        """The close that a fault has; nobody may be reading any more, since the client's answer is waited for."""
        if self._code == WSCloseCode.ABNORMAL_CLOSURE:
            # It is what a client calls an end without a close frame; it never is on the wire.
            self._transport.abort()
        elif self._code:
            await self.socket.close(code=self._code)

    def _happens(self, *kinds: FaultKind) -> bool:
        """Whether it is one of these that happens at this point; a stream takes one hit only."""
        if self._happened or self._mishap is None or not self._mishap.happens(*kinds):
            return False
        self._happened = True
        return True

    async def _maybe_wait(self) -> None:
        if self._mishap is not None and self._happens(FaultKind.EXEC_DELAYED):
            await asyncio.sleep(self._mishap.seconds(_DELAY))

    def _maybe_break_off(self) -> bool:
        """True when the stream ends here, before its Status."""
        if self._mishap is None or not self._happens(*_CLOSES):
            return False
        self._code = _CLOSES[self._mishap.armed.fault.kind]
        self.breaks_off.set()
        return True

    def _parts(self, data: bytes) -> Iterator[bytes]:
        """Growing odd pieces, so that lines and characters are torn; usually all in one."""
        self._torn = self._torn or (len(data) > 1 and self._happens(FaultKind.EXEC_SPLIT))
        size = 1 if self._torn else len(data)
        while data:
            yield data[:size]
            data = data[size:]
            size += 2


def _is_established(connection: TransportSocket) -> bool:
    if connection.fileno() < 0:
        return False
    state: bytes = connection.getsockopt(sockets.IPPROTO_TCP, sockets.TCP_INFO, 1)
    return state[0] == _ESTABLISHED
