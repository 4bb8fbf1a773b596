"""Holders are removed once their reset rests, and not a moment earlier."""

from __future__ import annotations

import pytest
from uuid_utils import uuid7

from daemon.adapters.system.clock import SystemClock
from daemon.engine.high_water import BehindError, HighWater
from daemon.engine.sweepers.holders import HolderSweeper
from daemon.ports.pods.holders import Holder, Need
from schemas.marks import Mark, Position
from schemas.resets import ResetState
from schemas.wire import AttemptId, ResetId
from tests.contract.store.making import ENVIRONMENT, NOW, begun, moved
from tests.memory.marks import MemoryMarks
from tests.memory.pods import MemoryPods
from tests.memory.store import MemoryStore

RESTS = (ResetState.DONE, ResetState.FAILED, ResetState.CANCELLED, ResetState.ROLLED_BACK)
NEEDED = (ResetState.SEEDING, ResetState.CANCELLING, ResetState.QUEUED, ResetState.NEEDS_OPERATOR)


async def hold(pods: MemoryPods, reset: ResetId, number: int = 1) -> None:
    need = Need("app", AttemptId(f"{reset}/seed.app/{number}"), 60)
    await pods.hold(ENVIRONMENT, "app.kubernetes.io/name=app", None, need)


def sweeper(pods: MemoryPods, store: MemoryStore, marks: MemoryMarks | None = None) -> HolderSweeper:
    clock = SystemClock()
    return HolderSweeper(pods, store, clock, HighWater(store, marks or MemoryMarks(), clock))


@pytest.fixture
def pods() -> MemoryPods:
    pods = MemoryPods()
    pods.add(ENVIRONMENT, "app")
    return pods


@pytest.mark.parametrize("state", [*RESTS, *NEEDED])
async def test_a_holder_goes_when_its_reset_rests_unless_it_is_evidence(
    pods: MemoryPods, state: ResetState
) -> None:
    clock = SystemClock()
    store = MemoryStore(clock)
    reset = await store.save(moved(await begun(store), state))
    await hold(pods, reset.id)
    await sweeper(pods, store).sweep()
    assert bool(await pods.holders()) is (state in NEEDED)


class Resumes(MemoryPods):
    """Somebody resumes the reset between the look at its holders and the look at its state."""

    async def holders(self) -> tuple[Holder, ...]:
        listed = await super().holders()
        for one in listed:
            await hold(self, one.reset_id, 2)
        return listed


async def test_a_holder_that_was_used_since_it_was_listed_stays() -> None:
    clock = SystemClock()
    store, pods = MemoryStore(clock), Resumes()
    pods.add(ENVIRONMENT, "app")
    reset = await store.save(moved(await begun(store), ResetState.FAILED))
    await hold(pods, reset.id)
    await sweeper(pods, store).sweep()
    assert len(await pods.holders()) == 1


async def test_a_holder_of_a_reset_that_nobody_knows_stays_until_it_has_ended(pods: MemoryPods) -> None:
    await hold(pods, ResetId(str(uuid7())))
    await sweeper(pods, MemoryStore(SystemClock())).sweep()
    assert len(await pods.holders()) == 1


async def test_nothing_is_removed_by_a_state_that_is_older_than_what_it_launched(pods: MemoryPods) -> None:
    """The reset that rests in it may have been resumed since, and its command may run in the holder."""
    store, marks = MemoryStore(SystemClock()), MemoryMarks()
    await marks.put("another state", Mark(position=Position(number=7, digest="07"), at=NOW, launches=()))
    reset = await store.save(moved(await begun(store), ResetState.FAILED))
    await hold(pods, reset.id)
    with pytest.raises(BehindError):
        await sweeper(pods, store, marks).sweep()
    assert len(await pods.holders()) == 1
