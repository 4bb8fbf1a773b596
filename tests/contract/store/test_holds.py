"""A person's hold takes an environment's locks: no reset gets them, and no running reset loses them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from uuid_utils import uuid7

from daemon.ports.store.restraints import HoldAnswer
from daemon.ports.store.store import Store
from schemas.audit import AuditAction
from schemas.holds import Hold
from schemas.records import Message
from schemas.wire import ResourceKey
from tests.contract.store.conftest import Opener
from tests.contract.store.making import begun, different
from tests.contract.store.test_freezes import line
from tests.contract.store.test_locks import A, B, C, let_go

HERE, THERE = "qa-sandbox", "other-sandbox"
HOUR = timedelta(hours=1)


def held(
    environment: str = HERE,
    *keys: ResourceKey,
    by: str = "olga",
    lasts: timedelta = HOUR,
) -> Hold:
    now = datetime.now(UTC)
    return Hold(
        id=str(uuid7()),
        environment=environment,
        keys=keys,
        reason="a demo \u2713",
        holder=by,
        asked_at=now,
        expires_at=now + lasts,
    )


async def take(store: Store, hold: Hold, *, after: bool = False) -> HoldAnswer:
    return await store.hold(hold, line(AuditAction.HOLD, hold.holder), after=after)


async def test_a_hold_comes_back_as_it_was_given_with_its_line_of_the_audit(store: Store) -> None:
    asked = held(HERE, A, B)
    answer = await take(store, asked)
    assert answer.given is not None
    assert answer.given.granted_at is not None
    assert answer.given.model_copy(update={"granted_at": None}).model_dump() == {
        **asked.model_dump(),
        "granted_at": None,
        "told_at": None,
        "ended_at": None,
        "ended_by": None,
    }
    (standing,) = await store.holds()
    assert (standing.hold, standing.at_work) == (answer.given, ())
    assert 3500 < standing.remaining <= 3600
    (audited,) = await store.audit(actor="olga")
    assert (audited.action, audited.facts) == (AuditAction.HOLD, {"hold": asked.id})


async def test_two_environments_on_one_database_with_one_held_both_wait(store: Store) -> None:
    mine, theirs = await begun(store), await begun(store, THERE)
    await take(store, held(HERE, A))
    for found, keys in ((mine, [B]), (theirs, [A, B])):
        answer = await store.lock(found.lease, keys)
        assert not answer.granted
        assert answer.hold is not None
        assert (answer.hold.holder, answer.hold.environment) == ("olga", HERE)
    assert (await store.lock(theirs.lease, [C])).granted


async def test_who_concerns_what_is_held_waits_although_the_resource_is_not_known(store: Store) -> None:
    theirs = await begun(store, THERE)
    await take(store, held(HERE))
    assert (await store.lock(theirs.lease, [B], concerns=[HERE])).hold is not None
    assert (await store.lock(theirs.lease, [B], concerns=["third-sandbox"])).granted


async def test_while_a_reset_is_at_work_it_is_refused_and_with_after_it_comes_next(store: Store) -> None:
    one, two = [await begun(store, THERE, **different(number)) for number in range(2)]
    await store.lock(one.lease, [A])
    assert not (await store.lock(two.lease, [A])).granted
    refused = await take(store, held(HERE, A))
    assert refused == HoldAnswer(at_work=(one.reset.id,))
    assert await store.holds() == ()
    waiting = await take(store, held(HERE, A), after=True)
    assert waiting.given is not None
    assert (waiting.given.granted_at, waiting.at_work) == (None, (one.reset.id,))
    assert (await store.lock(one.lease, [A])).granted, "nothing is taken from who has it"
    assert (await store.settle_holds()).granted == ()
    assert (await store.holds())[0].at_work == (one.reset.id,)
    await let_go(store, one)
    assert (await store.lock(two.lease, [A])).hold is not None
    (granted,) = (await store.settle_holds()).granted
    assert (granted.id, granted.granted_at is not None) == (waiting.given.id, True)
    assert (await store.settle_holds()).granted == ()


async def test_a_reset_of_the_environment_is_at_work_whatever_it_locks(store: Store) -> None:
    one = await begun(store)
    await store.lock(one.lease, [B])
    assert (await take(store, held(HERE, A))).at_work == (one.reset.id,)


async def test_another_person_gets_nothing_of_it_and_the_same_one_a_new_end(store: Store) -> None:
    first = held(HERE, A)
    await take(store, first)
    for other in (held(HERE, by="pat"), held(THERE, A, by="pat")):
        answer = await take(store, other)
        assert answer.given is None
        assert answer.held is not None
        assert answer.held.id == first.id
    longer = held(HERE, B, lasts=3 * HOUR)
    answer = await take(store, longer)
    assert answer.given is not None
    assert (answer.given.id, answer.given.expires_at) == (first.id, longer.expires_at)
    assert set(answer.given.keys) == {A, B}
    assert (await take(store, held(THERE, A))).given is not None
    assert len(await store.holds()) == 2


async def test_it_ends_once_by_a_person_and_then_the_next_one_starts(store: Store) -> None:
    found = await begun(store)
    first = held(HERE, A)
    await take(store, first)
    ending = line(AuditAction.UNHOLD, "pat")
    ended = await store.unhold(first.id, ending)
    assert ended is not None
    assert (ended.ended_by, ended.ended_at is not None) == ("pat", True)
    assert await store.unhold(first.id, ending) is None
    assert await store.unhold("nobody's", ending) is None
    assert len(await store.audit(actor="pat")) == 1
    assert (await store.lock(found.lease, [A])).granted
    assert await store.holds() == ()
    assert [each.id for each in await store.kept_holds()] == [first.id]


async def test_its_time_is_over_by_the_stores_clock_and_then_for_good(store: Store) -> None:
    found = await begun(store)
    over = held(HERE, A, lasts=timedelta(seconds=-1))
    await take(store, over)
    (expired,) = (await store.settle_holds()).expired
    assert (expired.id, expired.ended_by) == (over.id, None)
    assert (await store.settle_holds()).expired == ()
    await take(store, held(HERE, A, lasts=timedelta(seconds=-1)))
    assert (await store.lock(found.lease, [A])).granted
    assert all(each.remaining < 0 and each.hold.ended_at for each in await store.holds())


async def test_its_end_is_told_once_and_once_more_for_another_end(store: Store) -> None:
    first = held(HERE, A)
    await take(store, first)
    message = Message("status", b"qa-sandbox", b"{}", (("ce_type", b"x"),))
    assert await store.tell_hold_end(first.id, first.expires_at, message)
    assert not await store.tell_hold_end(first.id, first.expires_at, message)
    longer = held(HERE, lasts=2 * HOUR)
    await take(store, longer)
    assert not await store.tell_hold_end(first.id, first.expires_at, message)
    assert await store.tell_hold_end(first.id, longer.expires_at, message)
    await store.unhold(first.id, line(AuditAction.UNHOLD))
    assert not await store.tell_hold_end(first.id, longer.expires_at, message)
    assert [row.message for row in await store.unpublished(10)][-2:] == [message, message]


async def test_of_a_person_and_a_reset_that_ask_at_once_one_gets_it(another: Opener) -> None:
    stores = [another(), another()]
    for turn in range(6):
        found = await begun(stores[0], **different(turn))
        asked = held(HERE, A)
        answer, taken = await asyncio.gather(stores[0].lock(found.lease, [A]), take(stores[1], asked))
        assert answer.granted is not (taken.given is not None)
        if answer.granted:
            await let_go(stores[0], found)
        else:
            await stores[1].unhold(asked.id, line(AuditAction.UNHOLD))
