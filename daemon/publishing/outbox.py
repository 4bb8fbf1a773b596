"""Publishes what the state database says was to be published: at least once, in order for each key.

Of several processes on one database one publishes at a time, by a lease: two would double every event.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog

from daemon.ports.bus import Outlet
from daemon.ports.clock import Clock
from daemon.ports.errors import TemporaryError
from daemon.ports.store.store import Store
from schemas.reasons import Reason

log = structlog.get_logger()

AT_ONCE = 200
"""Rows published before they are marked."""
IDLE = 0.2
"""Seconds between looks at an empty outbox."""
LEASE = 6.0
"""Seconds after which another process may publish."""
LONGEST_PAUSE = 15.0
"""Seconds between tries while the broker is away."""


class Outbox:
    """One for each daemon. A row that the broker refuses for good stays in the table and blocks nothing."""

    def __init__(self, store: Store, outlet: Outlet, clock: Clock, *, owner: str) -> None:
        self._store = store
        self._outlet = outlet
        self._clock = clock
        self._owner = owner
        self._renew_at = clock.now()
        self._trouble: TemporaryError | None = TemporaryError(Reason.NOT_YET, "not connected yet")

    async def check(self) -> None:
        """Whether the last try to publish reached the broker.

        Raises:
            TemporaryError: it did not, or there was none yet.
        """
        if self._trouble is not None:
            raise self._trouble

    async def run(self) -> None:
        """Until cancelled."""
        pause = IDLE
        started = False
        try:
            while True:
                try:
                    if not started:
                        await self._outlet.start()
                        started = True
                    published = await self.publish_once()
                    self._trouble = None
                    pause = 0.0 if published else IDLE
                except TemporaryError as error:
                    self._trouble = error
                    pause = min(max(pause, IDLE) * 2, LONGEST_PAUSE)
                    log.warning("outbox.paused", detail=error.detail, seconds=pause)
                await self._clock.sleep(pause)
        finally:
            await self._outlet.stop()

    async def publish_once(self) -> int:
        """Publish the oldest rows; how many there were.

        Raises:
            TemporaryError: the broker or the database does not answer; rows not marked are published again.
        """
        rows = await self._store.unpublished(AT_ONCE)
        if rows and self._clock.now() >= self._renew_at:
            now = self._clock.now()
            if not await self._store.may_publish(self._owner, ttl=LEASE):
                return 0
            self._renew_at = now + timedelta(seconds=LEASE / 2)
            # Those that were read before may have been published by the former holder.
            rows = await self._store.unpublished(AT_ONCE)
        if not rows:
            return 0
        answers = await self._outlet.publish([row.message for row in rows])
        refused = {row.id: answer for row, answer in zip(rows, answers, strict=True) if answer is not None}
        for identifier, why in refused.items():
            log.error("outbox.refused", row=identifier, detail=why)
        marking = asyncio.ensure_future(
            self._store.published(
                [row.id for row in rows if row.id not in refused], refused, now=self._clock.now()
            )
        )
        # Cancelled between publishing and marking, it would only publish twice; finishing is cheaper.
        await asyncio.shield(marking)
        return len(rows)
