"""`pods/exec` over a WebSocket: channels, the Status frame, and the difference between an end and a cut.

A stream that is cut looks to the client like one that ended. Only a Status on the error channel says that the
command ended, and how. The client's own decoding drops that channel, so this module decodes the stream itself.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self, cast

import aiohttp
from kubernetes_asyncio.client import CoreV1Api

from daemon.adapters.kubernetes.connection.clients import UNAUTHORIZED, WebSocketClient
from daemon.adapters.kubernetes.errors import translated
from daemon.adapters.kubernetes.exec.missing_program import says_program_is_missing
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from daemon.ports.pods.cluster import Pod
from schemas.reasons import Reason
from schemas.resets import Control

STDOUT, STDERR = 1, 2
_STDIN, _STATUS = b"\0", 3
# Only v5 tells a polite end from a cut inside the cluster; older servers speak v4.
_PROTOCOLS = "v5.channel.k8s.io, v4.channel.k8s.io"
_HANDSHAKE_TIMEOUT_SECONDS = 30.0
_CLOSING = frozenset({aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED})


@dataclass(frozen=True)
class ContainerRef:
    """Names the container that a command runs in."""

    environment: str
    pod: str
    container: str

    def __str__(self) -> str:
        return f"{self.environment}/{self.pod}"

    @classmethod
    def of_pod(cls, pod: Pod) -> Self:
        """Name the container of a pod that was chosen."""
        return cls(pod.environment, pod.name, pod.container)

    @classmethod
    def of_control(cls, control: Control) -> Self:
        """Name the container that a command was recorded in."""
        return cls(control.environment, control.pod, control.container)


class ExecStream:
    """One running exec. Iterate over `messages()`; `exit_code` is None until a Status comes."""

    def __init__(
        self, socket: aiohttp.ClientWebSocketResponse, container: ContainerRef, program: str
    ) -> None:
        self._socket = socket
        self._container = container
        self._program = program
        self._status = b""
        self.exit_code: int | None = None
        """The command's; None as long as nothing is known of it, also after the stream has ended."""

    async def messages(
        self, *, silent_seconds: float | None = None
    ) -> AsyncGenerator[tuple[int, bytes], None]:
        """Return `(channel, bytes)` until the command has ended, or the stream is cut, or silent for so long.

        Pings show that the API server is there. Only output shows that the kubelet behind it is there, too. So the
        client's own time limit is no help: it begins anew with each answer to a ping.
        """
        while True:
            try:
                async with asyncio.timeout(silent_seconds):
                    with translated(f"hear of a command in {self._container}", ""):
                        message = await self._socket.receive()
            except TimeoutError:
                return
            data = message.data
            if message.type in _CLOSING:
                break
            if message.type is aiohttp.WSMsgType.TEXT:
                data = data.encode()
            elif message.type is not aiohttp.WSMsgType.BINARY:
                return  # broken
            channel, payload = data[0] if data else None, data[1:]
            if channel == _STATUS:
                self._status += payload
            elif channel in {STDOUT, STDERR} and payload:
                yield channel, payload
        if self._status:
            self.exit_code = exit_code_of(self._status, str(self._container), self._program)

    async def send(self, stdin: bytes) -> None:
        """Write to the command's input. Version 4 can't end an input, so scripts are told its length."""
        with translated(f"write to a command in {self._container}", ""):
            for start in range(0, len(stdin), 32768):
                await self._socket.send_bytes(_STDIN + stdin[start : start + 32768])


def exit_code_of(status: bytes, where: str, program: str = "sh") -> int:
    """Read the exit code from a v1.Status.

    Args:
        status: As it came, JSON.
        where: The container, for people.
        program: The first word of the command.

    Raises:
        PermanentError: `exec-refused`: the container has no such program, or may not execute it.
        TemporaryError: the Status can't be read, or says that something else than the command failed.
    """
    try:
        parsed: dict[str, Any] = json.loads(status)
        if parsed.get("status") == "Success":
            return 0
        if parsed.get("reason") == "NonZeroExitCode":
            for cause in (parsed.get("details") or {}).get("causes") or []:
                if cause.get("reason") == "ExitCode":
                    return int(cause["message"])
        message = str(parsed.get("message", ""))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise TemporaryError(
            Reason.KUBERNETES_UNREACHABLE, f"unreadable status of an exec in {where}"
        ) from error
    raise not_started(message, where, program)


def not_started(message: str, where: str, program: str) -> PortError:
    """Make the error for a command that the container runtime did not run, in the runtime's words."""
    detail = f"exec in {where}: {message[:500]}"
    if says_program_is_missing(message, program):
        return PermanentError(
            Reason.EXEC_REFUSED,
            detail,
            hint=f"The image has no `{program}` to execute; resetd needs `sh` and the usual small programs in it.",
        )
    return TemporaryError(
        Reason.EXEC_REFUSED, detail, hint="The node's container runtime failed; look at the node if it stays."
    )


@asynccontextmanager
async def open_exec(
    client: WebSocketClient, container: ContainerRef, argv: Sequence[str], *, stdin: bool = False
) -> AsyncIterator[ExecStream]:
    """Start `argv` in a container, attached for as long as the block runs.

    The block's end closes the stream. The command runs on: Kubernetes signals nothing to it.
    """
    doing, right = f"run a command in {container}", f"get, create pods/exec in {container.environment}"
    with translated(doing, right):
        async with asyncio.timeout(_HANDSHAKE_TIMEOUT_SECONDS):
            context, socket = await _upgraded(client, container, argv, stdin=stdin)
    try:
        yield ExecStream(socket, container, argv[0])
    finally:
        with translated(doing, right):
            await context.__aexit__(None, None, None)


async def _upgraded(
    client: WebSocketClient, container: ContainerRef, argv: Sequence[str], *, stdin: bool
) -> tuple[Any, aiohttp.ClientWebSocketResponse]:
    """Open the stream, and return it with its context. After a 401, before which nothing was started, ask once more."""
    connect = cast("Any", CoreV1Api(client).connect_get_namespaced_pod_exec)  # its stubs lack `_headers`
    while True:
        used = client.credentials.generation
        context = await connect(
            container.pod,
            container.environment,
            container=container.container,
            command=list(argv),
            stdin=stdin,
            stdout=True,
            stderr=True,
            tty=False,
            _preload_content=False,
            _headers={"sec-websocket-protocol": _PROTOCOLS},
        )
        try:
            return context, await context.__aenter__()
        except aiohttp.WSServerHandshakeError as error:
            if error.status != UNAUTHORIZED or not await client.credentials.renew(used):
                raise
