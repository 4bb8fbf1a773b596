"""`paused`: a freeze that said `now` stopped the reset between steps, and it keeps its locks until that is over."""

from __future__ import annotations

from daemon.engine.leased_reset import LeasedReset
from daemon.engine.restraints import Restraints
from daemon.engine.states.holding_back import LOOK_AGAIN, waits_for_freeze
from daemon.engine.states.waiting import Pause
from statemachines.freezes import concerned
from statemachines.lifecycle import Trigger
from statemachines.reset_update import ResetUpdate
from statemachines.steps.progress import to_run_again
from statemachines.steps.resuming import to_repeat


class PausedState:
    """Leads to `queued` once no freeze pauses the reset any more; an act leads elsewhere."""

    def __init__(self, leased: LeasedReset, restraints: Restraints) -> None:
        self._leased = leased
        self._restraints = restraints

    async def run(self) -> Pause | None:
        """Wait. Afterwards facts, dumps and handshakes are looked at again: people may have worked there meanwhile."""
        leased = self._leased
        freeze = await self._restraints.pausing(concerned(leased.reset.environment, leased.plan))
        if freeze is not None:
            return Pause(waits_for_freeze(freeze), LOOK_AGAIN)
        again = to_repeat(leased.plan, leased.steps) if leased.plan is not None else ()
        await leased.commit(
            ResetUpdate(waiting_for=None),
            trigger=Trigger.GO_ON,
            steps=[to_run_again(leased.steps[name]) for name in again],
        )
        return None
