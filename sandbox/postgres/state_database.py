"""A PostgreSQL server for daemons' own state, and its faults: the server restarts, the network is slow.

A daemon reaches the server through a proxy on 127.0.0.1, which delays what clients send while the fault lasts.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from sandbox import postgres
from sandbox.faults.armoury import Armed, Armoury
from sandbox.faults.injection import Injector
from sandbox.faults.kinds import FaultKind
from sandbox.postgres.server import Server

_DELAY = 0.5
_CHUNK = 65536


class Proxy:
    """A port that leads to the port `target`, served by a thread of its own; `open` counts the clients."""

    def __init__(self, armoury: Armoury, target: int) -> None:
        self._armoury = armoury
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="state-proxy", daemon=True)
        self._thread.start()
        self.open = 0
        self._clients: set[asyncio.Task[None]] = set()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.port: int = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Cut every client."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def _end(self) -> None:
        self._server.close()
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        self.open += 1
        try:
            behind, to_server = await asyncio.open_connection("127.0.0.1", self._target)
            writers.append(to_server)
            ways = [
                asyncio.create_task(self._carry(reader, to_server, slow=True)),
                asyncio.create_task(self._carry(behind, writer, slow=False)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass  # the server is down: the client sees its connection closed, as without a proxy
        finally:
            self.open -= 1
            for side in writers:
                side.close()
                with contextlib.suppress(OSError):
                    await side.wait_closed()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slow: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                if slow and (fault := self._armoury.take([FaultKind.STATE_SLOW], None)):
                    await asyncio.sleep(fault.seconds_or(_DELAY))
                writer.write(data)
                await writer.drain()


@dataclass
class StateDatabase:
    """The server for daemons' state, started when the first daemon asks for a database on it."""

    armoury: Armoury
    directory: Path
    _server: Server | None = None
    _proxy: Proxy | None = None
    _starting: threading.Lock = field(default_factory=threading.Lock)

    def url(self, database: str) -> str:
        """A connection string for a daemon, through the proxy; a missing database is made."""
        with self._starting:
            if self._server is None:
                self._server = postgres.start(self.directory, "state")
                self._proxy = Proxy(self.armoury, self._server.port)
        assert self._proxy is not None
        with psycopg.connect(self._server.superuser_url, autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        account = self._server.superuser_url.rpartition("@")[0]
        return f"{account}@127.0.0.1:{self._proxy.port}/{database}"

    def injectors(self) -> dict[FaultKind, Injector]:
        """The injector of `state-restarted`; the proxy injects `state-slow`."""
        return {FaultKind.STATE_RESTARTED: self.restart}

    def restart(self, armed: Armed) -> None:
        """Restart the server once a daemon has a session on it."""
        if self._server is not None and self._proxy is not None and self._proxy.open:
            self._server.restart()
            self.armoury.hit(armed)

    def stop(self) -> None:
        """End the proxy and the server."""
        if self._proxy is not None:
            self._proxy.close()
        if self._server is not None:
            self._server.discard()
