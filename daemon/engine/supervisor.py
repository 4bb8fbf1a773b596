"""Claims the resets that are due, keeps their leases, and runs the daemon's loops until they have to drain.

Recovery is the normal path: the reset of a dead process is claimed like any other once its lease is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from daemon.engine.driver import Driver
from daemon.engine.high_water import HighWater
from daemon.engine.leased_reset import LeaseDeadline
from daemon.metrics import Metrics
from daemon.ports.backoff import Backoff
from daemon.ports.clock import Clock
from daemon.ports.errors import TemporaryError
from daemon.ports.store.leases import Claimed, Lease, LeaseStore
from schemas.wire import ResetId

log = structlog.get_logger()

CLAIM_INTERVAL = 0.25
"""Seconds between two looks for resets that are due."""
LONGEST_PAUSE = 5.0
"""Seconds between two such looks while they fail."""
CLAIMED_AT_ONCE = 100
"""Resets of one claim. A claim is one transaction, and all other writers wait for it."""
DRAIN_WITHIN = 10.0
"""Seconds that loops get to end once told to stop."""


@dataclass(frozen=True)
class Limits:
    """The limits of one daemon process."""

    concurrent: int
    """Resets that are driven at one time."""
    lease_ttl: float
    """Seconds that a lease lasts."""


@dataclass(frozen=True)
class _Drive:
    """A reset that this process drives."""

    lease: Lease
    deadline: LeaseDeadline
    task: asyncio.Task[None]


class Supervisor:
    """Holds leases in the name of one boot id, and runs a drive for each."""

    def __init__(
        self,
        store: LeaseStore,
        driver: Driver,
        high_water: HighWater,
        clock: Clock,
        metrics: Metrics,
        *,
        owner: str,
        limits: Limits,
    ) -> None:
        self._store = store
        self._driver = driver
        self._high_water = high_water
        self._clock = clock
        self._metrics = metrics
        self._owner = owner
        self._limits = limits
        self._drives: dict[ResetId, _Drive] = {}

    async def claim_forever(self) -> None:
        """Claim and drive until cancelled. Then each drive lets its lease go; the next claim takes its commands up."""
        backoff = Backoff(self._clock, shortest=2 * CLAIM_INTERVAL, longest=LONGEST_PAUSE)
        try:
            while True:
                try:
                    await self._high_water.check_now_and_then()
                    claimed = await self._claim()
                except TemporaryError as error:
                    log.warning(
                        "supervisor.paused", detail=error.detail, hint=error.hint, seconds=backoff.pause
                    )
                    await backoff.wait()
                else:
                    backoff.reset()
                    await self._clock.sleep(0.0 if claimed else CLAIM_INTERVAL)
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
        for each in claimed:
            self._start(each, LeaseDeadline(self._limits.lease_ttl, asked_at=asked_at))
        return len(claimed)

    def _start(self, claimed: Claimed, deadline: LeaseDeadline) -> None:
        reset_id = claimed.reset.id
        task = asyncio.create_task(self._driver.drive(claimed, deadline), name=f"drive {reset_id}")
        self._drives[reset_id] = _Drive(claimed.lease, deadline, task)

        def ended(task: asyncio.Task[None]) -> None:
            self._drives.pop(reset_id, None)
            if not task.cancelled() and (error := task.exception()) is not None:
                # The lease runs out, the reset is claimed again, and three such claims call a person.
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
