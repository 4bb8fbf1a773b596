"""Removes holders whose reset has come to rest; the only one who removes them.

Driver and sweeper need no lock between them: a drive writes each attempt into the holder before it launches anything
there, and a holder is only removed as it was listed BEFORE its reset was seen at rest.
"""

from __future__ import annotations

import structlog

from daemon.engine.high_water import HighWater
from daemon.ports.clock import Clock
from daemon.ports.errors import PermanentError, PortError
from daemon.ports.pods.holders import Holder
from daemon.ports.pods.pods import Pods
from daemon.ports.store.store import Store
from schemas.resets import ResetState
from statemachines.lifecycle import AT_REST

log = structlog.get_logger()

LOOK_EVERY = 5.0
"""Seconds between two looks."""
LONGEST_PAUSE = 60.0
"""Seconds between two looks while they fail."""


class Sweeper:
    """One loop of each daemon; several at once do no harm."""

    def __init__(self, pods: Pods, store: Store, clock: Clock, high_water: HighWater) -> None:
        self._pods = pods
        self._store = store
        self._clock = clock
        self._high_water = high_water

    async def run(self) -> None:
        """Look until cancelled."""
        pause = LOOK_EVERY
        while True:
            try:
                await self.sweep()
                pause = LOOK_EVERY
            except PortError as error:
                pause = min(pause * 2, LONGEST_PAUSE)
                log.warning("sweeper.failed", reason=error.reason.value, detail=error.detail, seconds=pause)
            await self._clock.sleep(pause)

    async def sweep(self) -> None:
        """Remove what nobody needs.

        Raises:
            PortError: the cluster or the state database could not be asked, or that is older than what it launched:
                then a reset that rests in it may have been resumed since.
        """
        await self._high_water.check()
        for holder in await self._pods.holders():
            try:
                removed = await self._needless(holder) and await self._pods.remove_holder(holder)
            except PermanentError as error:
                log.warning("sweeper.refused", holder=holder.name, detail=error.detail)
                continue
            if removed:
                log.info("sweeper.removed", holder=holder.name, environment=holder.environment)

    async def _needless(self, holder: Holder) -> bool:
        reset = await self._store.find(holder.reset_id)
        if reset is None:
            # Another daemon's, or ours from a state that was lost: then what may run in it is unknown until it ended.
            return holder.ended
        # With an outcome unknown the pod is the evidence.
        return reset.state in AT_REST and reset.state is not ResetState.NEEDS_OPERATOR
