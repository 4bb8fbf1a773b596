"""Removes holders whose reset has come to rest. Nothing else removes a holder.

Driver and sweeper need no lock between them:

1. A drive writes each attempt into the holder before it launches anything there. That gives the holder another version.
2. The sweeper lists the holders first, and looks at their resets after that.
3. It removes a holder only in the version that it listed.
"""

from __future__ import annotations

import structlog

from daemon.engine.high_water import HighWater
from daemon.engine.sweepers.repeating import repeat
from daemon.ports.clock import Clock
from daemon.ports.errors import PermanentError, PortError
from daemon.ports.pods.holders import Holder
from daemon.ports.pods.pods import Pods
from daemon.ports.store.store import Store
from schemas.resets import ResetState
from statemachines.lifecycle import AT_REST

log = structlog.get_logger()

SWEEP_INTERVAL = 5.0
"""Seconds between two sweeps."""


class HolderSweeper:
    """One loop of each daemon; several at once are harmless."""

    def __init__(self, pods: Pods, store: Store, clock: Clock, high_water: HighWater) -> None:
        self._pods = pods
        self._store = store
        self._clock = clock
        self._high_water = high_water

    async def run(self) -> None:
        """Sweep until cancelled."""
        await repeat(self.sweep, self._clock, every=SWEEP_INTERVAL, failed=_failed)

    async def sweep(self) -> None:
        """Remove the holders that no reset needs any more.

        Raises:
            PortError: the cluster or the state database could not be asked. Or the state is older than what it
                launched: a reset that rests in it may have been resumed since.
        """
        await self._high_water.check()
        for holder in await self._pods.holders():
            try:
                removed = await self._is_needless(holder) and await self._pods.remove_holder(holder)
            except PermanentError as error:
                log.warning("sweeper.refused", holder=holder.name, detail=error.detail)
                continue
            if removed:
                log.info("sweeper.removed", holder=holder.name, environment=holder.environment)

    async def _is_needless(self, holder: Holder) -> bool:
        reset = await self._store.find(holder.reset_id)
        if reset is None:
            # Another daemon made it, or ours did from a state that was lost. A command may run until the pod has ended.
            return holder.ended
        # With an outcome unknown the pod is the evidence.
        return reset.state in AT_REST and reset.state is not ResetState.NEEDS_OPERATOR


def _failed(error: PortError, seconds: float) -> None:
    log.warning("sweeper.failed", reason=error.reason.value, detail=error.detail, seconds=seconds)
