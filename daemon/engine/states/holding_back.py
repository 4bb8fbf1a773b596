"""People hold resets back: to the queue before anything is destroyed, as that may last for days, or in a pause."""

from __future__ import annotations

from datetime import datetime

import structlog

from daemon.engine.leased_reset import LeasedReset
from daemon.engine.restraints import Restraints
from daemon.engine.states.waiting import WaitingLimits
from daemon.ports.clock import Clock
from schemas.freezes import Freeze
from schemas.resets import Waiting
from statemachines.freezes import concerned, has_crossed, pauses, sentence
from statemachines.lifecycle import Trigger
from statemachines.reset_update import ResetUpdate
from statemachines.steps.progress import to_run_again
from statemachines.steps.resuming import to_repeat
from statemachines.windows import Opening

log = structlog.get_logger()

LOOK_AGAIN = 2.0
"""Seconds until a frozen reset looks again: somebody may have ended the freeze."""


def waits_for_freeze(freeze: Freeze, since: datetime | None = None) -> Waiting:
    """Say what a frozen reset waits for."""
    return Waiting(reason="freeze", detail=sentence(freeze), since=since, until=freeze.expires_at)


def waits_for_window(opening: Opening, since: datetime | None = None) -> Waiting:
    """Say which window a reset waits for."""
    return Waiting(reason="window", detail=opening.text, since=since, until=opening.opens)


async def back_to_queue(leased: LeasedReset, waiting: Waiting) -> None:
    """Lead a reset that works and has destroyed nothing back to `queued`, and let its locks go.

    Others may write to its databases meanwhile, and its services come back: it quiesces, dumps and shakes hands again.
    """
    again = to_repeat(leased.plan, leased.steps) if leased.plan is not None else ()
    await leased.commit(
        ResetUpdate(waiting_for=waiting),
        trigger=Trigger.HELD_BACK,
        steps=[to_run_again(leased.steps[name]) for name in again],
        release_locks=True,
    )


class HoldingBack:
    """Stops a reset at work before a batch of steps, where people hold it back. One for each drive."""

    def __init__(
        self, leased: LeasedReset, restraints: Restraints, limits: WaitingLimits, clock: Clock
    ) -> None:
        self._leased = leased
        self._restraints = restraints
        self._limits = limits
        self._clock = clock

    async def stops(self, *, destroys: bool) -> bool:
        """Tell whether the reset was led elsewhere before a batch that `destroys` or not.

        A freeze or a window stops the first batch that destroys, and leads back to the queue. A freeze that says `now`
        stops every batch, and pauses a reset that has destroyed something.
        """
        leased, environments = self._leased, concerned(self._leased.reset.environment, self._leased.plan)
        freeze = None
        if pauses(leased.plan, leased.steps) and not leased.open_attempts:
            freeze = self._restraints.seen_pausing(environments)
        if has_crossed(leased.reset):
            return freeze is not None and await self._pause(freeze)
        if destroys:
            freeze = await self._restraints.stopping(environments)
            now = self._clock.now()
            window = self._limits.bound(leased.reset, leased.plan, now)
            if freeze is None and window is not None and not window.is_open:
                log.info(
                    "reset.held-back", window=window.opening.name, until=window.opening.opens.isoformat()
                )
                await back_to_queue(leased, waits_for_window(window.opening, now))
                return True
        if freeze is None:
            return False
        log.info("reset.held-back", freeze=freeze.id, by=freeze.given_by, until=freeze.expires_at.isoformat())
        await back_to_queue(leased, waits_for_freeze(freeze, self._clock.now()))
        return True

    async def _pause(self, freeze: Freeze) -> bool:
        log.warning("reset.paused", freeze=freeze.id, by=freeze.given_by, until=freeze.expires_at.isoformat())
        waiting = waits_for_freeze(freeze, self._clock.now())
        await self._leased.commit(ResetUpdate(waiting_for=waiting), trigger=Trigger.PAUSE)
        return True
