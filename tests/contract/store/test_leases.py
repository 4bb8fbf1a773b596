"""Leases: one holder at a time, by the database's clock; the fence keeps the former ones out."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from daemon.ports.errors import LeaseLostError
from daemon.ports.store.leases import Change
from daemon.ports.store.store import Store
from schemas.resets import Act, ActKind, Channel, ResetState
from tests.contract.store.conftest import Opener
from tests.contract.store.making import (
    NOBODY,
    admitted,
    asked,
    begun,
    claimed,
    different,
    eventually,
    moved,
)


async def test_a_claimed_reset_is_not_claimed_again_while_its_lease_lasts(store: Store) -> None:
    await begun(store)
    assert await store.claim("two", ttl=30, limit=1, excluding=NOBODY) == ()


async def test_a_lease_that_ran_out_is_claimed_with_a_higher_fence(store: Store) -> None:
    reset = await admitted(store)
    first = await claimed(store, reset.id, owner="one", ttl=0.05)
    [second] = await eventually(lambda: store.claim("two", ttl=30, limit=1, excluding=NOBODY))
    assert second.lease.fence > first.lease.fence
    assert second.reset.fence == second.lease.fence
    with pytest.raises(LeaseLostError):
        await store.save(moved(first, ResetState.QUEUED))
    await store.save(moved(second, ResetState.QUEUED))


async def test_renewing_keeps_a_lease_and_says_which_are_lost(store: Store) -> None:
    lost = await claimed(store, (await admitted(store)).id, ttl=0.01)
    again = await eventually(lambda: store.claim("two", ttl=30, limit=1, excluding=NOBODY))
    kept = await begun(store, "other-sandbox")
    assert len(again) == 1
    assert await store.renew([lost.lease, kept.lease], ttl=30) == {kept.reset.id}
    assert await store.renew([], ttl=30) == frozenset()


async def test_a_lease_that_ran_out_and_was_not_taken_can_be_renewed_and_written_under(store: Store) -> None:
    found = await claimed(store, (await admitted(store)).id, ttl=0)
    assert await store.renew([found.lease], ttl=30) == {found.reset.id}
    assert await store.claim("two", ttl=30, limit=1, excluding=NOBODY) == ()


async def test_a_released_lease_is_free_at_once_and_its_former_holder_is_out(store: Store) -> None:
    found = await begun(store)
    saved = await store.save(moved(found, ResetState.QUEUED, release_lease=True))
    assert await store.renew([found.lease], ttl=30) == frozenset()
    with pytest.raises(LeaseLostError):
        await store.save(Change(reset=saved, lease=found.lease))
    assert len(await store.claim("two", ttl=30, limit=1, excluding=NOBODY)) == 1


async def test_a_reset_that_sleeps_is_claimed_when_its_time_comes(store: Store) -> None:
    late, early = await begun(store, "other-sandbox"), await begun(store, "qa-sandbox")
    soon = datetime.now(UTC) + timedelta(seconds=0.3)
    for found, wake_at in ((late, soon + timedelta(minutes=9)), (early, soon)):
        sleeping = found.reset.model_copy(update={"wake_at": wake_at})
        await store.save(Change(reset=sleeping, lease=found.lease, release_lease=True))
    [woken] = await eventually(lambda: store.claim("two", ttl=30, limit=5, excluding=NOBODY))
    assert datetime.now(UTC) >= soon
    assert woken.reset.environment == "qa-sandbox"


async def test_a_holder_whose_clock_was_wrong_puts_nothing_to_sleep_for_long(store: Store) -> None:
    found = await begun(store)
    tomorrow = found.reset.model_copy(update={"wake_at": datetime.now(UTC) + timedelta(days=1)})
    await store.save(Change(reset=tomorrow, lease=found.lease, release_lease=True))
    [woken] = await store.claim("two", ttl=30, limit=5, excluding=NOBODY)
    assert woken.reset.id == found.reset.id


@pytest.mark.parametrize("state", [ResetState.DONE, ResetState.FAILED, ResetState.NEEDS_OPERATOR])
async def test_a_reset_at_rest_is_claimed_only_if_it_asked_to_be_woken(
    store: Store, state: ResetState
) -> None:
    found = await begun(store)
    saved = await store.save(moved(found, state, release_lease=True))
    assert await store.claim("two", ttl=30, limit=1, excluding=NOBODY) == ()
    other = await begun(store, "other-sandbox")
    woken = other.reset.model_copy(update={"state": state, "wake_at": saved.updated_at})
    await store.save(Change(reset=woken, lease=other.lease, release_lease=True))
    [again] = await store.claim("two", ttl=30, limit=5, excluding=NOBODY)
    assert again.reset.id == other.reset.id


async def test_who_is_due_longest_is_claimed_first_so_that_those_who_look_each_second_starve_nobody(
    store: Store,
) -> None:
    older, younger = await begun(store, "other-sandbox"), await begun(store, "qa-sandbox")
    now = datetime.now(UTC)
    for found, due in ((older, now - timedelta(seconds=1)), (younger, now - timedelta(seconds=5))):
        waiting = found.reset.model_copy(update={"wake_at": due})
        await store.save(Change(reset=waiting, lease=found.lease, release_lease=True))
    claims = [await store.claim("two", ttl=30, limit=1, excluding=NOBODY) for _ in range(2)]
    assert [found.reset.id for (found,) in claims] == [younger.reset.id, older.reset.id]


async def test_who_is_asked_something_is_claimed_before_those_who_wait(store: Store) -> None:
    waiting, asleep = await begun(store, "other-sandbox"), await begun(store, "qa-sandbox")
    now = datetime.now(UTC)
    for found, due in ((waiting, now - timedelta(seconds=60)), (asleep, now + timedelta(minutes=9))):
        paused = found.reset.model_copy(update={"wake_at": due})
        await store.save(Change(reset=paused, lease=found.lease, release_lease=True))
    await store.append_act(
        Act(
            reset_id=asleep.reset.id,
            kind=ActKind.CANCEL,
            actor="oli",
            channel=Channel.HTTP,
            reason="not today",
            at=now,
        )
    )
    claims = [await store.claim("two", ttl=30, limit=1, excluding=NOBODY) for _ in range(2)]
    assert [found.reset.id for (found,) in claims] == [asleep.reset.id, waiting.reset.id]


async def test_the_oldest_are_claimed_first_up_to_the_limit_and_without_the_excluded(store: Store) -> None:
    made = [await admitted(store, asked(**different(number)), limit=9) for number in range(4)]
    found = await store.claim("one", ttl=30, limit=2, excluding=frozenset({made[0].id}))
    assert [claim.reset.id for claim in found] == [made[1].id, made[2].id]


async def test_concurrent_claims_never_give_one_reset_twice(another: Opener) -> None:
    stores = [another() for _ in range(4)]
    made = [await admitted(stores[0], asked(**different(number)), limit=99) for number in range(20)]

    async def claim_all(number: int) -> list[str]:
        mine: list[str] = []
        while found := await stores[number].claim(f"owner-{number}", ttl=60, limit=2, excluding=NOBODY):
            mine += [claim.reset.id for claim in found]
        return mine

    async def until_all_are_claimed() -> list[str]:
        # A claim skips rows that another one is looking at: empty-handed does not mean that nothing is due.
        every: list[str] = []
        while len(every) < len(made):
            rounds = await asyncio.gather(*(claim_all(number) for number in range(4)))
            every += [reset_id for mine in rounds for reset_id in mine]
        return every

    every = await asyncio.wait_for(until_all_are_claimed(), 30)
    assert sorted(every) == sorted(reset.id for reset in made)


async def test_claims_without_a_commit_between_them_are_counted(store: Store) -> None:
    reset = await admitted(store)
    counts = [(await claimed(store, reset.id, ttl=0)).reset.claims_without_progress for _ in range(3)]
    last = await claimed(store, reset.id, ttl=0)
    saved = await store.save(moved(last, ResetState.QUEUED))
    after = await claimed(store, reset.id)
    assert counts == [0, 1, 2]
    assert (saved.claims_without_progress, after.reset.claims_without_progress) == (0, 0)


async def test_all_leases_can_be_released_at_once(store: Store) -> None:
    await begun(store)
    await begun(store, "other-sandbox")
    assert await store.release_all() == 2
    assert len(await store.claim("two", ttl=30, limit=5, excluding=NOBODY)) == 2
    assert await store.release_all() == 2
    assert await store.release_all() == 0
