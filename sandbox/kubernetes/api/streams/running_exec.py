"""One exec that runs: its command in the container, and the stream that carries input and output."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import WSCloseCode, WSMsgType

from sandbox.kubernetes.api.streams.exec_stream import ERROR, ExecStream
from sandbox.kubernetes.node import pod_specs
from sandbox.kubernetes.node.containers import Container
from sandbox.kubernetes.node.exec_process import (
    CHUNK,
    STDERR,
    STDIN,
    STDOUT,
    Process,
    open_reader,
    open_writer,
    spawn,
)
from sandbox.kubernetes.node.runtime import Runtime
from sandbox.kubernetes.objects import statuses

CLOSE_CHANNEL = 255
"""The channel on which a v5 client closes another one."""


class RunningExec:
    """One command and the stream that carries its input and output."""

    def __init__(
        self,
        stream: ExecStream,
        wanted: set[str],
        keep: Callable[[asyncio.Task[None]], None],
        *,
        v5: bool,
    ) -> None:
        """`wanted` are the names of the streams; `keep` keeps a task that goes on after the stream has gone."""
        self._keep = keep
        self._stream = stream
        self._socket = stream.socket
        self._wanted = wanted
        self._v5 = v5
        self._polite = False

    async def greet(self) -> None:
        """Send an empty frame on the lowest channel that the server writes, as the real server does."""
        lowest = ERROR
        for channel, name in ((STDERR, "stderr"), (STDOUT, "stdout")):
            lowest = channel if name in self._wanted else lowest
        await self._socket.send_bytes(bytes([lowest]))

    async def run(self, runtime: Runtime, container: Container, command: list[str]) -> None:
        """Start the command, and carry its input and output until it ends or the client is gone."""
        root = Path("/") if runtime.mode == "none" else Path(f"/proc/{container.pid}/root")
        path = container.environment()["PATH"]
        if why := pod_specs.program(command[0], container.app, path, root):
            await self._stream.finish(failed_start(why, container))
            return
        async with self._stream.held_back() as late:
            if late and not container.alive:
                return  # the container that was to run it is gone
            process = spawn(runtime, container, command, self._wanted)
            with contextlib.suppress(ConnectionError):
                await self._carry(process, container, command)
            if late:
                await process.exit_code()

    async def _carry(self, process: Process, container: Container, command: list[str]) -> None:
        """Carry input and output until the command ends or the client is gone."""
        if not await self._stream.started():
            self._abandon(process)
            return
        exit_code = asyncio.create_task(process.exit_code())
        readers = {channel: await open_reader(descriptor) for channel, descriptor in process.outputs.items()}
        pumps = [asyncio.create_task(self._pump(c, r)) for c, (r, _) in readers.items()]
        receiver = asyncio.create_task(self._receive(process))
        over = asyncio.gather(exit_code, *pumps)
        broken_off = asyncio.create_task(self._stream.breaks_off.wait())
        try:
            ends: set[asyncio.Future[Any]] = {over, receiver, broken_off}
            await asyncio.wait(ends, return_when="FIRST_COMPLETED")
            if over.done() and not over.exception():
                await self._stream.finish(_ended(command, exit_code.result(), container))
        finally:
            receiver.cancel()
            for pump in pumps:
                pump.cancel()
            broken_off.cancel()
            await asyncio.gather(receiver, broken_off, *pumps, return_exceptions=True)
            await self._stream.close()
            self._let_go(process, list(readers.values()))

    async def _pump(self, channel: int, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(CHUNK):
            await self._stream.carry(channel, data)

    async def _receive(self, process: Process) -> None:
        """Feed the command's stdin until the connection ends."""
        writer = await open_writer(process.stdin) if process.stdin >= 0 else None
        try:
            async for message in self._socket:
                if message.type is not WSMsgType.BINARY or writer is None or not message.data:
                    continue
                channel, data = message.data[0], message.data[1:]
                if channel == STDIN and not writer.is_closing():
                    with contextlib.suppress(ConnectionError):
                        writer.write(data)
                        await writer.drain()
                elif channel == CLOSE_CHANNEL and self._v5 and data == bytes([STDIN]):
                    writer.close()
            self._polite = self._socket.close_code == WSCloseCode.OK
        finally:
            if writer is not None:
                writer.close()

    def _let_go(
        self,
        process: Process,
        readers: list[tuple[asyncio.StreamReader, asyncio.ReadTransport]],
    ) -> None:
        """Leave the command alone after the stream has ended, and collect its process when it ends."""
        drained = self._polite and self._v5 and process.popen.poll() is None
        if not drained:
            for _, transport in readers:
                transport.close()

        async def collect() -> None:
            if drained:
                for reader, transport in readers:
                    while await reader.read(CHUNK):
                        pass
                    transport.close()
            await process.exit_code()

        self._keep(asyncio.create_task(collect()))

    def _abandon(self, process: Process) -> None:
        """Leave alone a command whose stream ended at its start: it runs on without input, and its output is lost."""
        for descriptor in (process.stdin, *process.outputs.values()):
            if descriptor >= 0:
                os.close(descriptor)

        async def collect() -> None:
            await process.exit_code()

        self._keep(asyncio.create_task(collect()))


def failed_start(why: str, container: Container) -> statuses.Status:
    """The Status of a command that could not be started; `why` is in runc's words."""
    return statuses.internal_error(
        "Internal error occurred: error executing command in container: failed to exec in container: "
        f'failed to start exec "{container.id}": OCI runtime exec failed: exec failed: '
        f"unable to start container process: {why}: unknown"
    )


def _ended(command: list[str], code: int, container: Container) -> statuses.Status:
    if code == 1 and not container.alive:
        # This may be nsenter's own exit code, because the container went away under it.
        return statuses.internal_error("error executing command in container: container is not running")
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": "command terminated with non-zero exit code: error executing command "
        f"[{' '.join(command)}], exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }
