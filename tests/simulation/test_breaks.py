"""A simulation that can't fail shows nothing: where one guard is taken away it finds what the guard prevents."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize

from daemon.ports.pods.commands import Tombstone
from daemon.ports.store.leases import Change, Lease, LockAnswer
from daemon.ports.store.restraints import StandingFreeze, StandingHold
from schemas.freezes import Freeze
from schemas.holds import KeptHold
from schemas.resets import Control, Reset
from schemas.wire import ResourceKey
from tests.memory.pods import MemoryPods
from tests.memory.store import MemoryStore
from tests.simulation.history import History
from tests.simulation.machine import INDEX, Simulation
from tests.simulation.running import simulate
from tests.simulation.world.platform import ENVIRONMENTS

WITHIN = 300
"""Histories in which each has to be found."""


class StoreWithoutComparing(MemoryStore):
    """Whoever writes last is right: neither owner, fence nor version is compared."""

    async def save(self, change: Change) -> Reset:
        entry = self.state.entries[change.reset.id]
        entry.owner = entry.owner or change.lease.owner
        lease = Lease(change.lease.reset_id, entry.owner, entry.reset.fence)
        told = change.reset.sequence - len(change.history)
        entry.reset = entry.reset.model_copy(update={"version": change.reset.version, "sequence": told})
        return await super().save(replace(change, lease=lease))


class StoreWithoutLocks(MemoryStore):
    """Everybody gets every lock at once."""

    async def lock(
        self, lease: Lease, keys: Sequence[ResourceKey], *, concerns: Collection[str] = ()
    ) -> LockAnswer:
        return replace(await super().lock(lease, keys, concerns=concerns), granted=True)


class StoreWithEverlastingConsents(MemoryStore):
    """An approval that was spent counts again."""

    async def save(self, change: Change) -> Reset:
        kept = tuple(each.model_copy(update={"spent": False}) for each in change.reset.approvals)
        return await super().save(replace(change, reset=change.reset.model_copy(update={"approvals": kept})))


class StoreWithoutFreezes(MemoryStore):
    """Nobody sees that somebody froze an environment."""

    async def freezes(self) -> tuple[StandingFreeze, ...]:
        return ()

    def _stopping(self, change: Change) -> Freeze | None:  # noqa: ARG002 - as the store has it
        return None


class StoreWithoutHolds(MemoryStore):
    """Nobody sees that a person has the locks."""

    async def holds(self) -> tuple[StandingHold, ...]:
        return ()

    def _keeping_away(
        self,
        environments: Collection[str],  # noqa: ARG002 - as the store has it
        keys: Collection[ResourceKey],  # noqa: ARG002
    ) -> KeptHold | None:
        return None


class PodsWithoutTombstones(MemoryPods):
    """What was given up may start all the same."""

    async def give_up(self, control: Control) -> Tombstone:
        _, command = self._command(control)
        return Tombstone.TOO_LATE if command.started else Tombstone.PLACED


class NotComparing(Simulation):
    def begin(self, seed: int, workers: int) -> History:
        return History(seed, workers=workers, store_of=StoreWithoutComparing)


class NotLocking(Simulation):
    def begin(self, seed: int, workers: int) -> History:
        return History(seed, workers=workers, store_of=StoreWithoutLocks)


class NotSpending(Simulation):
    """Each history begins with a consent that may come to be spent."""

    @initialize(seed=st.integers(0, 2**32 - 1), workers=st.integers(2, 3), mode=INDEX)
    def begins(self, seed: int, workers: int, mode: int) -> None:
        self.history = History(seed, workers=workers, store_of=StoreWithEverlastingConsents)
        self.a_production_is_asked_for_and_agreed_to(mode=mode, seconds=30.0)


class _HeldBack(Simulation):
    """Each history begins with somebody who holds everything back, and then somebody asks."""

    holds = False

    @initialize(seed=st.integers(0, 2**32 - 1), workers=st.integers(2, 3), environment=INDEX, mode=INDEX)
    def begins(self, seed: int, workers: int, environment: int, mode: int) -> None:
        self.history = self.begin(seed, workers)
        if self.holds:
            for name in ENVIRONMENTS:
                self.history.hold(name, "oli", 600.0, after=False)
        else:
            self.history.freeze(None, 600.0)
        self.history.pass_time(5.0)
        self.asked_by_event(environment=environment, mode=mode, who=0, git=True, turns=60)


class NotFreezing(_HeldBack):
    def begin(self, seed: int, workers: int) -> History:
        return History(seed, workers=workers, store_of=StoreWithoutFreezes)


class NotHolding(_HeldBack):
    holds = True

    def begin(self, seed: int, workers: int) -> History:
        return History(seed, workers=workers, store_of=StoreWithoutHolds)


class WithoutTombstones(Simulation):
    def begin(self, seed: int, workers: int) -> History:
        return History(seed, workers=workers, pods_of=lambda: PodsWithoutTombstones(idle=2.0))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("machine", "found", "start"),
    [
        (NotComparing, "told|called|started|held", 1),
        (NotLocking, "while .* held", 1),
        (NotFreezing, "was recorded while .* frozen", 1),
        (NotHolding, "although .* held", 1),
        (NotSpending, "of [12] approvals of", 1),
        # From 1 on it is found, too, in a hundred times as many seconds.
        (WithoutTombstones, "was started", 3),
    ],
)
def test_without_one_guard_the_simulation_finds_a_violation(
    machine: type[Simulation], found: str, start: int
) -> None:
    with pytest.raises(AssertionError, match=found):
        simulate(machine, WITHIN, start=start, shrink=False)
