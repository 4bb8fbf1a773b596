"""The state as a whole: its own id, how far it has come, and what adopting it writes."""

from __future__ import annotations

import asyncio

import pytest

from daemon.adapters.store import SqlStore
from daemon.ports.store.state import Lost
from daemon.ports.store.store import Store
from schemas.audit import AuditAction
from schemas.marks import Position
from schemas.resets import ResetState
from schemas.wire import ResetId, ResourceKey
from statemachines.history import status_record
from statemachines.history.audit import act_entry
from tests.contract.store.conftest import Opener
from tests.contract.store.making import NOBODY, NOW, act, admitted, asked, begun, different, moved, taken


async def test_its_id_is_drawn_once_whoever_asks(another: Opener) -> None:
    stores = [another(), another()]
    ids = await asyncio.gather(*(stores[number % 2].state_id() for number in range(10)))
    assert len(set(ids)) == 1
    assert ids[0]


async def test_it_has_come_to_the_newest_message_and_contains_every_one_before(store: Store) -> None:
    assert await store.position() == Position(number=0, digest="")
    passed = [await store.position()]
    for number in range(3):
        await admitted(store, asked(**different(number)))
        passed.append(await store.position())
    assert [position.number for position in passed] == [0, 1, 2, 3]
    assert all([await store.contains(position) for position in passed])
    assert not await store.contains(Position(number=4, digest=passed[-1].digest))
    assert not await store.contains(Position(number=3, digest=passed[2].digest))


async def test_a_message_is_the_same_one_once_it_was_published(store: Store) -> None:
    await admitted(store)
    before = await store.position()
    [row] = await store.unpublished(10)
    await store.published([row.id], {}, now=NOW)
    assert await store.position() == before


async def test_a_status_is_the_same_one_for_a_version_that_writes_it_otherwise(
    sql_store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await admitted(sql_store)
    before = await sql_store.position()
    [written] = await sql_store.unpublished(10)
    monkeypatch.setattr(status_record, "SCHEMA", "urn:of:a:later:version")
    [rewritten] = await sql_store.unpublished(10)
    assert rewritten.message != written.message
    assert await sql_store.contains(before)


async def test_what_is_seized_is_taken_from_its_holder_whatever_its_state(store: Store) -> None:
    found = await begun(store)
    await store.save(moved(found, ResetState.FAILED))
    [seized] = await store.seize("adopt", [found.reset.id], ttl=30)
    assert seized.lease.fence == found.lease.fence + 1
    assert seized.reset.state is ResetState.FAILED
    assert await store.renew([found.lease], ttl=30) == frozenset()
    assert await store.seize("adopt", [], ttl=30) == ()


async def test_adopting_writes_a_line_and_the_events_are_handled(store: Store) -> None:
    found = await begun(store)
    entry = act_entry(act(found.reset.id), found.reset, None, at=NOW).model_copy(
        update={"chain": "resetd", "action": AuditAction.ADOPT}
    )
    await store.adopt(
        entry, [("/tests", "lost"), ("/tests", "lost")], Lost(0, frozenset(), frozenset()), now=NOW
    )
    assert (await taken(store, asked(event="lost"))) == ()
    assert [entry.chain for entry in await store.audit() if entry.action is AuditAction.ADOPT] == ["resetd"]
    assert await store.claim("one", ttl=30, limit=9, excluding=NOBODY) == ()


async def test_what_had_begun_before_a_loss_is_superseded_by_what_was_lost_but_not_by_itself(
    store: Store,
) -> None:
    one, two = await begun(store), await begun(store, "other-sandbox")
    idle = await begun(store, "idle-sandbox")
    for claim in (one, two):
        await store.lock(claim.lease, [ResourceKey(f"database/7/{claim.reset.environment}")])
    entry = act_entry(act(one.reset.id), one.reset, None, at=NOW).model_copy(update={"chain": "resetd"})
    await store.adopt(entry, [], Lost(0, frozenset(), frozenset()), now=NOW)
    assert await store.superseded_by(one.reset.id) is None
    await store.adopt(entry, [], Lost(0, frozenset(), frozenset({one.reset.id})), now=NOW)
    assert await store.superseded_by(one.reset.id) is None
    assert await store.superseded_by(two.reset.id) == one.reset.id
    await store.adopt(entry, [], Lost(0, frozenset(), frozenset({ResetId("lost")})), now=NOW)
    assert await store.superseded_by(one.reset.id) == "lost"
    assert await store.superseded_by(idle.reset.id) is None
    assert [row.granted for row in await store.locks()] == [True, True]


async def test_after_adopting_no_sequence_and_no_number_is_one_that_was_told_before(store: Store) -> None:
    found = await begun(store)
    entry = act_entry(act(found.reset.id), found.reset, None, at=NOW).model_copy(update={"chain": "resetd"})
    await store.adopt(entry, [], Lost(1000, frozenset({"lost-sandbox"}), frozenset()), now=NOW)
    again = await admitted(store, asked(**different(2)))
    lost = await admitted(store, asked("lost-sandbox"))
    new = await admitted(store, asked("new-sandbox"))
    for reset, sequence in ((again, 1002), (lost, 1001), (new, 1)):
        [line] = await store.history(reset.id)
        assert line.data["environmentSequence"] == sequence
    assert (again.number, lost.number, new.number) == (1002, 1001, 1)
    for reference in ("lost-sandbox/@latest", "lost-sandbox/1001"):
        assert await store.find(reference) == lost
    assert await store.find("lost-sandbox/1") is None


async def test_the_latest_reset_is_found_where_the_numbers_that_follow_it_were_lost(store: Store) -> None:
    found = await begun(store)
    entry = act_entry(act(found.reset.id), found.reset, None, at=NOW).model_copy(update={"chain": "resetd"})
    await store.adopt(entry, [], Lost(1000, frozenset(), frozenset()), now=NOW)
    latest = await store.find(f"{found.reset.environment}/@latest")
    assert latest is not None
    assert latest.id == found.reset.id
