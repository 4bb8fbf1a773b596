"""Which freezes and holds are in force, as one daemon sees it: by the store's clock, its own, and its monotonic time.

A clock that is set forward ends none of them early: the time since this process first saw one has to pass as well.
A process that saw it first behind such a jump knows no better than the clocks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime

from daemon.ports.clock import Clock
from daemon.ports.store.restraints import RestraintStore, StandingFreeze, StandingHold
from schemas.freezes import Freeze
from schemas.holds import Hold
from schemas.wire import ResourceKey
from statemachines.freezes import stopping
from statemachines.holds import holding

REMEMBERED = 10_000
"""Freezes and holds whose ends are remembered at most."""


class Restraints:
    """One for each daemon."""

    def __init__(self, store: RestraintStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._seen: tuple[StandingFreeze, ...] = ()
        """The freezes that were in force when this daemon looked last."""
        self._not_before: dict[tuple[str, datetime], float] = {}
        """Freeze or hold with its end -> the event loop's time at which it may be over, as it was first seen."""

    async def stopping(self, environments: Collection[str]) -> Freeze | None:
        """Return the freeze that stops a first destructive step in one of these environments; None: nothing does.

        Raises:
            TemporaryError: the state database does not answer.
        """
        self._seen = tuple(
            each
            for each in await self._store.freezes()
            if self._lasts(each.freeze.id, each.freeze.expires_at, each.remaining)
        )
        return stopping([each.freeze for each in self._seen], environments)

    async def pausing(self, environments: Collection[str]) -> Freeze | None:
        """Return the freeze that says `now` and is about one of these environments; None where there is none.

        Raises:
            TemporaryError: the state database does not answer.
        """
        await self.stopping(())
        return self.seen_pausing(environments)

    def seen_pausing(self, environments: Collection[str]) -> Freeze | None:
        """Return the same as it was seen last, without asking: between steps, a few seconds late."""
        lasting = (each.freeze for each in self._seen if each.freeze.now)
        return stopping(list(lasting), environments)

    async def outlasting(self, environments: Collection[str], keys: Collection[ResourceKey]) -> Hold | None:
        """Return a hold that keeps such a reset away although the store's clock says that it is over.

        What is in force by the store's clock is `LeaseStore.lock`'s to say.

        Raises:
            TemporaryError: the state database does not answer.
        """
        over = [
            each.hold
            for each in await self._store.holds()
            if self._sees(each) and (each.remaining <= 0 or each.hold.ended_at is not None)
        ]
        return holding([each for each in over if each.granted_at is not None], environments, keys)

    async def look(self) -> None:
        """See by now what is frozen and held, for nobody in particular. Raises TemporaryError."""
        await self.stopping(())
        await self.outlasting((), ())

    def _sees(self, each: StandingHold) -> bool:
        return self._lasts(each.hold.id, each.hold.expires_at, each.remaining)

    def _lasts(self, each: str, expires_at: datetime, remaining: float) -> bool:
        now = asyncio.get_running_loop().time()
        first = self._not_before.setdefault((each, expires_at), now + remaining)
        while len(self._not_before) > REMEMBERED:
            del self._not_before[next(iter(self._not_before))]
        return remaining > 0 or self._clock.now() < expires_at or now < first
