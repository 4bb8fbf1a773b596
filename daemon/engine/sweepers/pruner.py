"""Lets old rows go, old marks, and the kept output of resets that are gone. Nothing else removes them.

Each pruning is one short transaction over a bounded number of rows, so it may end at any instant, and several daemons
may do it at once. A state that was restored from an older backup is left as it is: its rows and marks are evidence.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from daemon.engine.high_water import HighWater
from daemon.engine.sweepers.repeating import repeat
from daemon.metrics import Metrics
from daemon.ports.clock import Clock
from daemon.ports.errors import PortError
from daemon.ports.logs import Logs
from daemon.ports.store.store import Store
from schemas.retention import Retention

log = structlog.get_logger()

PRUNE_INTERVAL = 15.0
"""Seconds between two prunings where the last one found nothing."""
BREATH = 0.5
"""Seconds between two prunings while there is more to do. Requests and commits wait while one is under way."""
BATCH = 100
"""Rows of each kind that one pruning removes."""
MEASURE_INTERVAL = timedelta(minutes=10)
"""How often the tables are measured, and old marks and the kept output of resets that are gone are looked for."""


class Pruner:
    """One loop of each daemon; several at once are harmless."""

    def __init__(
        self,
        store: Store,
        logs: Logs,
        clock: Clock,
        high_water: HighWater,
        metrics: Metrics,
        retention: Retention,
    ) -> None:
        self._store = store
        self._logs = logs
        self._clock = clock
        self._high_water = high_water
        self._metrics = metrics
        self._retention = retention
        self._measured_at: datetime | None = None

    async def run(self) -> None:
        """Prune until cancelled."""
        await repeat(self._sweep, self._clock, every=PRUNE_INTERVAL, failed=_failed)

    async def _sweep(self) -> float | None:
        found = await self.prune()
        await self._measure_now_and_then()
        return BREATH if found else None

    async def prune(self) -> bool:
        """Remove a batch of what is too old or too much, and tell whether there was any.

        Raises:
            PortError: the state database could not be asked. Or the state is older than what it launched.
        """
        await self._high_water.check()
        pruned = await self._store.prune(self._retention, now=self._clock.now(), limit=BATCH)
        for table, rows in pruned.rows.items():
            self._metrics.pruned.labels(table).inc(rows)
        if pruned.rows:
            log.info("pruner.pruned", rows=dict(pruned.rows), resets=len(pruned.resets))
        for reset_id in pruned.resets:
            await self._logs.forget(reset_id)
        return bool(pruned.rows)

    async def forget_output(self) -> None:
        """Remove the kept output of resets that are gone: another daemon pruned them, or this one ended right after.

        Output that was written to within `Retention.records` stays: its reset may be one of a state that was lost.

        Raises:
            PortError: the state database or the disk does not answer. Or the state is older than what it launched.
        """
        if self._retention.records is None:
            return
        await self._high_water.check()
        for reset_id in await self._logs.untouched_since(self._clock.now() - self._retention.records):
            if await self._store.find(reset_id) is None:
                await self._logs.forget(reset_id)
                log.info("pruner.output-removed", reset=reset_id)

    async def forget_marks(self) -> None:
        """Let marks go that are older than any event which may come once more: what they name has ended long ago.

        Raises:
            PortError: the state database or the marks do not answer. Or the state is older than what it launched.
        """
        if self._retention.records is None:
            return
        gone = await self._high_water.prune(self._clock.now() - self._retention.records)
        if gone:
            self._metrics.pruned.labels("marks").inc(gone)
            log.info("pruner.marks-removed", marks=gone)

    async def _measure_now_and_then(self) -> None:
        now = self._clock.now()
        if self._measured_at is not None and timedelta() <= now - self._measured_at < MEASURE_INTERVAL:
            return
        self._measured_at = now
        for table, rows in (await self._store.table_sizes()).items():
            self._metrics.table_rows.labels(table).set(rows)
        await self.forget_output()
        await self.forget_marks()


def _failed(error: PortError, seconds: float) -> None:
    log.warning("pruner.failed", reason=error.reason.value, detail=error.detail, seconds=seconds)
