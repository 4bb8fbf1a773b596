"""pods/exec over WebSocket, subprotocols v4.channel.k8s.io and v5.channel.k8s.io.

As with a real kubelet and runc, the command is a session of its own in the container. It lives on when the stream is
cut or the API server is killed. Then it blocks in write once its pipe is full: the pipe keeps a reader, because the
command's own end is open for both directions. Its output is drained only after a polite close on v5. A program that
cannot start is an InternalError without an ExitCode. A v1.Status on channel 3 tells how the command ended, before the
close. Left out are SPDY, and a terminal: `tty` merges stderr into stdout and makes no terminal.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from sandbox.kubernetes.api.requests.queries import flag
from sandbox.kubernetes.api.streams.exec_stream import ERROR, ExecStream
from sandbox.kubernetes.node import pod_specs
from sandbox.kubernetes.node.containers import Container, Runtime
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
from sandbox.kubernetes.node.node import Node
from sandbox.kubernetes.objects import statuses
from sandbox.kubernetes.objects.objects import Object

V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
CLOSE_CHANNEL = 255
MESSAGE_LIMIT = 4 * 1024 * 1024
StreamOf = Callable[[web.WebSocketResponse, asyncio.Transport], ExecStream]
"""Makes the stream of an exec whose connection was just upgraded."""


def container_name(pod: Object, name: str) -> str:
    """The name of the container that a request means; Refusal 400 when it is ambiguous or unknown."""
    pod_name = pod["metadata"]["name"]
    names = [container["name"] for container in pod["spec"]["containers"]]
    if name and name not in names:
        raise statuses.bad_request(f"container {name} is not valid for pod {pod_name}")
    if not name and len(names) > 1:
        raise statuses.bad_request(
            f"a container name must be specified for pod {pod_name}, choose one of: [{' '.join(names)}]"
        )
    return name or str(names[0])


@dataclass
class Streams:
    """All exec streams of the server."""

    node: Node
    _open: set[asyncio.Transport] = field(default_factory=set)
    _left: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def open(self) -> int:
        """The number of open streams."""
        return len(self._open)

    async def serve(
        self,
        request: web.Request,
        pod: Object,
        stream_of: StreamOf = ExecStream,
        cannot_start: str | None = None,
    ) -> web.StreamResponse:
        """Answer one exec request; Refusal where the API server refuses before the upgrade.

        `stream_of` makes the stream. `cannot_start` is why the runtime does not start the command, in runc's words;
        None: it does.
        """
        query = request.query
        name = container_name(pod, query.get("container", ""))
        command = query.getall("command", [])
        wanted = {name for name in ("stdin", "stdout", "stderr", "tty") if flag(query, name)}
        if not wanted & {"stdin", "stdout", "stderr"}:
            raise statuses.bad_request("you must specify at least 1 of stdin, stdout, stderr")
        if not command:
            raise statuses.bad_request("you must specify at least 1 command for the container")
        offered = request.headers.get("Sec-WebSocket-Protocol", "").replace(" ", "").split(",")
        protocol = next((version for version in (V5, V4) if version in offered), None)
        if request.headers.get("Upgrade", "").lower() != "websocket" or protocol is None:
            raise statuses.bad_request("Upgrade request required")
        container = self.node.container_of(pod, name)
        missing = f'container not found ("{name}")'
        if container is None and protocol == V4:
            # v4 is proxied to the kubelet, whose plain answer comes through; v5 is answered by the API server itself.
            return web.Response(status=500, text=missing)
        socket = web.WebSocketResponse(
            protocols=(protocol,), max_msg_size=MESSAGE_LIMIT, compress=False, timeout=2
        )
        await socket.prepare(request)
        transport = request.transport
        assert transport is not None
        self._open.add(transport)
        try:
            stream = stream_of(socket, transport)
            running = _Exec(self, stream, wanted, v5=protocol == V5)
            with contextlib.suppress(ConnectionError):
                await running.greet()
                if container is None:
                    why = f"unable to upgrade connection: {missing}"
                    await stream.finish(statuses.internal_error(why))
                elif cannot_start:
                    await stream.finish(_cannot_start(cannot_start, container))
                elif stream.begins():
                    await running.run(self.node.runtime, container, command)
        finally:
            self._open.discard(transport)
        return socket

    def cut_all(self) -> int:
        """Reset the connection of every open stream, as tests ask for; returns how many there were."""
        transports = list(self._open)
        for transport in transports:
            transport.abort()
        return len(transports)

    def leave(self, task: asyncio.Task[None]) -> None:
        """Keep a task that goes on after its stream has gone."""
        self._left.add(task)
        task.add_done_callback(self._left.discard)


class _Exec:
    """One command and the stream that carries its input and output."""

    def __init__(self, owner: Streams, stream: ExecStream, wanted: set[str], *, v5: bool) -> None:
        self._owner = owner
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
            await self._stream.finish(_cannot_start(why, container))
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

        self._owner.leave(asyncio.create_task(collect()))

    def _abandon(self, process: Process) -> None:
        """Leave alone a command whose stream ended at its start: it runs on without input, and its output is lost."""
        for descriptor in (process.stdin, *process.outputs.values()):
            if descriptor >= 0:
                os.close(descriptor)

        async def collect() -> None:
            await process.exit_code()

        self._owner.leave(asyncio.create_task(collect()))


def _cannot_start(why: str, container: Container) -> statuses.Status:
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
