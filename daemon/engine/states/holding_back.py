"""Back to the queue before anything is destroyed: a freeze or the end of a window lies ahead, and may last for days."""

from __future__ import annotations

from datetime import datetime

from daemon.engine.leased_reset import LeasedReset
from schemas.freezes import Freeze
from schemas.resets import Waiting
from statemachines.freezes import sentence
from statemachines.lifecycle import Trigger
from statemachines.reset_update import ResetUpdate
from statemachines.steps.progress import to_run_again
from statemachines.steps.resuming import to_repeat
from statemachines.windows import Opening

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
