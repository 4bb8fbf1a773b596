"""Releases what a reset has quiesced and will not release itself: it ended before it destroyed anything.

Driver and sweeper need no lock between them, as with holders:

1. A drive that quiesces writes into the object, also where nothing changes. That gives the object another version.
2. The sweeper lists the objects first, and looks at their resets after that.
3. It releases an object only in the version that it listed.
"""

from __future__ import annotations

import structlog

from daemon.engine.high_water import HighWater
from daemon.engine.sweepers.repeating import repeat
from daemon.ports.clock import Clock
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from daemon.ports.quiescing import Quiesced, Quiescing
from daemon.ports.store.store import Store
from schemas.wire import ResetId
from statemachines.lifecycle import STOPPED, needs_rest

log = structlog.get_logger()

SWEEP_INTERVAL = 10.0
"""Seconds between two sweeps."""
IDLE_INTERVAL = 600.0
"""Seconds between two sweeps where the catalog quiesces in no mode, and the last sweep found nothing at rest."""


class QuiesceSweeper:
    """One loop of each daemon; several at once are harmless."""

    def __init__(
        self,
        quiescing: Quiescing,
        store: Store,
        clock: Clock,
        high_water: HighWater,
        *,
        quiesces: bool = True,
    ) -> None:
        """`quiesces`: whether any mode of the catalog does. Else what may be at rest is of a former catalog."""
        self._quiesces = quiesces
        self._quiescing = quiescing
        self._store = store
        self._clock = clock
        self._high_water = high_water

    async def run(self) -> None:
        """Sweep until cancelled."""
        await repeat(self.sweep, self._clock, every=SWEEP_INTERVAL, failed=_failed)

    async def sweep(self) -> float | None:
        """Release what no reset needs at rest any more. Return a longer pause where nothing is likely to come.

        Raises:
            PortError: the cluster or the state database could not be asked, or the state is older than what it
                launched.
        """
        await self._high_water.check()
        failed = None
        listed = await self._quiescing.quiesced()
        for quiesced in listed:
            over = [reset_id for reset_id in quiesced.resets if not await self._needs_rest(reset_id)]
            if over or not quiesced.resets:
                try:
                    await self._release(quiesced, over)
                except TemporaryError as error:  # the others are released all the same
                    failed = error
        if failed is not None:
            raise failed
        return None if self._quiesces or listed else IDLE_INTERVAL

    async def _release(self, quiesced: Quiesced, over: list[ResetId]) -> None:
        try:
            missed = await self._quiescing.missed(quiesced.object)
            released = await self._quiescing.release_listed(quiesced, over)
        except PermanentError as error:
            log.warning("quiesce-sweeper.refused", object=str(quiesced.object), detail=error.detail)
            return
        if released:
            left = [each for each in quiesced.resets if each not in over]
            log.info(
                "quiesce-sweeper.released", object=str(quiesced.object), resets=over, left=left, missed=missed
            )

    async def _needs_rest(self, reset_id: ResetId) -> bool:
        reset = await self._store.find(reset_id)
        # A reset that is not known here is another daemon's, or of a state that was lost: nobody knows how far it came.
        if reset is None or not needs_rest(reset):
            return reset is None
        # What a later reset has rebuilt is whole, and the earlier one can't go on any more.
        return reset.state not in STOPPED or await self._store.superseded_by(reset_id) is None


def _failed(error: PortError, seconds: float) -> None:
    log.warning("quiesce-sweeper.failed", reason=error.reason.value, detail=error.detail, seconds=seconds)
