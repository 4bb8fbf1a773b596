"""Which freeze is in force, as one daemon sees it: by the store's clock, by its own clock, and by its monotonic time.

A clock that is set forward ends no freeze early: the time since this process first saw the freeze has to pass as well.
A process that saw it first behind such a jump knows no better than the clocks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from daemon.ports.clock import Clock
from daemon.ports.store.restraints import RestraintStore, StandingFreeze
from schemas.freezes import Freeze
from statemachines.freezes import stopping

LOOK_EVERY = 10.0
"""Seconds between two looks of each daemon: so each knows a freeze long before the freeze ends."""


class Freezes:
    """One for each daemon."""

    def __init__(self, store: RestraintStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._not_before: dict[str, float] = {}
        """Freeze -> the event loop's time at which it may be over, as it was first seen."""

    async def stopping(self, environments: Collection[str]) -> Freeze | None:
        """Return the freeze that stops a first destructive step in one of these environments; None: nothing does.

        Raises:
            TemporaryError: the state database does not answer.
        """
        standing = await self._store.freezes()
        now = asyncio.get_running_loop().time()
        known = {each.freeze.id: self._not_before.get(each.freeze.id) for each in standing}
        self._not_before = {
            each.freeze.id: now + each.remaining if (first := known[each.freeze.id]) is None else first
            for each in standing
        }
        return stopping((each.freeze for each in standing if self._lasts(each, now)), environments)

    async def look(self) -> None:
        """See what is frozen by now, for nobody in particular. Raises TemporaryError."""
        await self.stopping(())

    def _lasts(self, each: StandingFreeze, now: float) -> bool:
        by_own_clock = self._clock.now() < each.freeze.expires_at
        return each.remaining > 0 or by_own_clock or now < self._not_before[each.freeze.id]
