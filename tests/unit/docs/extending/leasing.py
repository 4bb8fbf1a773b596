"""Resets of a store in memory, claimed again and again as daemons claim them that come and go."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from daemon.config.catalog_file import load_catalog
from daemon.engine.acts import Acts
from daemon.engine.commands.recorded_output import RecordedOutput
from daemon.engine.commands.termination import Termination
from daemon.engine.commands.unresolved import UnresolvedAttempts
from daemon.engine.high_water import HighWater
from daemon.engine.leased_reset import LeaseDeadline, LeasedReset
from daemon.metrics import Metrics
from schemas.plan import Plan
from schemas.resets import ResetState, Step
from schemas.wire import ResetId
from tests.contract.store.making import begun, moved
from tests.memory.launch_guards import no_database_work
from tests.memory.logs import MemoryLogs
from tests.memory.marks import MemoryMarks
from tests.memory.pods import MemoryPods
from tests.memory.store import MemoryStore
from tests.unit.engine.drives.loop import LoopClock

TTL = 60.0


@dataclass
class Leasing:
    """A store with its marks, which outlive every daemon."""

    clock: LoopClock = field(default_factory=LoopClock)
    marks: MemoryMarks = field(default_factory=MemoryMarks)
    logs: MemoryLogs = field(default_factory=MemoryLogs)

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock)
        self.high_water = HighWater(self.store, self.marks, self.clock)
        self.pods = MemoryPods()
        self.termination = Termination(self.pods, self.logs, self.clock, no_database_work)

    async def stored(self, state: ResetState, plan: Plan, **fields: object) -> ResetId:
        """A reset in that state with all of the plan's steps to do, in nobody's hands."""
        found = await begun(self.store)
        reset = found.reset.model_copy(update={"plan_hash": plan.hash, **fields})
        steps = tuple(Step(name=step.name, index=index) for index, step in enumerate(plan.steps))
        found = found.__class__(reset, found.lease, None, (), (), ())
        await self.store.save(moved(found, state, plan=plan, steps=steps, release_lease=True))
        return reset.id

    async def claimed(self, reset_id: ResetId, *, seconds_ago: float = 0.0) -> LeasedReset:
        """The reset in the hands of a new daemon, which asked for its lease so many seconds ago."""
        [claimed] = await self.store.seize("one", [reset_id], ttl=TTL)
        asked_at = asyncio.get_running_loop().time() - seconds_ago
        return LeasedReset(claimed, LeaseDeadline(TTL, asked_at=asked_at), self.store, self.clock, Metrics())

    async def apply_acts(self, leased: LeasedReset) -> None:
        """Let the holder answer the acts that await an answer."""
        output = RecordedOutput(leased, self.pods)
        acts = Acts(self.store, self.clock, load_catalog().catalog)
        await acts.apply(leased, UnresolvedAttempts(leased, self.termination, output))
