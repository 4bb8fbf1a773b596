"""Ports as a worker has them: each method is a call over the network, and what a process holds open ends with it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from daemon.ports.errors import TemporaryError
from daemon.ports.pods.commands import Observation
from schemas.resets import Control
from schemas.wire import ResourceKey
from tests.memory.contents import MemoryContents
from tests.memory.databases import MemoryDatabases, MemoryLock
from tests.memory.pods import MemoryPods
from tests.simulation.world.network import AWAY, Network


class Remote:
    """A port as a worker has it: every method is a call over the network."""

    def __init__(self, network: Network, port: str, there: object) -> None:
        self._network = network
        self._port = port
        self._there = there

    def __getattr__(self, method: str) -> Any:  # noqa: ANN401 - a method of any port
        what = getattr(self._there, method)

        async def call(*args: Any, **named: Any) -> Any:  # noqa: ANN401
            return await self._network.call(self._port, method, what, *args, **named)

        return call


class RemotePods(Remote):
    """`Pods` over the network: a stream is one long call that may end without a word."""

    _there: MemoryPods

    async def follow(self, control: Control, *, offset: int) -> AsyncGenerator[Observation, None]:
        """See the port."""
        network = self._network
        if network.closed:
            raise TemporaryError(AWAY["pods"], "the history is over")
        await network.call("pods", "follow", _nothing)
        cuts = network.cuts
        stream = self._there.follow(control, offset=offset)
        try:
            async for seen in stream:
                network.maybe_fail("pods", "follow", after=True)
                yield seen
                if cuts != network.cuts or network.closed:
                    network.hits["stream cut"] += 1
                    return
        finally:
            await stream.aclose()


class RemoteContents(Remote):
    """`Contents` over the network: a session is one long call, and each question another one."""

    _there: MemoryContents

    @asynccontextmanager
    async def open(self, url: str, *, environment: str, resource: ResourceKey) -> AsyncIterator[Any]:
        """See the port."""
        async with self._there.open(url, environment=environment, resource=resource) as reader:
            yield Remote(self._network, "databases", reader)


class RemoteDatabases(Remote):
    """`Databases` over the network. `sessions` end with the worker's process."""

    _there: MemoryDatabases

    def __init__(self, network: Network, there: MemoryDatabases) -> None:
        super().__init__(network, "databases", there)
        self._sessions: dict[int, tuple[MemoryLock, object]] = {}
        """Number -> its lock, and what would let it go if it were forgotten."""

    @asynccontextmanager
    async def hold_lock(self, url: str, *, environment: str) -> AsyncIterator[RemoteLock]:
        """See the port."""
        lock = await self._network.call("databases", "hold_lock", self._open, url, environment)
        try:
            yield RemoteLock(self._network, lock)
        finally:
            self._close(lock)

    def drop(self) -> None:
        """The process has ended, and its connections with it."""
        for lock, _ in tuple(self._sessions.values()):
            self._close(lock)

    async def _open(self, url: str, environment: str) -> MemoryLock:
        session = self._there.hold_lock(url, environment=environment)
        lock = await session.__aenter__()
        self._sessions[lock.number] = (lock, session)
        return lock

    def _close(self, lock: MemoryLock) -> None:
        self._sessions.pop(lock.number, None)
        lock.database.locks.discard(lock.number)


@dataclass(frozen=True)
class RemoteLock:
    """`AdvisoryLock` over the network."""

    network: Network
    lock: MemoryLock

    @property
    def number(self) -> int:
        """See the port."""
        return self.lock.number

    async def is_held(self) -> bool:
        """See the port."""
        is_held: bool = await self.network.call("databases", "is_held", self.lock.is_held)
        return is_held


async def _nothing() -> None:
    """The opening of a stream."""
