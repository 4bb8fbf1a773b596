"""Drops scratch databases that proofs left behind: a daemon was killed, or the server did not answer in time.

A proof runs while its reset is at work. So what belongs to a reset at rest is nobody's any more. The database of a
reset that is not known here is another daemon's, or of a state that was lost, and stays: a person drops it.
"""

from __future__ import annotations

import structlog

from daemon.engine.sweepers.repeating import repeat
from daemon.ports.clock import Clock
from daemon.ports.errors import PortError
from daemon.ports.restore_proofs import RestoreProofs
from daemon.ports.store.store import Store
from statemachines.lifecycle import AT_REST

log = structlog.get_logger()

SWEEP_INTERVAL = 60.0
"""Seconds between two sweeps."""


class ScratchSweeper:
    """One loop of each daemon; several at once are harmless."""

    def __init__(self, proofs: RestoreProofs, store: Store, clock: Clock) -> None:
        self._proofs = proofs
        self._store = store
        self._clock = clock

    async def run(self) -> None:
        """Sweep until cancelled."""
        await repeat(self.sweep, self._clock, every=SWEEP_INTERVAL, failed=_failed)

    async def sweep(self) -> None:
        """Drop the scratch databases of resets at rest.

        Raises:
            PortError: a scratch server or the state database could not be asked.
        """
        for reset_id in sorted(await self._proofs.leftovers()):
            reset = await self._store.find(reset_id)
            if reset is not None and reset.state in AT_REST:
                await self._proofs.drop(reset_id)
                log.info("scratch-sweeper.dropped", reset=reset_id)


def _failed(error: PortError, seconds: float) -> None:
    log.warning("scratch-sweeper.failed", reason=error.reason.value, detail=error.detail, seconds=seconds)
