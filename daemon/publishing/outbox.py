"""Publishes the messages of the outbox: each at least once, in order for each key.

Of several processes on one database one publishes at a time, by a lease. Two would publish every message twice.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog

from daemon.ports.backoff import Backoff
from daemon.ports.bus import Outlet
from daemon.ports.clock import Clock
from daemon.ports.errors import TemporaryError
from daemon.ports.store.outbox import OutboxStore
from schemas.reasons import Reason

log = structlog.get_logger()

BATCH_SIZE = 200
"""Messages that are published before they are marked as published."""
OUTBOX_INTERVAL = 0.2
"""Seconds between two reads of an empty outbox."""
PUBLISHER_LEASE_SECONDS = 6.0
"""Seconds after which another process may publish."""
LONGEST_PAUSE = 15.0
"""Seconds between two tries while the broker is away."""


class Outbox:
    """One for each daemon. A message that the broker refuses for good stays in the table; the others go on."""

    def __init__(self, store: OutboxStore, outlet: Outlet, clock: Clock, *, owner: str) -> None:
        self._store = store
        self._outlet = outlet
        self._clock = clock
        self._owner = owner
        self._renew_at = clock.now()
        self._trouble: TemporaryError | None = TemporaryError(Reason.NOT_YET, "not connected yet")

    async def check(self) -> None:
        """Show that the last try to publish reached the broker.

        Raises:
            TemporaryError: it did not, or nothing was tried yet.
        """
        if self._trouble is not None:
            raise self._trouble

    async def run(self) -> None:
        """Publish until cancelled."""
        backoff = Backoff(self._clock, shortest=2 * OUTBOX_INTERVAL, longest=LONGEST_PAUSE)
        started = False
        try:
            while True:
                try:
                    if not started:
                        await self._outlet.start()
                        started = True
                    published = await self.publish_once()
                except TemporaryError as error:
                    self._trouble = error
                    log.warning("outbox.paused", detail=error.detail, seconds=backoff.pause)
                    await backoff.wait()
                else:
                    self._trouble = None
                    backoff.reset()
                    await self._clock.sleep(0.0 if published else OUTBOX_INTERVAL)
        finally:
            await self._outlet.stop()

    async def publish_once(self) -> int:
        """Publish the oldest messages, and answer how many there were.

        Raises:
            TemporaryError: the broker or the database does not answer. What is not marked is published again.
        """
        rows = await self._store.unpublished(BATCH_SIZE)
        if rows and self._clock.now() >= self._renew_at:
            now = self._clock.now()
            if not await self._store.may_publish(self._owner, ttl=PUBLISHER_LEASE_SECONDS):
                return 0
            self._renew_at = now + timedelta(seconds=PUBLISHER_LEASE_SECONDS / 2)
            # The former holder of the lease may have published what was read before.
            rows = await self._store.unpublished(BATCH_SIZE)
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
        # Marking is finished also when cancelled: it is cheaper than publishing the same messages again.
        await asyncio.shield(marking)
        return len(rows)
