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
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from sandbox.kubernetes.api.requests.queries import flag
from sandbox.kubernetes.api.streams.exec_stream import ExecStream
from sandbox.kubernetes.api.streams.running_exec import RunningExec, failed_start
from sandbox.kubernetes.node.node import Node
from sandbox.kubernetes.objects import statuses
from sandbox.kubernetes.objects.objects import Object

V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
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
        wanted = {stream for stream in ("stdin", "stdout", "stderr", "tty") if flag(query, stream)}
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
            running = RunningExec(stream, wanted, self._keep, v5=protocol == V5)
            with contextlib.suppress(ConnectionError):
                await running.greet()
                if container is None:
                    why = f"unable to upgrade connection: {missing}"
                    await stream.finish(statuses.internal_error(why))
                elif cannot_start:
                    await stream.finish(failed_start(cannot_start, container))
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

    def _keep(self, task: asyncio.Task[None]) -> None:
        """Keep a task that goes on after its stream has gone."""
        self._left.add(task)
        task.add_done_callback(self._left.discard)
