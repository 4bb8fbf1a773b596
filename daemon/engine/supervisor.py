"""Claims what is due, keeps leases, runs the daemon's loops, and drains them when told to stop.

Recovery is no path of its own: a reset that a dead process held is claimed like any other once its lease is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from daemon.engine.driver import Driver
from daemon.engine.leased_reset import LeaseDeadline
from daemon.metrics import Metrics
from daemon.ports.clock import Clock
from daemon.ports.errors import TemporaryError
from daemon.ports.store.leases import Claimed, Lease
from daemon.ports.store.store import Store
from schemas.wire import ResetId

log = structlog.get_logger()

LOOK_EVERY = 0.25
"""Seconds between looks for due resets."""
CLAIMED_AT_ONCE = 100
"""Resets of one claim: it is one transaction, and nobody else writes meanwhile."""
DRAIN_WITHIN = 10.0
"""Seconds that loops get to end once told to stop."""


@dataclass(frozen=True)
class Limits:
    """Of one daemon process."""

    concurrent: int
    lease_ttl: float
    """Seconds."""


@dataclass(frozen=True)
class _Drive:
    """A reset in hand."""

    lease: Lease
    deadline: LeaseDeadline
    task: asyncio.Task[None]


class Supervisor:
    """Holds leases in the name of one boot id, and runs a drive for each."""

    def __init__(
        self, store: Store, driver: Driver, clock: Clock, metrics: Metrics, *, owner: str, limits: Limits
    ) -> None:
        self._store = store
        self._driver = driver
        self._clock = clock
        self._metrics = metrics
        self._owner = owner
        self._limits = limits
        self._drives: dict[ResetId, _Drive] = {}

    async def claim_forever(self) -> None:
        """Claim and drive until cancelled; then every drive lets its lease go, and commands are left to be found."""
        pause = LOOK_EVERY
        try:
            while True:
                try:
                    await self._driver.high_water.look()
                    claimed = await self._claim()
                    pause = 0.0 if claimed else LOOK_EVERY
                except TemporaryError as error:
                    pause = min(max(pause, LOOK_EVERY) * 2, 5.0)
                    log.warning("supervisor.paused", detail=error.detail, hint=error.hint, seconds=pause)
                await self._clock.sleep(pause)
        finally:
            await self._end_drives()

    async def renew_forever(self) -> None:
        """Renew every lease at half its life; a drive whose lease is lost is cancelled."""
        while True:
            await self._clock.sleep(self._limits.lease_ttl / 2)
            leases = [drive.lease for drive in self._drives.values()]
            if not leases:
                continue
            asked_at = asyncio.get_running_loop().time()
            try:
                kept = await self._store.renew(leases, ttl=self._limits.lease_ttl)
            except TemporaryError as error:
                log.warning("supervisor.leases-not-renewed", detail=error.detail)
                continue
            for lease in leases:
                drive = self._drives.get(lease.reset_id)
                if drive is None or drive.lease != lease:
                    continue
                if lease.reset_id in kept:
                    drive.deadline.prolong(self._limits.lease_ttl, asked_at=asked_at)
                    continue
                self._metrics.leases_lost.inc()
                log.warning("supervisor.lease-lost", reset=lease.reset_id)
                drive.task.cancel()

    async def _claim(self) -> int:
        free = min(self._limits.concurrent - len(self._drives), CLAIMED_AT_ONCE)
        if free <= 0:
            return 0
        asked_at = asyncio.get_running_loop().time()
        claimed = await self._store.claim(
            self._owner, ttl=self._limits.lease_ttl, limit=free, excluding=frozenset(self._drives)
        )
        for one in claimed:
            self._start(one, LeaseDeadline(self._limits.lease_ttl, asked_at=asked_at))
        return len(claimed)

    def _start(self, claimed: Claimed, deadline: LeaseDeadline) -> None:
        reset_id = claimed.reset.id
        task = asyncio.create_task(self._driver.drive(claimed, deadline), name=f"drive {reset_id}")
        self._drives[reset_id] = _Drive(claimed.lease, deadline, task)

        def ended(task: asyncio.Task[None]) -> None:
            self._drives.pop(reset_id, None)
            if not task.cancelled() and (error := task.exception()) is not None:
                # Its lease runs out, it is claimed again, and three such claims call a person.
                log.error("drive.crashed", reset=reset_id, exc_info=error)

        task.add_done_callback(ended)

    async def _end_drives(self) -> None:
        tasks = [drive.task for drive in self._drives.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=DRAIN_WITHIN)


async def run_until(stop: asyncio.Event, loops: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
    """Run loops side by side until `stop` is set or one of them fails; then cancel them all and wait for their end.

    Raises:
        Exception: what a loop failed with; an ExceptionGroup where several did.
    """

    async def running(loop: Callable[[], Awaitable[None]]) -> None:
        await loop()

    tasks = {asyncio.create_task(running(loop), name=name) for name, loop in loops.items()}
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=DRAIN_WITHIN)
    failed = [
        error
        for task in tasks
        if task.done() and not task.cancelled() and isinstance(error := task.exception(), Exception)
    ]
    if len(failed) == 1:
        raise failed[0]
    if failed:
        raise ExceptionGroup("a loop of the daemon failed", failed)
