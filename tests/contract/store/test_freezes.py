"""A freeze counts for each first destructive attempt that is recorded after it, and ends by itself or by a person."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from uuid_utils import uuid7

from daemon.ports.errors import TemporaryError
from daemon.ports.store.leases import Change, Claimed
from daemon.ports.store.store import Store
from schemas.audit import AuditAction, AuditEntry, Verdict
from schemas.freezes import Freeze
from schemas.reasons import Reason
from tests.contract.store.conftest import Opener
from tests.contract.store.making import NOW, begun, different

HERE, SHARED = "qa-sandbox", "qa-production"
HOUR = timedelta(hours=1)


def frozen(environment: str | None = HERE, lasts: timedelta = HOUR) -> Freeze:
    now = datetime.now(UTC)
    return Freeze(
        id=str(uuid7()),
        environment=environment,
        reason="month's end \u2713",
        given_by="olga",
        given_at=now,
        expires_at=now + lasts,
    )


def line(action: AuditAction = AuditAction.FREEZE, actor: str = "olga") -> AuditEntry:
    return AuditEntry(
        chain="environment/qa-sandbox",
        at=NOW,
        action=action,
        verdict=Verdict.APPLIED,
        actor=actor,
        channel="http",
        environment=HERE,
    )


def crossing(found: Claimed, *environments: str) -> Change:
    reset = found.reset.model_copy(update={"destroyed": True})
    return Change(reset=reset, lease=found.lease, crosses=frozenset(environments))


@pytest.mark.parametrize("now", [False, True])
async def test_a_freeze_comes_back_as_it_was_given_with_its_line_of_the_audit(
    store: Store, *, now: bool
) -> None:
    given = frozen().model_copy(update={"now": now})
    await store.freeze(given, line())
    (standing,) = await store.freezes()
    assert standing.freeze == given
    assert 3500 < standing.remaining <= 3600
    (kept,) = await store.kept_freezes()
    assert (kept.freeze, kept.ended_at) == (given, None)
    (audited,) = await store.audit(environment=HERE)
    assert (audited.action, audited.actor) == (AuditAction.FREEZE, "olga")


@pytest.mark.parametrize("scope", [None, HERE, SHARED])
async def test_no_first_attempt_to_destroy_is_recorded_after_it(store: Store, scope: str | None) -> None:
    found = await begun(store)
    await store.freeze(frozen(scope), line())
    with pytest.raises(TemporaryError, match="olga froze") as caught:
        await store.save(crossing(found, HERE, SHARED))
    assert caught.value.reason is Reason.FROZEN
    unchanged = await store.find(found.reset.id)
    assert unchanged is not None
    assert (unchanged.destroyed, unchanged.version) == (False, found.reset.version)


async def test_what_it_is_not_about_and_what_has_crossed_goes_on(store: Store) -> None:
    one, two = [await begun(store, **different(number)) for number in range(2)]
    await store.freeze(frozen("other-sandbox"), line())
    assert (await store.save(crossing(one, HERE))).destroyed
    await store.freeze(frozen(None), line())
    assert (await store.save(Change(reset=two.reset, lease=two.lease))).version == two.reset.version + 1


async def test_it_is_over_at_its_time_by_the_stores_clock(store: Store) -> None:
    found = await begun(store)
    await store.freeze(frozen(lasts=timedelta(seconds=-1)), line())
    assert (await store.save(crossing(found, HERE))).destroyed
    (standing,) = await store.freezes()
    assert standing.remaining < 0


async def test_one_that_expired_long_ago_is_not_looked_at_any_more(store: Store) -> None:
    await store.freeze(frozen(lasts=timedelta(days=-2)), line())
    assert await store.freezes() == ()
    assert len(await store.kept_freezes()) == 1


async def test_a_person_ends_those_of_exactly_one_scope_once(store: Store) -> None:
    one, two, every = frozen(), frozen(lasts=2 * HOUR), frozen(None)
    for given in (one, two, every, frozen(lasts=-HOUR)):
        await store.freeze(given, line())
    ending = line(AuditAction.UNFREEZE, "pat")
    assert await store.unfreeze(HERE, ending) == (one, two)
    assert await store.unfreeze(HERE, ending) == ()
    assert [each.freeze for each in await store.freezes() if each.remaining > 0] == [every]
    assert await store.unfreeze(None, ending) == (every,)
    assert {each.ended_by for each in await store.kept_freezes()} == {"pat", None}
    lines = await store.audit(actor="pat")
    assert [entry.facts["freezes"] for entry in lines] == [[every.id], [one.id, two.id]]
    found = await begun(store)
    assert (await store.save(crossing(found, HERE))).destroyed


async def test_of_those_who_commit_together_only_the_frozen_ones_are_refused(another: Opener) -> None:
    store = another()
    mine, theirs = await begun(store), await begun(store, "other-sandbox")
    await store.freeze(frozen(), line())
    answers = await asyncio.gather(
        store.save(crossing(mine, HERE)),
        store.save(crossing(theirs, "other-sandbox")),
        return_exceptions=True,
    )
    assert isinstance(answers[0], TemporaryError)
    assert not isinstance(answers[1], BaseException)
    assert answers[1].destroyed


async def test_who_freezes_while_others_begin_comes_before_or_behind_each_of_them(another: Opener) -> None:
    stores = [another(), another()]
    for turn in range(6):
        found = [await begun(stores[0], **different(10 * turn + number)) for number in range(3)]
        given = frozen()
        *answers, _ = await asyncio.gather(
            *(stores[0].save(crossing(each, HERE)) for each in found),
            stores[1].freeze(given, line()),
            return_exceptions=True,
        )
        for each, answer in zip(found, answers, strict=True):
            stored = await stores[1].find(each.reset.id)
            assert stored is not None
            assert stored.destroyed is not isinstance(answer, TemporaryError)
            if not stored.destroyed:
                with pytest.raises(TemporaryError):
                    await stores[1].save(crossing(each, HERE))
        await stores[0].unfreeze(HERE, line(AuditAction.UNFREEZE))
