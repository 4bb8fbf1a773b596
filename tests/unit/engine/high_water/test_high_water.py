"""Marks come before effects, and few of them serve many."""

from __future__ import annotations

import asyncio
import copy
from contextlib import aclosing

import pytest

from daemon.adapters.system.clock import SystemClock
from daemon.engine.high_water import BehindError, HighWater
from daemon.ports.errors import LeaseLostError, TemporaryError
from schemas.marks import Launch, Mark
from schemas.reasons import Reason
from schemas.wire import AttemptId
from tests.contract.store.making import admitted, asked, different
from tests.memory.marks import MemoryMarks
from tests.memory.store import MemoryStore


def launch(number: int = 1) -> Launch:
    return Launch(attempt=AttemptId(f"reset/seed.a/{number}"), environment="qa-sandbox")


async def kept(store: MemoryStore, marks: MemoryMarks) -> list[Mark]:
    async with aclosing(marks.newest_first(await store.state_id())) as found:
        return [one.mark async for one in found]


class World:
    """A state with marks beside it."""

    def __init__(self, store: MemoryStore | None = None, marks: MemoryMarks | None = None) -> None:
        self.store = store or MemoryStore(SystemClock())
        self.marks = marks or MemoryMarks()
        self.high_water = HighWater(self.store, self.marks, SystemClock())

    def older(self) -> World:
        """Its state as it is now, beside the same marks: what a backup of it is restored to."""
        return World(copy.deepcopy(self.store), self.marks)

    async def goes_on(self, number: int) -> None:
        """A commit, and a launch after it."""
        await admitted(self.store, asked(**different(number)), limit=99)
        await self.high_water.cover(launch(number))


async def test_a_mark_is_at_what_was_committed_before_it_and_names_the_launch() -> None:
    world = World()
    await world.goes_on(1)
    [mark] = await kept(world.store, world.marks)
    assert mark.position == await world.store.position()
    assert mark.launches == (launch(1),)


async def test_many_launches_at_once_share_few_marks_and_each_is_in_one() -> None:
    world = World()
    await admitted(world.store)
    await asyncio.gather(*(world.high_water.cover(launch(number)) for number in range(50)))
    marks = await kept(world.store, world.marks)
    assert len(marks) <= 3
    assert {one for mark in marks for one in mark.launches} == {launch(number) for number in range(50)}


async def test_a_launch_whose_mark_can_not_be_kept_does_not_happen_and_others_are_not_dragged_along() -> None:
    world = World()
    world.marks.answers = False
    results = await asyncio.gather(
        *(world.high_water.cover(launch(number)) for number in range(3)), return_exceptions=True
    )
    assert all(isinstance(one, TemporaryError) for one in results)
    world.marks.answers = True
    await world.high_water.cover(launch(9))
    assert {one for mark in await kept(world.store, world.marks) for one in mark.launches} >= {launch(9)}


async def test_one_that_is_cancelled_leaves_the_others_their_mark() -> None:
    world = World()
    tasks = [asyncio.create_task(world.high_water.cover(launch(number))) for number in range(4)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[1:] == [None, None, None]
    named = {one for mark in await kept(world.store, world.marks) for one in mark.launches}
    assert named >= {launch(number) for number in range(1, 4)}


async def test_an_older_state_stays_one_however_far_it_grows() -> None:
    world = World()
    await world.goes_on(1)
    older = world.older()
    await older.high_water.check()
    await world.goes_on(2)
    for number in range(10, 20):
        await admitted(older.store, asked(**different(number)), limit=99)
        with pytest.raises(BehindError) as behind:
            await older.high_water.check()
        assert behind.value.reason is Reason.STATE_RESTORED
    with pytest.raises(LeaseLostError):
        await older.high_water.cover(launch(3))
    await world.high_water.check()


async def test_a_state_that_launched_nothing_since_the_backup_goes_on() -> None:
    world = World()
    await world.goes_on(1)
    older = world.older()
    await admitted(world.store, asked(**different(2)), limit=99)
    await older.goes_on(3)
    with pytest.raises(BehindError):
        await world.high_water.check()


async def test_two_daemons_on_one_state_do_not_hold_each_other_up() -> None:
    one = World()
    two = World(one.store, one.marks)
    for number in range(1, 9):
        await (one if number % 2 else two).goes_on(number)
    await one.high_water.check()
    await two.high_water.check()


async def test_a_new_state_beside_marks_of_another_is_refused_and_one_beside_none_is_not() -> None:
    await World().high_water.check()
    world = World()
    await world.goes_on(1)
    with pytest.raises(BehindError, match="another state database"):
        await World(marks=world.marks).high_water.check()
