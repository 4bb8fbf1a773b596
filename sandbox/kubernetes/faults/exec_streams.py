"""Faults in the stream of an exec: cut, silent, late, torn, or closed without a Status."""

from __future__ import annotations

import asyncio
import socket as sockets
from asyncio.trsock import TransportSocket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import WSCloseCode, web

from sandbox.faults.armoury import Armed, Armoury
from sandbox.faults.kinds import FaultKind
from sandbox.kubernetes.api.streams.exec_stream import ExecStream
from sandbox.kubernetes.objects import statuses
from sandbox.polling import until

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
class PendingFault:
    """An armed fault that a stream is going to meet; it is counted at the moment when it happens."""

    armoury: Armoury
    armed: Armed

    def happens(self, *kinds: FaultKind) -> bool:
        """Whether it is one of these kinds and has a hit left; the hit is taken."""
        return self.armed.fault.kind in kinds and self.armoury.hit(self.armed)

    async def silence(self, transport: asyncio.Transport) -> None:
        """Neither read nor write until either end has closed the connection or the fault is over; then cut it."""
        # A server that reads nothing is not told that the client has left: the kernel knows.
        transport.pause_reading()
        connection = transport.get_extra_info("socket")
        with self.armoury.lasting(self.armed) as is_to_end:
            await until(
                lambda: is_to_end() or not _is_established(connection),
                within=self.armed.fault.seconds_or(_SILENCE),
            )
            transport.abort()


class FaultyExecStream(ExecStream):
    """An exec's stream that runs into one fault, at most once in its life."""

    def __init__(
        self, fault: PendingFault, socket: web.WebSocketResponse, transport: asyncio.Transport
    ) -> None:
        super().__init__(socket, transport)
        self._fault = fault
        self._happened = False
        self._torn = False
        self._code = 0

    def begins(self) -> bool:
        """False when the fault cuts the stream before the command starts."""
        if self._happens(FaultKind.EXEC_CUT_BEFORE_START):
            self.transport.abort()
            return False
        return True

    @asynccontextmanager
    async def held_back(self) -> AsyncIterator[bool]:
        """Hold the command back while the fault `exec-begins-late` lasts; other faults hold nothing back."""
        fault = self._fault
        if fault.armed.fault.kind is not FaultKind.EXEC_BEGINS_LATE:
            yield False
            return
        with fault.armoury.lasting(fault.armed) as is_to_end:
            await until(is_to_end, within=fault.armed.fault.seconds_or(_LATE))
            yield True

    async def started(self) -> bool:
        """Count a late begin; False when the fault cuts or silences the stream of the command that has started."""
        self._happens(FaultKind.EXEC_BEGINS_LATE)
        if self._happens(FaultKind.EXEC_CUT_AFTER_START):
            self.transport.abort()
            return False
        if self._happens(FaultKind.EXEC_HALF_OPEN):
            await self._fault.silence(self.transport)
            return False
        return True

    async def carry(self, channel: int, data: bytes) -> None:
        """Send output late, in pieces, or as the last that comes before the stream breaks off."""
        if self.breaks_off.is_set():
            return
        await self._maybe_wait()
        for part in self._parts(data):
            await self.send(channel, part)
        self._maybe_break_off()

    async def finish(self, status: statuses.Status) -> None:
        """Send the Status and close, unless the fault ends the stream without a Status."""
        await self._maybe_wait()
        if self._happens(FaultKind.EXEC_CUT_BEFORE_STATUS):
            self.transport.abort()
        elif not self.breaks_off.is_set() and not self._maybe_break_off():
            await super().finish(status)

    async def close(self) -> None:
        """Close with the code that the fault has; without one there is nothing to close."""
        if self._code == WSCloseCode.ABNORMAL_CLOSURE:
            # A client calls an end without a close frame 1006: the code is never sent (RFC 6455, section 7.4.1).
            self.transport.abort()
        elif self._code:
            await self.socket.close(code=self._code)

    def _happens(self, *kinds: FaultKind) -> bool:
        """Whether the fault is one of these kinds and hits now; a stream takes one hit only."""
        if self._happened or not self._fault.happens(*kinds):
            return False
        self._happened = True
        return True

    async def _maybe_wait(self) -> None:
        if self._happens(FaultKind.EXEC_DELAYED):
            await asyncio.sleep(self._fault.armed.fault.seconds_or(_DELAY))

    def _maybe_break_off(self) -> bool:
        """Whether the fault ends the stream here, before its Status."""
        if not self._happens(*_CLOSES):
            return False
        self._code = _CLOSES[self._fault.armed.fault.kind]
        self.breaks_off.set()
        return True

    def _parts(self, data: bytes) -> Iterator[bytes]:
        """All in one; after `exec-split` has hit in pieces of 1, 3, 5, ... bytes, which tear lines and characters."""
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
