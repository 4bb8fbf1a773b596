"""A worker: one daemon's engine, unchanged, with the world at the other end of a network."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, cast

from daemon.engine.drive import DriveFactory
from daemon.engine.driver import Driver
from daemon.engine.facts.backups import BackupReader
from daemon.engine.facts.reader import FactsReader
from daemon.engine.high_water import HighWater
from daemon.engine.planning import Planning
from daemon.engine.states.waiting import WaitingLimits
from daemon.engine.supervisor import Limits, Supervisor
from daemon.engine.sweepers.holders import HolderSweeper
from daemon.engine.sweepers.quiesced import QuiesceSweeper
from daemon.engine.sweepers.restraints import RestraintSweeper
from daemon.intake.consumer import Intake
from daemon.intake.entries import IntakeRules
from daemon.metrics import Metrics
from daemon.ports import Ports
from daemon.ports.pods.pods import Pods
from daemon.ports.store.store import Store
from daemon.publishing.outbox import Outbox
from schemas.publish import ENVIRONMENTS_TOPIC, REQUESTS_TOPIC
from schemas.wire import ResetId
from tests.memory.bus import MemoryBus, MemoryInbox, MemoryOutlet
from tests.memory.logs import MemoryLogs
from tests.memory.store import MemoryStore
from tests.simulation.world.loop import Process, VirtualLoop
from tests.simulation.world.network import Network
from tests.simulation.world.platform import CATALOG, Platform
from tests.simulation.world.remote import (
    Remote,
    RemoteContents,
    RemoteDatabases,
    RemotePods,
    RemoteQuiescing,
)

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
LEASE = 10.0
_TICK = 2.0
"""Seconds: no pause ends between two ticks."""
_GROUP = "resetd"
_METRICS = Metrics()
_RULES = IntakeRules(REQUESTS_TOPIC, ENVIRONMENTS_TOPIC, "dead-letters", timedelta(days=1))


class VirtualClock:
    """A machine's clock: it may be wrong by `ahead`, and it can be set."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.ahead = timedelta()

    def now(self) -> datetime:
        """See the port."""
        return BEGAN + timedelta(seconds=self._loop.time()) + self.ahead

    async def sleep(self, seconds: float) -> None:
        """See the port. Short pauses are as long as a busy machine makes them: that keeps idle loops cheap."""
        await asyncio.sleep(math.ceil(seconds / _TICK) * _TICK if seconds > 0 else 0)


@dataclass
class World:
    """What all workers share."""

    loop: VirtualLoop
    network: Network
    store: MemoryStore
    platform: Platform
    bus: MemoryBus
    made: count[int] = field(default_factory=lambda: count(1))

    def new_id(self) -> ResetId:
        """Ids that are the same in each run, and sort by the time at which they were made, as UUIDv7."""
        return ResetId(f"01900000-0000-7000-8000-{next(self.made):012x}")


class _Inbox(MemoryInbox):
    """Polls seldom, for the same reason; records wake it."""

    async def poll(self, *, timeout: float) -> Any:  # noqa: ANN401 - see the port
        return await super().poll(timeout=20 * timeout)


@dataclass
class Worker:
    """One daemon, through all of its boots. A crash loses all but `logs`: those are files on its disk."""

    world: World
    name: str
    clock: VirtualClock
    logs: MemoryLogs = field(default_factory=MemoryLogs)
    boots: int = 0
    process: Process | None = None
    _inbox: MemoryInbox | None = None
    _databases: RemoteDatabases | None = None

    @property
    def stands_still(self) -> bool:
        """Whether it was stopped and did not go on yet."""
        return self.process is not None and self.process.stands_still

    def boot(self) -> None:
        """Start the daemon, unless it runs."""
        if self.process is not None:
            return
        self.boots += 1
        world, loop = self.world, self.world.loop
        self.process = loop.process(f"{self.name}/{self.boots}")
        network = world.network
        store = cast("Store", Remote(network, "store", world.store))
        pods = cast("Pods", RemotePods(network, world.platform.pods, world.platform.looks))
        self._databases = RemoteDatabases(network, world.platform.databases)
        ports = Ports(
            pods=pods,
            databases=cast("Any", self._databases),
            backups=cast("Any", Remote(network, "backups", world.platform.backups)),
            repositories=cast("Any", Remote(network, "repositories", world.platform.repositories)),
            logs=self.logs,
            clock=self.clock,
            marks=world.platform.marks,
            contents=cast("Any", RemoteContents(network, "contents", world.platform.contents)),
            quiescing=cast("Any", RemoteQuiescing(network, world.platform.quiescing, world.platform.looks)),
            proofs=cast("Any", Remote(network, "proofs", world.platform.proofs)),
        )
        catalog = CATALOG.catalog
        facts = FactsReader(
            pods,
            ports.databases,
            ports.repositories,
            store,
            self.clock,
            catalog,
            ports.quiescing,
            BackupReader(ports.backups, ports.proofs, catalog),
        )
        gate = cast("Any", Remote(network, "deployments", world.platform.deployments))
        high_water = HighWater(store, ports.marks, self.clock)
        drives = DriveFactory(
            store=store,
            ports=ports,
            deployments=gate,
            catalog=catalog,
            facts=facts,
            planning=Planning(facts, catalog, CATALOG.id),
            high_water=high_water,
            metrics=_METRICS,
            limits=WaitingLimits(approval_ttl=timedelta(seconds=300), settled=timedelta(seconds=60)),
        )
        supervisor = Supervisor(
            store,
            Driver(drives, self.clock),
            high_water,
            self.clock,
            _METRICS,
            owner=self.process.name,
            limits=Limits(4, LEASE),
        )
        self._inbox = _Inbox(world.bus, group_id=_GROUP, topics=(REQUESTS_TOPIC,))
        outlet = cast("Any", Remote(network, "outlet", MemoryOutlet(world.bus)))
        intake = Intake(
            self._inbox,
            store,
            _RULES,
            self.clock,
            _METRICS,
            new_id=world.new_id,
            limit_waiting=catalog.queue.waiting,
        )
        outbox = Outbox(store, outlet, self.clock, owner=self.process.name)
        holders = HolderSweeper(pods, store, self.clock, high_water)
        quiesced = QuiesceSweeper(ports.quiescing, store, self.clock, high_water)
        restraints = RestraintSweeper(
            drives.restraints, store, self.clock, high_water, world.store.state.topics.status
        )
        loops = (supervisor.claim_forever, supervisor.renew_forever, intake.run, outbox.run)
        for run in (*loops, holders.run, quiesced.run, restraints.run):
            loop.start(self.process, run(), name=run.__qualname__)

    def crash(self) -> None:
        """Lose everything at once: no `finally` runs, connections break, what was sent is under way."""
        if self.process is None:
            return
        self.world.loop.end(self.process)
        self.process = None
        if self._databases is not None:
            self._databases.drop()
        self._leave()

    def stand_still(self) -> None:
        """As after SIGSTOP. The group of consumers goes on without it."""
        if self.process is not None and not self.process.stands_still:
            self.process.stands_still = True
            self._leave()

    def go_on(self) -> None:
        """As after SIGCONT."""
        if self.process is not None and self.process.stands_still:
            self.process.stands_still = False
            if self._inbox is not None:
                self.world.loop.start(self.world.loop.world, self.world.bus.join(self._inbox, _GROUP))

    def _leave(self) -> None:
        if self._inbox is not None:
            self.world.loop.start(self.world.loop.world, self.world.bus.leave(self._inbox, _GROUP))
