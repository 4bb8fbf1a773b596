"""Drives one claimed reset through its life cycle, until it is at rest or has to wait.

1. The core says what may follow what, ports touch the world, and each change is a compare-and-set.
2. Being killed at any line is nothing special: the next claim starts from the stored row, finds the open attempts, and
   takes them up.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import structlog

from daemon.engine.drive import Drive, DriveFactory
from daemon.engine.leased_reset import LeaseDeadline, LeasedReset
from daemon.engine.states.waiting import Pause, waiting_since
from daemon.ports.clock import Clock
from daemon.ports.errors import LeaseLostError, PortError
from daemon.ports.store.leases import LONGEST_SLEEP, Claimed
from schemas.reasons import Reason
from schemas.resets import ResetState, Waiting
from statemachines.lifecycle import AT_REST, Trigger
from statemachines.reset_update import ResetUpdate

log = structlog.get_logger()

POISON = 3
"""Claims in a row without progress, after which a person has to look."""
RETRY_PAUSE = 5.0
"""Seconds until a reset is claimed again whose drive met an error that may pass."""


class Driver:
    """One for each daemon; `drive` is called once for each claim."""

    def __init__(self, drives: DriveFactory, clock: Clock) -> None:
        self._drives = drives
        self._clock = clock

    async def drive(self, claimed: Claimed, deadline: LeaseDeadline) -> None:
        """Drive until the reset is at rest or waits, or its lease is lost.

        A cancelled drive lets its lease go, and leaves commands running for the next claim.
        """
        leased = self._drives.lease(claimed, deadline)
        bound = structlog.contextvars.bind_contextvars(
            reset=leased.reset.id, environment=leased.reset.environment
        )
        try:
            await self._drive(leased)
        except LeaseLostError:
            log.warning("driver.lease-lost")
        except PortError as error:
            log.warning("driver.interrupted", reason=error.reason.value, detail=error.detail)
            await self._let_go(leased, Pause(Waiting(reason="retry", detail=error.detail), RETRY_PAUSE))
        except asyncio.CancelledError:
            await asyncio.shield(self._let_go(leased, None))
            raise
        finally:
            structlog.contextvars.reset_contextvars(**bound)

    async def _drive(self, leased: LeasedReset) -> None:
        if leased.reset.claims_without_progress >= POISON and leased.reset.state not in AT_REST:
            await _call_person(leased)
        async with AsyncExitStack() as proofs:
            drive = self._drives.open(leased, proofs)
            pause = await self._run_states(drive)
            await self._let_go(leased, pause)

    async def _run_states(self, drive: Drive) -> Pause | None:
        """Run state after state. The answer is a pause, or None once the reset is at rest."""
        leased, shown = drive.leased, None
        while True:
            await drive.apply_acts()
            state = leased.reset.state
            if state in AT_REST:
                return None
            if state is not shown and leased.reset.waiting_for is None:
                shown = state
                log.info("driver.state", state=state.value)
            if state not in drive.states:
                raise RuntimeError(f"nothing drives {state.value}")
            pause = await drive.states[state]()
            if pause is not None:
                return pause

    async def _let_go(self, leased: LeasedReset, pause: Pause | None) -> None:
        """Give the lease back, saying when to look again."""
        wake_at = None
        waiting = leased.reset.waiting_for
        if pause is not None:
            now = self._clock.now()
            wake_at = now + min(timedelta(seconds=pause.seconds), LONGEST_SLEEP)
            since = waiting_since(leased.reset, pause.waiting.reason, now)
            waiting = pause.waiting.model_copy(update={"since": since})
        try:
            await leased.commit(
                ResetUpdate(wake_at=wake_at, waiting_for=waiting),
                release_lease=True,
                release_locks=pause is not None and pause.lets_locks_go,
                tell_again=pause is not None and _waits_for_another(leased, pause.waiting),
            )
        except LeaseLostError:
            log.warning("driver.lease-lost")
        except PortError as error:
            log.warning("driver.lease-left-to-expire", detail=error.detail)


async def _call_person(leased: LeasedReset) -> None:
    await leased.commit(
        ResetUpdate(
            cause=Reason.NO_PROGRESS,
            detail=f"{leased.reset.claims_without_progress} claims in a row ended without one commit",
            hint="The daemon's log says why; then `resetd resume`.",
            stopped_in=leased.reset.state,
        ),
        trigger=Trigger.LOSE,
    )


def _waits_for_another(leased: LeasedReset, waiting: Waiting) -> bool:
    """Whether a queued reset waits for something or somebody that its last status did not name."""
    if leased.reset.state is not ResetState.QUEUED:
        return False
    before = leased.reset.waiting_for
    if before is None:
        return True
    return (before.reason, before.resources, before.held_by) != (
        waiting.reason,
        waiting.resources,
        waiting.held_by,
    )
