"""Acts: appended by anyone, read by the lease holder, never lost where they come before their request."""

from __future__ import annotations

import asyncio

import pytest

from daemon.ports.errors import PermanentError
from daemon.ports.store.store import Store
from schemas.intake import Deprovision, NewAct
from schemas.reasons import Reason
from schemas.resets import ActKind, Channel, ResetState
from schemas.wire import ResetId
from tests.contract.store.conftest import Opener
from tests.contract.store.making import (
    NOBODY,
    NOW,
    act,
    act_by_event,
    admitted,
    asked,
    begun,
    different,
    moved,
    taken,
)


async def test_an_act_is_read_by_the_next_claim_and_by_the_holder(store: Store) -> None:
    reset = await admitted(store)
    first = await store.append_act(act(reset.id))
    [found] = await store.claim("one", ttl=30, limit=1, excluding=NOBODY)
    second = await store.append_act(act(reset.id, ActKind.DENY))
    assert found.acts == (first,)
    assert await store.unread_acts(reset.id, first.id) == (second,)
    assert await store.unread_acts(reset.id, 0) == (first, second)


async def test_an_act_wakes_a_reset_at_rest_until_it_was_read(store: Store) -> None:
    found = await begun(store)
    await store.save(moved(found, ResetState.FAILED, release_lease=True))
    assert await store.claim("one", ttl=30, limit=1, excluding=NOBODY) == ()
    stored = await store.append_act(act(found.reset.id, ActKind.RESUME))
    [again] = await store.claim("two", ttl=30, limit=1, excluding=NOBODY)
    assert again.acts == (stored,)
    seen = again.reset.model_copy(update={"acts_seen": stored.id})
    change = moved(again.__class__(seen, again.lease, None, (), (), ()), release_lease=True)
    await store.save(change)
    assert await store.claim("one", ttl=30, limit=1, excluding=NOBODY) == ()


async def test_an_act_has_the_last_status_of_its_reset_from_before_it(store: Store) -> None:
    found = await begun(store)
    before = await store.append_act(act(found.reset.id, ActKind.RESUME))
    stopped = await store.save(moved(found, ResetState.FAILED, release_lease=True))
    after = await store.append_act(act(found.reset.id, ActKind.RESUME))
    unread = await store.unread_acts(found.reset.id, 0)
    assert [stored.last_status for stored in unread] == [found.reset.sequence, stopped.sequence]
    assert unread == (before, after)


async def test_an_act_for_no_reset_is_refused(store: Store) -> None:
    with pytest.raises(PermanentError) as refused:
        await store.append_act(act("01a20abd-c8d6-7418-a154-641150cb967e"))
    assert refused.value.reason is Reason.UNKNOWN_RESET


async def test_ids_of_acts_grow_in_the_order_of_visibility(another: Opener) -> None:
    stores = [another(), another()]
    reset = await admitted(stores[0])
    seen: list[int] = []
    done = asyncio.Event()

    async def watch() -> None:
        while not done.is_set() or await stores[1].unread_acts(reset.id, seen[-1] if seen else 0):
            seen.extend(
                appended.id for appended in await stores[1].unread_acts(reset.id, seen[-1] if seen else 0)
            )
            await asyncio.sleep(0)

    watching = asyncio.ensure_future(watch())
    appended = await asyncio.gather(*(stores[number % 2].append_act(act(reset.id)) for number in range(30)))
    done.set()
    await watching
    assert seen == sorted(stored.id for stored in appended)


async def test_an_act_that_comes_before_its_request_waits_for_it(store: Store) -> None:
    await taken(store, act_by_event("late"), first=0)
    assert await store.claim("one", ttl=30, limit=1, excluding=NOBODY) == ()
    await taken(store, asked(event="late"), first=1)
    [found] = await store.claim("one", ttl=30, limit=1, excluding=NOBODY)
    assert [(stored.kind, stored.reset_id) for stored in found.acts] == [(ActKind.CANCEL, found.reset.id)]


async def test_an_act_in_the_batch_of_its_request_is_bound_before_or_after_it(store: Store) -> None:
    await taken(
        store, act_by_event("one", own="before"), asked(event="one"), act_by_event("one", own="after")
    )
    [found] = await store.claim("one", ttl=30, limit=1, excluding=NOBODY)
    assert len(found.acts) == 2


async def test_an_act_by_idempotency_key_finds_its_reset_sooner_or_later(store: Store) -> None:
    by_event = act(channel=Channel.KAFKA)
    by_key = NewAct(by_event, "qa-sandbox", idempotency_key="k", source="/acts", event_id="1")
    await taken(store, by_key, first=0)
    reset = await admitted(store, asked(idempotency_key="k"))
    await taken(
        store, NewAct(by_event, "qa-sandbox", idempotency_key="k", source="/acts", event_id="2"), first=1
    )
    assert len(await store.unread_acts(reset.id, 0)) == 2


async def test_an_act_by_id_is_appended_once_however_often_its_event_comes(store: Store) -> None:
    reset = await admitted(store)
    new = NewAct(act(reset.id), "qa-sandbox", source="/acts", event_id="1")
    await taken(store, new, new, first=0)
    await taken(store, new, first=2)
    assert len(await store.unread_acts(reset.id, 0)) == 1


async def test_an_act_that_says_another_environment_than_its_resets_is_not_applied(store: Store) -> None:
    reset = await admitted(store, asked(event="one"))
    await taken(
        store,
        act_by_event("one", environment="other-sandbox"),
        NewAct(act(reset.id), "other-sandbox", source="/acts", event_id="2"),
    )
    assert await store.unread_acts(reset.id, 0) == ()


async def test_an_act_of_the_holders_own_reading_does_not_change_the_reset(store: Store) -> None:
    found = await begun(store)
    await store.append_act(act(found.reset.id))
    saved = await store.save(moved(found, ResetState.QUEUED))
    assert (saved.acts_seen, saved.version) == (0, 1)


async def test_deprovisioning_cancels_what_waits_for_that_environment_only(store: Store) -> None:
    running = await begun(store, **different(1))
    await store.save(moved(running, ResetState.SEEDING))
    waiting = await admitted(store, asked(**different(2)), limit=9)
    other = await admitted(store, asked("other-sandbox"))
    gone = Deprovision("qa-sandbox", "pipeline", "/provisioning", "gone-1", NOW)
    newest = asked(**different(3))
    await taken(store, newest, gone, gone, limit=9)
    for reset_id, count in ((running.reset.id, 0), (waiting.id, 1), (newest.id, 1), (other.id, 0)):
        acts = await store.unread_acts(ResetId(reset_id), 0)
        assert len(acts) == count
        assert all((stored.kind, stored.channel) == (ActKind.CANCEL, Channel.PROVISIONING) for stored in acts)


async def test_d5_an_act_keeps_whether_its_actor_has_the_right_only_as_the_requester(store: Store) -> None:
    reset = await admitted(store)
    for right in (True, False):
        await store.append_act(act(reset.id).model_copy(update={"as_requester": right}))
    assert [one.as_requester for one in await store.unread_acts(reset.id, 0)] == [True, False]
