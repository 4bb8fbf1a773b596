"""pods/exec over WebSocket, subprotocols v4.channel.k8s.io and v5.channel.k8s.io.

As with a real kubelet and runc: the command is a session of its own in the container; it lives on when the stream is
cut or the API server is killed, and then blocks in write once its pipe is full, because the pipe keeps a reader (the
command itself: its end is opened for both directions). Only a polite close on v5 lets its output be drained. A program
that cannot start is an InternalError without an ExitCode; all is told by a v1.Status on channel 3 before the close.
Left out: SPDY, and a terminal (`tty` merges stderr into stdout and is no terminal).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from sandbox.kubernetes import podspecs, statuses
from sandbox.kubernetes.containers import Container, Runtime, gone, start_ticks
from sandbox.kubernetes.kubelet import Kubelet
from sandbox.kubernetes.objects import Object
from sandbox.kubernetes.queries import flag

V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
STDIN, STDOUT, STDERR, ERROR = 0, 1, 2, 3
CLOSE_CHANNEL = 255
CHUNK = 32 * 1024
MESSAGE_LIMIT = 4 * 1024 * 1024


def container_name(pod: Object, name: str) -> str:
    """The container that a request means; Refusal 400 when it is ambiguous or unknown."""
    pod_name = pod["metadata"]["name"]
    names = [one["name"] for one in pod["spec"]["containers"]]
    if name and name not in names:
        raise statuses.bad_request(f"container {name} is not valid for pod {pod_name}")
    if not name and len(names) > 1:
        raise statuses.bad_request(
            f"a container name must be specified for pod {pod_name}, choose one of: [{' '.join(names)}]"
        )
    return name or str(names[0])


@dataclass
class Streams:
    """All exec streams of the server; `cut_all` is a fault that tests ask for."""

    kubelet: Kubelet
    _open: set[asyncio.Transport] = field(default_factory=set)
    _left: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, request: web.Request, pod: Object) -> web.StreamResponse:
        """Answers one exec request; Refusal before the upgrade where the API server refuses."""
        query = request.query
        name = container_name(pod, query.get("container", ""))
        command = query.getall("command", [])
        wanted = {one for one in ("stdin", "stdout", "stderr", "tty") if flag(query, one)}
        if not wanted & {"stdin", "stdout", "stderr"}:
            raise statuses.bad_request("you must specify at least 1 of stdin, stdout, stderr")
        if not command:
            raise statuses.bad_request("you must specify at least 1 command for the container")
        offered = request.headers.get("Sec-WebSocket-Protocol", "").replace(" ", "").split(",")
        protocol = next((one for one in (V5, V4) if one in offered), None)
        if request.headers.get("Upgrade", "").lower() != "websocket" or protocol is None:
            raise statuses.bad_request("Upgrade request required")
        container = self.kubelet.container_of(pod, name)
        missing = f'container not found ("{name}")'
        if container is None and protocol == V4:
            # v4 is proxied to the kubelet, whose plain answer comes through; v5 ends at the API server.
            return web.Response(status=500, text=missing)
        socket = web.WebSocketResponse(
            protocols=(protocol,), max_msg_size=MESSAGE_LIMIT, compress=False, timeout=2
        )
        await socket.prepare(request)
        transport = request.transport
        assert transport is not None
        self._open.add(transport)
        try:
            stream = _Stream(self, socket, wanted, v5=protocol == V5)
            with contextlib.suppress(ConnectionError):
                await stream.greet()
                if container is None:
                    why = f"unable to upgrade connection: {missing}"
                    await stream.finish(statuses.internal_error(why))
                else:
                    await stream.run(self.kubelet.runtime, container, command)
        finally:
            self._open.discard(transport)
        return socket

    def cut_all(self) -> int:
        """Resets the connection under every open stream, without a word; how many there were."""
        transports = list(self._open)
        for transport in transports:
            transport.abort()
        return len(transports)

    def leave(self, task: asyncio.Task[None]) -> None:
        """Keeps what goes on after its stream has gone."""
        self._left.add(task)
        task.add_done_callback(self._left.discard)


@dataclass
class _Process:
    """A started command with our ends of its pipes; -1 where it has none."""

    popen: subprocess.Popen[bytes]
    stdin: int = -1
    outputs: dict[int, int] = field(default_factory=dict)

    async def exit_code(self) -> int:
        ticks = start_ticks(self.popen.pid)
        if ticks is not None:
            await gone(self.popen.pid, ticks)
        code = self.popen.wait()
        return 128 - code if code < 0 else code


def _output() -> tuple[int, int]:
    """(ours, the command's): its end also reads, so that without us it blocks instead of breaking."""
    ours, write = os.pipe()
    theirs = os.open(f"/proc/self/fd/{write}", os.O_RDWR)
    os.close(write)
    return ours, theirs


def _spawn(runtime: Runtime, container: Container, command: list[str], wanted: set[str]) -> _Process:
    theirs: list[int] = []
    outputs: dict[int, int] = {}
    null = os.open(os.devnull, os.O_RDWR)
    theirs.append(null)
    fds = {STDIN: null, STDOUT: null, STDERR: null}
    stdin = -1
    try:
        if "stdin" in wanted:
            fds[STDIN], stdin = os.pipe()
            theirs.append(fds[STDIN])
        for channel, name in ((STDOUT, "stdout"), (STDERR, "stderr")):
            if name in wanted and not (channel == STDERR and "tty" in wanted):
                outputs[channel], fds[channel] = _output()
                theirs.append(fds[channel])
        if "tty" in wanted:
            fds[STDERR] = fds[STDOUT]
        popen = subprocess.Popen(
            runtime.exec_command(container, command),
            stdin=fds[STDIN],
            stdout=fds[STDOUT],
            stderr=fds[STDERR],
            env=container.environment(),
            cwd=container.app,
            # With namespaces the session inside is made by setsid there; nsenter outside gets one too.
            start_new_session=runtime.mode != "none",
        )
    finally:
        for descriptor in theirs:
            os.close(descriptor)
    return _Process(popen, stdin, outputs)


class _Stream:
    """One open WebSocket with its command."""

    def __init__(self, owner: Streams, socket: web.WebSocketResponse, wanted: set[str], *, v5: bool) -> None:
        self._owner = owner
        self._socket = socket
        self._wanted = wanted
        self._v5 = v5
        self._polite = False

    async def greet(self) -> None:
        """The empty frame on the lowest channel that the server writes, as the real one sends it."""
        lowest = ERROR
        for channel, name in ((STDERR, "stderr"), (STDOUT, "stdout")):
            lowest = channel if name in self._wanted else lowest
        await self._socket.send_bytes(bytes([lowest]))

    async def finish(self, status: statuses.Status) -> None:
        """The Status on channel 3, then the close."""
        await self._socket.send_bytes(bytes([ERROR]) + json.dumps(status).encode())
        await self._socket.close()

    async def run(self, runtime: Runtime, container: Container, command: list[str]) -> None:
        """Starts the command and carries its streams until it ends or the client is gone."""
        root = Path("/") if runtime.mode == "none" else Path(f"/proc/{container.pid}/root")
        path = container.environment()["PATH"]
        if why := podspecs.program(command[0], container.app, path, root):
            await self.finish(_cannot_start(why, container))
            return
        process = _spawn(runtime, container, command, self._wanted)
        exit_code = asyncio.create_task(process.exit_code())
        readers = {channel: await _reader(descriptor) for channel, descriptor in process.outputs.items()}
        pumps = [asyncio.create_task(self._pump(c, r)) for c, (r, _) in readers.items()]
        receiver = asyncio.create_task(self._receive(process))
        over = asyncio.gather(exit_code, *pumps)
        try:
            both: set[asyncio.Future[Any]] = {over, receiver}
            await asyncio.wait(both, return_when="FIRST_COMPLETED")
            if over.done() and not over.exception():
                await self.finish(_ended(command, exit_code.result()))
        finally:
            receiver.cancel()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(receiver, *pumps, return_exceptions=True)
            self._let_go(process, list(readers.values()))

    async def _pump(self, channel: int, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(CHUNK):
            await self._socket.send_bytes(bytes([channel]) + data)

    async def _receive(self, process: _Process) -> None:
        """Takes stdin until the connection ends."""
        writer = await _writer(process.stdin) if process.stdin >= 0 else None
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
        process: _Process,
        readers: list[tuple[asyncio.StreamReader, asyncio.ReadTransport]],
    ) -> None:
        """After the stream: the command is left alone, and collected when it ends."""
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


async def _reader(descriptor: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=CHUNK)
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader, transport


async def _writer(descriptor: int) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    pipe = os.fdopen(descriptor, "wb", buffering=0)
    protocol_of = asyncio.streams.FlowControlMixin
    transport, protocol = await loop.connect_write_pipe(protocol_of, pipe)
    return asyncio.StreamWriter(transport, protocol, None, loop)


def _cannot_start(why: str, container: Container) -> statuses.Status:
    return statuses.internal_error(
        "Internal error occurred: error executing command in container: failed to exec in container: "
        f'failed to start exec "{container.id}": OCI runtime exec failed: exec failed: '
        f"unable to start container process: {why}: unknown"
    )


def _ended(command: list[str], code: int) -> statuses.Status:
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
