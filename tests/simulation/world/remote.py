"""Ports as a worker has them: each method is a call over the network, and what a process holds open ends with it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

from daemon.ports.errors import TemporaryError
from daemon.ports.pods.commands import Observation
from daemon.ports.quiescing import Quiesced, Quiescing
from schemas.quiescing import ObjectRef
from schemas.resets import Control
from schemas.wire import AttemptId, ResourceKey
from statemachines.steps.activity import Client, Written
from tests.memory.contents import MemoryContents
from tests.memory.databases import MemoryDatabases, MemoryWitness
from tests.memory.pods import MemoryPods
from tests.simulation.world.looks import Looks
from tests.simulation.world.network import AWAY, Network


class Remote:
    """A port as a worker has it: every method is a call over the network."""

    incarnation: str

    def __init__(self, network: Network, port: str, there: object) -> None:
        self._network = network
        self._port = port
        self._there = there

    def __getattr__(self, method: str) -> Any:  # noqa: ANN401 - a method of any port
        what = getattr(self._there, method)

        async def call(*args: Any, **named: Any) -> Any:  # noqa: ANN401
            return await self._network.call(self._port, method, what, *args, **named)

        return call


class RemoteQuiescing(Remote):
    """`Quiescing` over the network. Who looks is written down."""

    def __init__(self, network: Network, there: object, looks: Looks) -> None:
        super().__init__(network, "quiescing", there)
        self._looks = looks

    async def find(self, target: ObjectRef) -> Quiesced | None:
        """See the port."""
        loop = self._network.loop
        self._looks.look(loop.present().name, target, loop.turns)
        found: Quiesced | None = await self._network.call(
            "quiescing", "find", cast("Quiescing", self._there).find, target
        )
        return found


class RemotePods(Remote):
    """`Pods` over the network: a stream is one long call that may end without a word. Who launches is written down."""

    _there: MemoryPods

    def __init__(self, network: Network, there: MemoryPods, looks: Looks) -> None:
        super().__init__(network, "pods", there)
        self._looks = looks

    async def launch(self, control: Control, attempt: AttemptId, *args: Any, **named: Any) -> None:  # noqa: ANN401
        """See the port."""
        self._looks.launch(self._network.loop.present().name, attempt)
        await self._network.call("pods", "launch", self._there.launch, control, attempt, *args, **named)

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
            session = Remote(self._network, "databases", reader)
            session.incarnation = reader.incarnation
            yield session


class RemoteDatabases(Remote):
    """`Databases` over the network. `sessions` end with the worker's process."""

    _there: MemoryDatabases

    def __init__(self, network: Network, there: MemoryDatabases) -> None:
        super().__init__(network, "databases", there)
        self._sessions: dict[int, tuple[MemoryWitness, object]] = {}
        """Number of its lock -> the witness, and what would end its session if it were forgotten."""

    @asynccontextmanager
    async def witness(self, url: str, *, environment: str) -> AsyncIterator[RemoteWitness]:
        """See the port."""
        there = await self._network.call("databases", "witness", self._open, url, environment)
        try:
            yield RemoteWitness(self._network, there)
        finally:
            self._close(there)

    def drop(self) -> None:
        """The process has ended, and its connections with it."""
        for witness, _ in tuple(self._sessions.values()):
            self._close(witness)

    async def _open(self, url: str, environment: str) -> MemoryWitness:
        session = self._there.witness(url, environment=environment)
        witness = await session.__aenter__()
        self._sessions[witness.lock] = (witness, session)
        return witness

    def _close(self, witness: MemoryWitness) -> None:
        self._sessions.pop(witness.lock, None)
        if witness in witness.database.witnesses:
            witness.database.witnesses.remove(witness)


class RemoteWitness:
    """`Witness` over the network."""

    def __init__(self, network: Network, there: MemoryWitness) -> None:
        self._network = network
        self._there = there
        self.identity = there.identity
        self.incarnation = there.incarnation
        self.lock = there.lock
        self.pid = there.pid
        self.started_at = there.started_at

    async def hear(self, nonce: str, *, timeout: float) -> bool:
        """See the port. A session whose answers are lost hears nothing."""
        with suppress(TemporaryError):
            heard: bool = await self._network.call(
                "databases", "hear", self._there.hear, nonce, timeout=timeout
            )
            return heard
        return False

    async def is_alive(self) -> bool:
        """See the port. A session whose answers are lost has ended."""
        with suppress(TemporaryError):
            is_alive: bool = await self._network.call("databases", "is_alive", self._there.is_alive)
            return is_alive
        return False

    async def sees(self, application_name: str) -> bool:
        """See the port."""
        sees: bool = await self._network.call("databases", "sees", self._there.sees, application_name)
        return sees

    async def clients(self) -> tuple[Client, ...]:
        """See the port."""
        clients: tuple[Client, ...] = await self._network.call("databases", "clients", self._there.clients)
        return clients

    async def written(self) -> Written:
        """See the port."""
        written: Written = await self._network.call("databases", "written", self._there.written)
        return written


async def _nothing() -> None:
    """The opening of a stream."""
