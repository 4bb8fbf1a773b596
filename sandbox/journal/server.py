"""The witness: it listens on a socket and writes what stand-ins tell it into the journal's file.

A stand-in sends one JSON line, the launch, and waits for the line `{"id": N}`: by then the record is in the file. It
keeps the connection, and sends a second line with its exit code before it exits. A connection that closes without the
second line belonged to a process that was killed.

One thread with one `select` serves all connections. Of what is ready at one moment, ends are written before launches:
a process that was dead before another one started is never recorded as overlapping with it.
"""

from __future__ import annotations

import json
import selectors
import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_PEER = struct.Struct("3i")  # pid, uid, gid of SO_PEERCRED


@dataclass
class _Command:
    """The connection of one command. `launch` is the id of its launch once it has told it."""

    connection: socket.socket
    host_pid: int
    received: bytes = b""
    launch: int | None = None


class JournalServer:
    """Listens at `path` and appends to `file`; new ids follow those that the file holds already."""

    def __init__(self, path: Path, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        before = file.read_bytes() if file.exists() else b""
        self._ids = before.count(b'"kind": "launch"')
        self._file = file.open("ab", buffering=0)
        if before and not before.endswith(b"\n"):
            self._file.write(b"\n")
        self._path = path
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        path.chmod(0o666)  # containers may run as any user
        self._listener.listen(256)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ, "stop")
        self._stopping = False

    def stop(self) -> None:
        """End `serve`; safe from a signal handler."""
        self._stopping = True
        self._wake.send(b"x")

    def serve(self, until_closed: IO[str] | None = None) -> None:
        """Serve connections until `stop`, or until `until_closed` reaches its end."""
        if until_closed:
            self._selector.register(until_closed, selectors.EVENT_READ, "stop")
        try:
            while not self._stopping:
                launches: list[tuple[_Command, dict[str, Any]]] = []
                for key, _ in self._selector.select():
                    if key.data == "stop":
                        self._stopping = True
                    elif isinstance(key.data, _Command):
                        launches += self._hear(key.data)
                    else:
                        self._accept()
                for command, message in launches:
                    self._launched(command, message)
        finally:
            self._selector.close()
            self._listener.close()
            self._path.unlink(missing_ok=True)
            self._file.close()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
        command = _Command(connection, _PEER.unpack(peer)[0])
        self._selector.register(connection, selectors.EVENT_READ, command)

    def _hear(self, command: _Command) -> list[tuple[_Command, dict[str, Any]]]:
        """Read what a command sent: an end is written at once, launches are returned to be written after all ends."""
        try:
            chunk = command.connection.recv(1 << 20)
        except ConnectionError:
            chunk = b""
        command.received += chunk
        *lines, command.received = command.received.split(b"\n")
        launches = []
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError:
                chunk = b""  # no stand-in speaks like this: hang up without an answer
                break
            if "exitCode" in message:
                self._ended(command, {"exitCode": message["exitCode"], "killed": False})
            else:
                launches.append((command, message))
        if not chunk:
            self._ended(command, {"exitCode": None, "killed": True})
            self._selector.unregister(command.connection)
            command.connection.close()
        return launches

    def _launched(self, command: _Command, message: dict[str, Any]) -> None:
        self._ids += 1
        command.launch = self._ids
        self._write({"kind": "launch", "id": self._ids, **message, "hostPid": command.host_pid})
        try:
            command.connection.sendall(b'{"id": %d}\n' % self._ids)
        except OSError:
            return  # the process died meanwhile, and the end of its connection will tell

    def _ended(self, command: _Command, how: dict[str, Any]) -> None:
        if command.launch is not None:
            self._write({"kind": "end", "id": command.launch, **how})
            command.launch = None

    def _write(self, record: dict[str, Any]) -> None:
        stamped = {**record, "wall": time.time(), "monotonic": time.monotonic()}
        self._file.write(json.dumps(stamped).encode() + b"\n")
