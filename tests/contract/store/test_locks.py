"""Locks on resources: all or none, first come first served, whoever the environment is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from daemon.ports.errors import LeaseLostError
from daemon.ports.store.leases import Change, Claimed
from daemon.ports.store.store import Store
from schemas.resets import ResetState
from schemas.wire import ResourceKey
from tests.contract.store.conftest import Opener
from tests.contract.store.making import begun, different, moved

A, B, C = (ResourceKey(f"database/7/{name}") for name in "abc")


async def let_go(store: Store, found: Claimed, *, keep_lease: bool = True) -> Claimed:
    reset = await store.find(found.reset.id)
    assert reset is not None
    change = Change(reset=reset, lease=found.lease, release_locks=True, release_lease=not keep_lease)
    return Claimed(await store.save(change), found.lease, None, (), (), ())


async def test_free_resources_are_granted_together_and_again_when_asked_again(store: Store) -> None:
    found = await begun(store)
    first = await store.lock(found.lease, [B, A])
    again = await store.lock(found.lease, [A, B, A])
    assert first.granted
    assert again == first
    rows = await store.locks()
    assert [(row.key, row.reset_id, row.environment, row.granted) for row in rows] == [
        (A, found.reset.id, "qa-sandbox", True),
        (B, found.reset.id, "qa-sandbox", True),
    ]
    reset = await store.find(found.reset.id)
    assert reset is not None
    assert reset.ticket == first.ticket


async def test_none_is_granted_while_one_is_held_by_another_environment(store: Store) -> None:
    one, two = await begun(store), await begun(store, "other-sandbox")
    await store.lock(one.lease, [A])
    answer = await store.lock(two.lease, [A, B])
    assert (answer.granted, answer.resources, answer.held_by) == (False, (A,), (one.reset.id,))
    assert [(row.key, row.granted) for row in await store.locks()] == [(A, True), (A, False), (B, False)]


async def test_who_came_first_is_served_first_although_a_later_one_could_start(store: Store) -> None:
    one, two, three = [await begun(store, **different(number)) for number in range(3)]
    await store.lock(one.lease, [A])
    await store.lock(two.lease, [A, B])
    late = await store.lock(three.lease, [B])
    assert (late.granted, late.held_by, late.resources) == (False, (two.reset.id,), (B,))
    await let_go(store, one)
    assert not (await store.lock(three.lease, [B])).granted
    assert (await store.lock(two.lease, [A, B])).granted
    await let_go(store, two)
    assert (await store.lock(three.lease, [B])).granted


async def test_who_shares_nothing_does_not_wait(store: Store) -> None:
    one, two = await begun(store), await begun(store, "other-sandbox")
    assert (await store.lock(one.lease, [A])).granted
    assert (await store.lock(two.lease, [B])).granted


async def test_a_ticket_stays_while_it_waits_and_is_new_after_letting_go(store: Store) -> None:
    one, two = await begun(store), await begun(store, "other-sandbox")
    await store.lock(one.lease, [A])
    waiting = await store.lock(two.lease, [A])
    assert (await store.lock(two.lease, [A, B])).ticket == waiting.ticket
    saved = await store.save(moved(two, ResetState.QUEUED))
    assert saved.ticket == waiting.ticket
    freed = await let_go(store, two)
    assert freed.reset.ticket is None
    assert (await store.lock(two.lease, [A])).ticket > waiting.ticket


async def test_other_keys_are_asked_for_all_or_none_and_the_former_let_go(store: Store) -> None:
    one, two = await begun(store), await begun(store, "other-sandbox")
    await store.lock(one.lease, [A])
    await store.lock(two.lease, [B])
    answer = await store.lock(one.lease, [A, B])
    assert (answer.granted, answer.held_by) == (False, (two.reset.id,))
    assert [(row.key, row.granted) for row in await store.locks() if row.reset_id == one.reset.id] == [
        (A, False),
        (B, False),
    ]
    assert (await store.lock(one.lease, [A, C])).granted
    assert {row.key for row in await store.locks() if row.reset_id == one.reset.id} == {A, C}


async def test_no_keys_are_granted_at_once(store: Store) -> None:
    found = await begun(store)
    assert (await store.lock(found.lease, [])).granted


async def test_a_lost_lease_gets_no_locks(store: Store) -> None:
    found = await begun(store)
    await let_go(store, found, keep_lease=False)
    with pytest.raises(LeaseLostError):
        await store.lock(found.lease, [A])
    assert await store.locks() == ()


async def test_of_many_that_ask_at_once_one_is_granted_and_the_others_stand_in_line(another: Opener) -> None:
    stores = [another(), another(), another()]
    found = [await begun(stores[0], **different(number)) for number in range(9)]
    wanted: Sequence[Sequence[ResourceKey]] = [(A, B), (B, A), (A, C)]
    answers = await asyncio.gather(
        *(stores[place % 3].lock(claim.lease, wanted[place % 3]) for place, claim in enumerate(found))
    )
    granted = [answer for answer in answers if answer.granted]
    assert len(granted) == 1
    assert sorted(answer.ticket for answer in answers) == list(range(1, 10))
    assert granted[0].ticket == 1


async def test_who_asks_for_other_keys_and_who_is_next_on_them_do_not_both_get_them(another: Opener) -> None:
    stores = [another(), another()]
    for number in range(4):
        holder, wider, next_one = [
            await begun(stores[0], **different(10 * number + place)) for place in range(3)
        ]
        await stores[0].lock(holder.lease, [A, B])
        await stores[0].lock(wider.lease, [A])
        await stores[0].lock(next_one.lease, [B])
        await let_go(stores[0], holder)
        both = await asyncio.gather(stores[1].lock(next_one.lease, [B]), stores[0].lock(wider.lease, [A, B]))
        assert [answer.granted for answer in both].count(True) == 1
        await let_go(stores[0], wider)
        await let_go(stores[0], next_one)


async def test_locks_go_round_in_the_order_of_their_tickets(another: Opener) -> None:
    stores = [another(), another()]
    found = [await begun(stores[0], **different(number)) for number in range(4)]
    order = [(await stores[0].lock(claim.lease, [A])).ticket for claim in found]
    served: list[int] = []

    async def serve(place: int) -> None:
        store = stores[place % 2]
        while not (answer := await store.lock(found[place].lease, [A])).granted:  # noqa: ASYNC110 - as the engine does
            await asyncio.sleep(0.01)
        served.append(answer.ticket)
        await let_go(store, found[place])

    await asyncio.wait_for(asyncio.gather(*(serve(place) for place in reversed(range(4)))), 30)
    assert served == order


async def test_a_later_holder_of_one_resource_supersedes(store: Store) -> None:
    one, two, three = [await begun(store, **different(number)) for number in range(3)]
    await store.lock(one.lease, [A, B])
    assert await store.superseded_by(one.reset.id) is None
    await let_go(store, one)
    assert await store.superseded_by(one.reset.id) is None
    await store.lock(two.lease, [C])
    assert await store.superseded_by(one.reset.id) is None
    await store.lock(three.lease, [B])
    assert await store.superseded_by(one.reset.id) == three.reset.id
    assert await store.superseded_by(three.reset.id) is None


async def test_who_shared_nothing_but_a_workload_does_not_supersede(store: Store) -> None:
    one, two = [await begun(store, **different(number)) for number in range(2)]
    workload = ResourceKey("workload/qa-sandbox/Deployment/app")
    await store.lock(one.lease, [A, workload])
    await let_go(store, one)
    await store.lock(two.lease, [B, workload])
    assert await store.superseded_by(one.reset.id) is None


async def test_who_only_waited_does_not_supersede(store: Store) -> None:
    one, two = [await begun(store, **different(number)) for number in range(2)]
    await store.lock(one.lease, [A])
    await store.lock(two.lease, [A])
    await let_go(store, two)
    await let_go(store, one)
    assert await store.superseded_by(one.reset.id) is None


async def test_that_somebody_was_there_meanwhile_is_still_seen_when_the_lock_is_held_again(
    store: Store,
) -> None:
    one, two = [await begun(store, **different(number)) for number in range(2)]
    await store.lock(one.lease, [A])
    await let_go(store, one)
    await store.lock(two.lease, [A])
    await let_go(store, two)
    await store.lock(one.lease, [A])
    assert await store.superseded_by(one.reset.id) == two.reset.id
    await let_go(store, one)
    assert await store.superseded_by(one.reset.id) is None
    assert await store.superseded_by(two.reset.id) == one.reset.id
