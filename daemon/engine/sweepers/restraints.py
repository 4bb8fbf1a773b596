"""Looks after freezes and holds: grants holds whose turn has come, ends those that are over, tells of an end before it.

It also sees each freeze and each hold for its daemon, so that a clock which is set forward ends none of them early.
"""

from __future__ import annotations

import structlog

from daemon.engine.high_water import HighWater
from daemon.engine.restraints import Restraints
from daemon.engine.sweepers.repeating import repeat
from daemon.ports.clock import Clock
from daemon.ports.errors import PortError
from daemon.ports.store.restraints import StandingHold
from daemon.ports.store.store import Store
from schemas.holds import HoldEnding
from schemas.resets import ResetState
from statemachines.history.hold_record import hold_ending
from statemachines.holds import TOLD_BEFORE, Held, followers

log = structlog.get_logger()

SWEEP_INTERVAL = 5.0
"""Seconds between two sweeps."""
_MOST_QUEUED = 1000
"""Resets in the queue that are looked at for who starts next."""


class RestraintSweeper:
    """One loop of each daemon; several at once are harmless."""

    def __init__(
        self, restraints: Restraints, store: Store, clock: Clock, high_water: HighWater, topic: str
    ) -> None:
        """`topic` is where the ends of holds are told."""
        self._restraints = restraints
        self._store = store
        self._clock = clock
        self._high_water = high_water
        self._topic = topic

    async def run(self) -> None:
        """Sweep until cancelled."""
        await repeat(self.sweep, self._clock, every=SWEEP_INTERVAL, failed=_failed)

    async def sweep(self) -> None:
        """See what is frozen and held; grant, end and tell.

        Raises:
            PortError: the state database could not be asked, or it is older than what it launched.
        """
        await self._high_water.check()
        await self._restraints.look()
        changes = await self._store.settle_holds()
        for hold in changes.granted:
            log.info("hold.granted", hold=hold.id, environment=hold.environment, holder=hold.holder)
        for hold in changes.expired:
            log.info("hold.expired", hold=hold.id, environment=hold.environment, holder=hold.holder)
        for each in await self._store.holds():
            if each.hold.told_at is None and 0 < each.remaining <= TOLD_BEFORE.total_seconds():
                await self._tell(each)

    async def _tell(self, each: StandingHold) -> None:
        hold = each.hold
        rows = [row for row in await self._store.locks() if not row.granted]
        asked = [Held(row.key, row.reset_id, row.environment, row.ticket) for row in rows]
        queued = await self._store.resets(states=[ResetState.QUEUED], limit=_MOST_QUEUED)
        ending = HoldEnding(
            hold_id=hold.id,
            environment=hold.environment,
            holder=hold.holder,
            reason=hold.reason,
            expires_at=hold.expires_at,
            resets=followers(hold, queued, asked),
            occurred_at=self._clock.now(),
        )
        if await self._store.tell_hold_end(hold.id, hold.expires_at, hold_ending(ending, self._topic)):
            log.warning(
                "hold.ends-soon",
                hold=hold.id,
                environment=hold.environment,
                holder=hold.holder,
                until=hold.expires_at.isoformat(),
                then=[f"{one.environment}/{one.number}" for one in ending.resets],
            )


def _failed(error: PortError, seconds: float) -> None:
    log.warning("restraint-sweeper.failed", reason=error.reason.value, detail=error.detail, seconds=seconds)
