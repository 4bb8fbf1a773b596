"""A connection pooler that speaks PostgreSQL's protocol, as PgBouncer in transaction or statement mode behaves.

- A client has a backend for one transaction (or statement). Then the next client may get that backend, with all that
  was set in its session. The backend that came back last is given out first.
- The client is told a backend of the pooler's own invention, unless `tells_backend`.
- `application_name` follows the client; a start-up parameter `options` is refused.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import psycopg

from sandbox.postgres.fronts import serving

_SSL_REQUEST, _GSS_REQUEST, _CANCEL_REQUEST = 80877103, 80877104, 80877102
_TOLD = (
    "server_version",
    "server_encoding",
    "client_encoding",
    "DateStyle",
    "TimeZone",
    "integer_datetimes",
    "standard_conforming_strings",
)


@dataclass
class _Backend:
    connection: psycopg.Connection
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    application: str = ""


@dataclass
class Pooler:
    """A running pooler. `handed_out` counts how often a backend came to a client that had another one before."""

    target: str
    """Connection string of the server, without a database."""
    password: str
    size: int = 20
    statement_mode: bool = False
    round_robin: bool = False
    tells_backend: bool = False
    port: int = field(default=0, init=False)
    handed_out: int = field(default=0, init=False)
    queries: list[str] = field(default_factory=list, init=False)
    """All simple queries of clients, in order."""
    _idle: dict[tuple[str, str], list[_Backend]] = field(default_factory=dict, init=False)
    _slots: dict[tuple[str, str], asyncio.Semaphore] = field(default_factory=dict, init=False)
    _all: list[_Backend] = field(default_factory=list, init=False)

    def url(self, database: str, role: str, host: str) -> str:
        """Return a client's connection string, with `host` as the name of this machine."""
        return f"postgresql://{role}:{self.password}@{host}:{self.port}/{database}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it goes."""
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                said = await _startup(reader, writer)
                if said is not None:
                    await _Client(self, reader, writer, said).run()
        finally:
            writer.close()

    async def take(self, key: tuple[str, str]) -> _Backend:
        """Give out an idle backend, or a new one where there is room; wait for one where there is none."""
        await self._slots.setdefault(key, asyncio.Semaphore(self.size)).acquire()
        idle = self._idle.setdefault(key, [])
        if idle:
            return idle.pop(0 if self.round_robin else -1)
        try:
            return await self._open(*key)
        except BaseException:  # a client that goes away meanwhile gives its slot back, too
            self._slots[key].release()
            raise

    def give_back(self, key: tuple[str, str], backend: _Backend) -> None:
        """Take a backend back, as it is: its session keeps what was set in it."""
        self._idle[key].append(backend)
        self._slots[key].release()

    async def drop(self, key: tuple[str, str], backend: _Backend) -> None:
        """End a backend whose client went in the middle of a transaction."""
        await _end(backend)
        self._all.remove(backend)
        self._slots[key].release()

    async def _open(self, user: str, database: str) -> _Backend:
        where = f"{self.target} user={user} dbname={database}"
        connection = await asyncio.to_thread(lambda: psycopg.connect(where, password=self.password))
        # The client library has signed in. From here on its socket is relayed.
        taken = socket.socket(fileno=os.dup(connection.fileno()))
        taken.settimeout(0)
        backend = _Backend(connection, *await asyncio.open_connection(sock=taken))
        self._all.append(backend)
        return backend

    async def close(self) -> None:
        """End all backends."""
        for backend in self._all:
            await _end(backend)


class _Client:
    def __init__(
        self,
        pooler: Pooler,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        said: Mapping[str, str],
    ) -> None:
        self._pooler, self._reader, self._writer, self._said = pooler, reader, writer, said
        self._key = (said["user"], said.get("database", said["user"]))
        self._last: _Backend | None = None

    async def run(self) -> None:
        if self._said.get("options"):
            await self._refuse("unsupported startup parameter: options")
            return
        if not await self._sign_in():
            return
        self._incoming = asyncio.create_task(_message(self._reader))
        try:
            while True:
                kind, body = await self._next()
                if kind == b"X" or not await self._hold_backend_for(kind, body):
                    return
        finally:
            self._incoming.cancel()
            await asyncio.gather(self._incoming, return_exceptions=True)

    async def _sign_in(self) -> bool:
        self._writer.write(_packed(b"R", struct.pack("!i", 3)))  # a password in clear text
        kind, body = await _message(self._reader)
        if kind != b"p" or body.rstrip(b"\0").decode() != self._pooler.password:
            await self._refuse("password authentication failed", "28P01")
            return False
        backend = await self._pooler.take(self._key)
        self._writer.write(_packed(b"R", struct.pack("!i", 0)))
        for name in _TOLD:
            value = backend.connection.pgconn.parameter_status(name.encode()) or b""
            self._writer.write(_packed(b"S", name.encode() + b"\0" + value + b"\0"))
        pid = (
            backend.connection.info.backend_pid if self._pooler.tells_backend else 1_000_000 + id(self) % 9999
        )
        self._writer.write(_packed(b"K", struct.pack("!ii", pid, 1)) + _packed(b"Z", b"I"))
        self._pooler.give_back(self._key, backend)
        await self._writer.drain()
        return True

    async def _hold_backend_for(self, kind: bytes, body: bytes) -> bool:
        """Relay from a client's first message until its transaction is over; False when the client is gone."""
        if self._pooler.statement_mode and kind == b"Q" and body.lower().startswith((b"begin", b"start")):
            await self._refuse("transaction blocks not allowed in statement pooling mode")
            return False
        backend = await self._pooler.take(self._key)
        self._pooler.handed_out += self._last not in (None, backend)
        self._last = backend
        done = False
        try:
            await self._set_application(backend)
            done = await self._relay(backend, kind, body)
        finally:
            if done:
                self._pooler.give_back(self._key, backend)
            else:
                await self._pooler.drop(self._key, backend)
        return done

    async def _relay(self, backend: _Backend, kind: bytes, body: bytes) -> bool:
        ready = asyncio.create_task(self._answer(backend))
        waiting = 0
        try:
            while kind != b"X":
                if kind == b"Q":
                    self._pooler.queries.append(body.rstrip(b"\0").decode())
                waiting += kind in b"QSF"
                backend.writer.write(_packed(kind, body))
                await backend.writer.drain()
                while not self._incoming.done():
                    await asyncio.wait({ready, self._incoming}, return_when=asyncio.FIRST_COMPLETED)
                    if ready.done():
                        waiting -= 1
                        if waiting == 0 and (ready.result() == b"I" or self._pooler.statement_mode):
                            return True
                        ready = asyncio.create_task(self._answer(backend))
                kind, body = await self._next()
        finally:
            ready.cancel()
            await asyncio.gather(ready, return_exceptions=True)
        return False

    async def _next(self) -> tuple[bytes, bytes]:
        """Return the client's next message, and begin to read the one after it."""
        message = await self._incoming
        self._incoming = asyncio.create_task(_message(self._reader))
        return message

    async def _answer(self, backend: _Backend) -> bytes:
        """Relay the server's messages until it is ready for another query, and return in which state it is."""
        while True:
            kind, body = await _message(backend.reader)
            self._writer.write(_packed(kind, body))
            await self._writer.drain()
            if kind == b"Z":
                return body

    async def _set_application(self, backend: _Backend) -> None:
        wanted = self._said.get("application_name", "")
        if backend.application == wanted:
            return
        quoted = wanted.replace("'", "''")
        backend.writer.write(_packed(b"Q", f"SET application_name = '{quoted}'".encode() + b"\0"))
        while (await _message(backend.reader))[0] != b"Z":
            pass
        backend.application = wanted

    async def _refuse(self, message: str, code: str = "08P01") -> None:
        fields = f"SFATAL\0VFATAL\0C{code}\0M{message}\0\0".encode()
        self._writer.write(_packed(b"E", fields))
        await self._writer.drain()


@asynccontextmanager
async def running(pooler: Pooler) -> AsyncIterator[Pooler]:
    """Run a pooler on a free port of 127.0.0.1 for as long as the block runs."""
    try:
        async with serving(pooler.serve) as pooler.port:
            yield pooler
    finally:
        await pooler.close()


async def _startup(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> dict[str, str] | None:
    while True:
        (length,) = struct.unpack("!i", await reader.readexactly(4))
        body = await reader.readexactly(length - 4)
        (code,) = struct.unpack("!i", body[:4])
        if code in {_SSL_REQUEST, _GSS_REQUEST}:
            writer.write(b"N")
            continue
        if code == _CANCEL_REQUEST:
            return None
        words = body[4:].rstrip(b"\0").decode().split("\0")
        return dict(zip(words[::2], words[1::2], strict=False))


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    kind, length = struct.unpack("!ci", await reader.readexactly(5))
    return kind, await reader.readexactly(length - 4)


def _packed(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


async def _end(backend: _Backend) -> None:
    backend.writer.close()
    with suppress(ConnectionError):
        await backend.writer.wait_closed()
    backend.connection.close()
