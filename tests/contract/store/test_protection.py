"""What protected environments were seen to use is remembered for good; words about it end."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from uuid_utils import uuid7

from daemon.ports.store.state import Lost
from daemon.ports.store.store import Store
from schemas.audit import AuditAction, AuditEntry, Verdict
from schemas.protection import ProtectedUse, RememberedUse, Scope, Word, WordKind
from schemas.wire import ResourceKey, ServiceName
from tests.contract.store.making import NOW

A, B = ResourceKey("database/7001/a"), ResourceKey("database/7001/b")
PRODUCTION, OTHER = "los-demo-production", "other-production"
DAY = timedelta(days=1)


def use(
    environment: str, key: ResourceKey, service: str | None = None, database: str | None = None
) -> ProtectedUse:
    name = ServiceName(service) if service else None
    return ProtectedUse(environment=environment, service=name, database=database, key=key)


def seen(what: ProtectedUse, first: datetime, last: datetime) -> RememberedUse:
    return RememberedUse(**what.model_dump(), first_seen_at=first, last_seen_at=last)


def word(scope: str = PRODUCTION, kind: WordKind = WordKind.CONFIRM, **changes: object) -> Word:
    fields: dict[str, object] = {
        "id": str(uuid7()),
        "kind": kind,
        "scope": Scope.of_text(scope),
        "reason": "it is down for good",
        "given_by": "ben",
        "given_at": NOW,
        "expires_at": NOW + 30 * DAY,
    }
    return Word.model_validate(fields | changes)


def line(action: AuditAction = AuditAction.CONFIRM, actor: str = "ben") -> AuditEntry:
    return AuditEntry(
        chain=PRODUCTION,
        at=NOW,
        action=action,
        verdict=Verdict.APPLIED,
        actor=actor,
        channel="http",
        environment=PRODUCTION,
    )


async def test_each_use_is_remembered_with_when_it_was_first_and_last_seen(store: Store) -> None:
    one = use(PRODUCTION, A, "los-core-api", "core")
    two = use(PRODUCTION, A, "data-builder-api", "core")
    three, four = use(OTHER, A), use(OTHER, B)
    await store.remember_protected([one, two, one], now=NOW)
    await store.remember_protected([one, three, four], now=NOW + DAY)
    await store.remember_protected([one], now=NOW - DAY)
    await store.remember_protected([], now=NOW + DAY)
    assert await store.protected() == (
        seen(two, NOW, NOW),
        seen(one, NOW, NOW + DAY),
        seen(three, NOW + DAY, NOW + DAY),
        seen(four, NOW + DAY, NOW + DAY),
    )


@pytest.mark.parametrize(
    "given",
    [
        word(),
        word(f"{PRODUCTION}/los-core-api", uses=()),
        word(f"{PRODUCTION}/los-core-api/core", uses=(A, B)),
        word(f"{PRODUCTION}/{A}", WordKind.FORGET),
        word(reason="na\u00efve \u2713", given_by="Ben B."),
    ],
)
async def test_a_word_comes_back_as_it_was_given_with_its_line_of_the_audit(
    store: Store, given: Word
) -> None:
    await store.give_word(given, line())
    (kept,) = await store.words(now=NOW)
    assert kept.word == given
    assert kept.withdrawn_at is None
    (audited,) = await store.audit(environment=PRODUCTION)
    assert (audited.action, audited.actor, audited.number) == (AuditAction.CONFIRM, "ben", 1)


async def test_words_end_at_their_expiry_and_are_kept(store: Store) -> None:
    short, long = word(expires_at=NOW + DAY), word(expires_at=NOW + 2 * DAY)
    for given in (short, long):
        await store.give_word(given, line())
    assert [kept.id for kept in await store.words(now=NOW)] == [short.id, long.id]
    assert [kept.id for kept in await store.words(now=NOW + DAY)] == [long.id]
    assert await store.words(now=NOW + 2 * DAY) == ()
    assert [kept.id for kept in await store.words(now=NOW + 2 * DAY, ended=True)] == [short.id, long.id]


async def test_a_word_is_taken_back_once_and_with_a_line_of_the_audit(store: Store) -> None:
    given = word()
    await store.give_word(given, line())
    taken = line(AuditAction.WITHDRAW, "cleo")
    assert not await store.withdraw_word("nobody's", "cleo", taken, now=NOW)
    assert not await store.withdraw_word(given.id, "cleo", taken, now=given.expires_at)
    assert await store.withdraw_word(given.id, "cleo", taken, now=NOW + DAY)
    assert not await store.withdraw_word(given.id, "dan", taken, now=NOW + DAY)
    assert await store.words(now=NOW + DAY) == ()
    (kept,) = await store.words(now=NOW + DAY, ended=True)
    assert (kept.withdrawn_by, kept.withdrawn_at) == ("cleo", NOW + DAY)
    assert [entry.action for entry in await store.audit(actor="cleo")] == [AuditAction.WITHDRAW]


async def test_a_state_that_is_adopted_takes_every_word_back(store: Store) -> None:
    ended = word(expires_at=NOW + DAY)
    for given in (ended, word()):
        await store.give_word(given, line())
    adopted = line(AuditAction.ADOPT, "operator").model_copy(update={"chain": "resetd"})
    await store.adopt(adopted, [], Lost(0, frozenset(), frozenset()), now=NOW + 2 * DAY)
    assert await store.words(now=NOW + 2 * DAY) == ()
    assert len(await store.words(now=NOW, ended=True)) == 2
