"""Requests in: one reset for each, a number, a first status, and never twice.

Over 300 lines: one contract, played on each store.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from pydantic import ValidationError

from daemon.ports.errors import LeaseLostError
from daemon.ports.store.leases import Change
from daemon.ports.store.store import Store
from schemas.intake import Batch, Entry, NewAct
from schemas.reasons import Reason
from schemas.records import LastRecord, LogPosition
from schemas.requests import RequestReference
from schemas.resets import ActKind, Channel, ResetState
from statemachines.intake.desk import MOST_CLAIMED
from tests.contract.store.conftest import Opener
from tests.contract.store.making import (
    ENVIRONMENT,
    NOW,
    act,
    act_by_event,
    admitted,
    asked,
    begun,
    claimed,
    different,
    moved,
    taken,
)


async def test_a_request_becomes_a_reset_in_planning_with_its_first_status(store: Store) -> None:
    new = asked()
    admission = await store.admit(new, now=NOW, limit_waiting=3)
    assert admission.created
    assert (admission.reset.state, admission.reset.number, admission.reset.sequence) == (
        ResetState.PLANNING,
        1,
        1,
    )
    assert await store.find(new.id) == admission.reset
    [entry] = await store.history(new.id)
    [row] = await store.unpublished(10)
    assert entry.type == "com.fuse.environment.reset.planning.v1"
    assert row.message.value is not None
    assert json.loads(row.message.value) == entry.data
    assert entry.data["environmentSequence"] == 1
    assert entry.data["links"] == {"self": f"https://resetd.example/api/v1/resets/{new.id}"}


async def test_an_event_that_is_delivered_again_is_the_same_reset_whatever_it_says(store: Store) -> None:
    first = await admitted(store, asked(event="one"))
    again = await store.admit(asked(event="one", **different(2)), now=NOW, limit_waiting=3)
    assert (again.reset, again.created, again.joined) == (first, False, False)
    assert len(await store.unpublished(10)) == 1


async def test_an_event_twice_in_one_batch_is_one_reset(store: Store) -> None:
    first, second = await taken(store, asked(event="one"), asked(event="one"))
    assert (first.created, second.created) == (True, False)
    assert first.reset.id == second.reset.id


async def test_one_idempotency_key_with_one_content_is_one_reset(store: Store) -> None:
    first = await admitted(store, asked(idempotency_key="k", **different(1)))
    again = await store.admit(asked(by="bob", idempotency_key="k", **different(1)), now=NOW, limit_waiting=3)
    assert (again.reset.id, again.created, again.joined) == (first.id, False, False)


async def test_one_idempotency_key_with_other_content_is_a_rejection(store: Store) -> None:
    first = await admitted(store, asked(idempotency_key="k", **different(1)))
    other = await store.admit(asked(idempotency_key="k", **different(2)), now=NOW, limit_waiting=3)
    assert (other.created, other.conflict) == (True, True)
    assert (other.reset.state, other.reset.cause) == (ResetState.REJECTED, Reason.IDEMPOTENCY_CONFLICT)
    third = await store.admit(asked(idempotency_key="k", **different(1)), now=NOW, limit_waiting=3)
    assert third.reset.id == first.id


async def test_an_identical_request_joins_the_one_that_waits(store: Store) -> None:
    first = await admitted(store, asked(by="ann"))
    second = await store.admit(asked(by="bob", idempotency_key="k"), now=NOW, limit_waiting=1)
    third = await store.admit(asked(by="bob"), now=NOW, limit_waiting=1)
    assert (second.joined, second.created, second.reset.id) == (True, False, first.id)
    assert third.reset.requested_by == ("ann", "bob")
    found = await store.find(first.id)
    assert found is not None
    assert (found.requested_by, found.version) == (("ann", "bob"), 0)


async def test_who_joined_is_known_to_the_holder_and_outlives_its_writes(store: Store) -> None:
    holder = await begun(store)
    joined = await store.admit(asked(by="bob"), now=NOW, limit_waiting=3)
    saved = await store.save(moved(holder, ResetState.QUEUED))
    assert joined.joined
    assert saved.requested_by == ("ann", "bob")


async def test_the_event_of_a_joined_request_leads_to_the_reset_that_absorbed_it(store: Store) -> None:
    first = await admitted(store)
    await admitted(store, asked(by="bob", event="joiner"))
    again = await store.admit(asked(by="bob", event="joiner"), now=NOW, limit_waiting=3)
    assert (again.reset.id, again.created, again.joined) == (first.id, False, False)


async def test_a_running_reset_never_absorbs_a_request(store: Store) -> None:
    holder = await begun(store)
    await store.save(moved(holder, ResetState.SEEDING))
    second = await store.admit(asked(by="bob"), now=NOW, limit_waiting=3)
    assert (second.created, second.joined) == (True, False)


@pytest.mark.parametrize(
    "fields", [{"dry_run": True}, {"services": ("los-core-api",)}, {"environment": "other-sandbox"}]
)
async def test_a_request_for_something_else_does_not_join(store: Store, fields: dict[str, object]) -> None:
    await admitted(store)
    second = await store.admit(asked(**fields), now=NOW, limit_waiting=3)  # type: ignore[arg-type] # any fields
    assert (second.created, second.joined) == (True, False)


async def test_past_the_limit_the_environment_is_busy_and_others_are_not(store: Store) -> None:
    for number in range(2):
        await admitted(store, asked(**different(number)), limit=2)
    refused = await admitted(store, asked(**different(3)), limit=2)
    assert (refused.state, refused.cause) == (ResetState.REJECTED, Reason.ENVIRONMENT_BUSY)
    other = await admitted(store, asked("other-sandbox"), limit=2)
    assert other.state is ResetState.PLANNING


async def test_a_request_that_only_came_at_the_wrong_moment_does_not_use_up_its_key(store: Store) -> None:
    first = await admitted(store, asked(**different(1)))
    wanted = different(2) | {"idempotency_key": "again"}
    busy = await store.admit(asked(**wanted), now=NOW, limit_waiting=1)
    assert busy.reset.cause is Reason.ENVIRONMENT_BUSY
    old = asked(**wanted, refused=Reason.TOO_OLD)
    assert (await store.admit(old, now=NOW, limit_waiting=1)).reset.cause is Reason.TOO_OLD
    later = await store.admit(asked(**wanted), now=NOW, limit_waiting=3)
    assert (later.created, later.reset.state) == (True, ResetState.PLANNING)
    assert later.reset.id not in {first.id, busy.reset.id}


async def test_running_and_ended_resets_do_not_make_an_environment_busy(store: Store) -> None:
    first = await begun(store, **different(1))
    await store.save(moved(first, ResetState.SEEDING))
    second = await begun(store, **different(2))
    await store.save(moved(second, ResetState.DONE))
    assert (await admitted(store, asked(**different(3)), limit=1)).state is ResetState.PLANNING


async def test_what_the_intake_refuses_is_stored_as_rejected_with_its_status(store: Store) -> None:
    reset = await admitted(store, asked(refused=Reason.TOO_OLD))
    assert (reset.state, reset.cause, reset.detail) == (ResetState.REJECTED, Reason.TOO_OLD, "it is old")
    [entry] = await store.history(reset.id)
    assert entry.type == "com.fuse.environment.reset.rejected.v1"
    assert entry.data["cause"] == "too-old"
    assert await store.claim("one", ttl=5, limit=10, excluding=frozenset()) == ()


async def test_numbers_of_an_environment_have_no_gaps_rejections_included(store: Store) -> None:
    entries = [
        asked(**different(number), refused=Reason.TOO_OLD if number % 2 else None) for number in range(6)
    ]
    admissions = await taken(store, *entries, asked("other-sandbox"), limit=10)
    numbers = [admission.reset.number for admission in admissions]
    assert numbers == [1, 2, 3, 4, 5, 6, 1]
    found = await store.find("qa-sandbox/5")
    latest = await store.find("qa-sandbox/@latest")
    assert found is not None
    assert latest is not None
    assert (found.id, latest.number) == (admissions[4].reset.id, 6)
    for nonsense in (
        "qa-sandbox/0",
        "qa-sandbox/x",
        "none-sandbox/@latest",
        "qa-sandbox/99999999999999999999",
        "",
    ):
        assert await store.find(nonsense) is None


async def test_replicas_that_admit_at_once_give_each_number_once(another: Opener) -> None:
    stores = [another(), another(), another()]
    resets = await asyncio.gather(
        *(admitted(stores[number % 3], asked(**different(number)), limit=100) for number in range(24))
    )
    assert sorted(reset.number for reset in resets) == list(range(1, 25))
    rows = await stores[0].unpublished(100)
    sequences = [json.loads(row.message.value or b"")["environmentSequence"] for row in rows]
    assert sequences == list(range(1, 25))


async def test_one_event_admitted_by_replicas_at_once_is_one_reset(another: Opener) -> None:
    stores = [another(), another(), another()]
    admissions = await asyncio.gather(
        *(store.admit(asked(event="one"), now=NOW, limit_waiting=3) for store in stores * 4)
    )
    assert len({admission.reset.id for admission in admissions}) == 1
    assert [admission.created for admission in admissions].count(True) == 1


async def test_a_batch_moves_the_position_with_what_it_stores(store: Store) -> None:
    assert await store.positions([("requests", 0)]) == {}
    await taken(store, asked(), first=7)
    await taken(store, first=8)
    assert await store.positions([("requests", 0), ("requests", 1)]) == {("requests", 0): LogPosition(8)}


async def test_a_batch_from_another_position_is_refused_whole(store: Store) -> None:
    await taken(store, asked(**different(1)), first=0)
    with pytest.raises(LeaseLostError):
        await taken(store, asked(**different(2)), first=0)
    assert await store.positions([("requests", 0)]) == {("requests", 0): LogPosition(1)}
    assert len(await store.resets()) == 1


async def test_a_batch_may_say_which_position_it_expects_where_offsets_were_skipped(store: Store) -> None:
    await taken(store, asked(**different(1)), first=0)
    await store.take_in(Batch("requests", 0, 5, 6, (), expected=1), now=NOW, limit_waiting=3)
    await store.take_in(Batch("requests", 0, 0, 2, (), expected=6), now=NOW, limit_waiting=3)
    assert await store.positions([("requests", 0)]) == {("requests", 0): LogPosition(2)}


async def test_b7_a_position_says_which_record_was_stored_last(store: Store) -> None:
    last = LastRecord(4, "5e" * 32)
    await store.take_in(Batch("requests", 0, 0, 5, (), last=last), now=NOW, limit_waiting=3)
    assert await store.positions([("requests", 0)]) == {("requests", 0): LogPosition(5, last)}
    newer = LastRecord(6, "7a" * 32)
    await store.take_in(Batch("requests", 0, 5, 8, (), last=newer), now=NOW, limit_waiting=3)
    assert await store.positions([("requests", 0)]) == {("requests", 0): LogPosition(8, newer)}


async def test_of_two_consumers_with_one_partition_one_stores_its_batch(another: Opener) -> None:
    stores = [another(), another()]
    results = await asyncio.gather(
        *(taken(store, asked(**different(number))) for number, store in enumerate(stores)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, LeaseLostError) for result in results) == 1
    assert len(await stores[0].resets()) == 1


async def test_resets_are_listed_newest_first_by_page_environment_and_state(store: Store) -> None:
    made = [await admitted(store, asked(**different(number)), limit=9) for number in range(4)]
    other = await begun(store, "other-sandbox")
    await store.save(moved(other, ResetState.DONE))
    made.sort(key=lambda reset: reset.id, reverse=True)
    first = await store.resets(environment="qa-sandbox", limit=3)
    assert [reset.id for reset in first] == [reset.id for reset in made[:3]]
    last = (first[-1].created_at.isoformat(), first[-1].id)
    rest = await store.resets(environment="qa-sandbox", limit=3, before=last)
    assert [reset.id for reset in rest] == [made[3].id]
    assert [reset.id for reset in await store.resets(states=[ResetState.DONE])] == [other.reset.id]


async def test_text_from_outside_comes_back_as_it_was(store: Store) -> None:
    strange = "a'; DROP TABLE resets; -- \u00e4\U0001f600"
    new = asked(strange, by=strange, event=strange, idempotency_key=strange, reason=strange)
    reset = await admitted(store, replace(new, source=strange))
    assert await store.find(reset.id) == reset
    assert (reset.request, reset.event_id) == (new.request, strange)
    assert (await claimed(store, reset.id)).reset.request == new.request


async def test_a_request_after_a_cancel_does_not_join_what_is_about_to_end(store: Store) -> None:
    first = await admitted(store, asked(event="one"))
    await taken(store, act_by_event("one"), first=0)
    second = await store.admit(asked(), now=NOW, limit_waiting=3)
    in_one_batch = await taken(
        store,
        asked("other-sandbox", event="two"),
        act_by_event("two", environment="other-sandbox"),
        asked("other-sandbox"),
        first=1,
    )
    assert (second.created, second.reset.id == first.id) == (True, False)
    assert [admission.created for admission in in_one_batch] == [True, True]


async def test_text_with_the_character_nul_stops_nothing(store: Store) -> None:
    new = replace(asked(), trace_parent="\0")
    await taken(store, new)
    found = await claimed(store, new.id)
    broken = found.reset.model_copy(update={"detail": "log \0 line", "state": ResetState.FAILED})
    saved = await store.save(Change(reset=broken, lease=found.lease))
    assert await store.find(new.id) == saved


@pytest.mark.parametrize("key", ["k\0", "\n", "", "k" * 256])
def test_a_key_that_a_database_can_not_look_up_is_no_key(key: str) -> None:
    with pytest.raises(ValidationError):
        asked(idempotency_key=key)


async def test_names_as_long_as_they_may_be_are_looked_up_and_stored(store: Store) -> None:
    long = "".join(chr(0x1F300 + number**5 % 509) for number in range(1000))
    entries: list[Entry] = [
        replace(asked(by=long[::-1], event=long, idempotency_key=long[:255], reason=long), source=long),
        asked(by=long, reason=long),
        NewAct(act(), "qa-sandbox", RequestReference(source=long, id=long), None, long, long[::-1]),
        NewAct(act(), "qa-sandbox", RequestReference(source=long, id=long[::-1]), None, long, "2"),
    ]
    first, joined = await taken(store, *entries, first=0)
    [again] = await taken(store, replace(asked(event=long), source=long), first=4)
    assert joined.joined
    assert (again.created, again.reset.id) == (False, first.reset.id)
    assert len(await store.unread_acts(first.reset.id, 0)) == 1


class TestNamesAndKeysOfAChannel:
    """D4: what came by Kafka is a claim, and a key belongs to the channel and the environment that it came for."""

    async def test_d4_a_reset_knows_which_of_its_requesters_are_only_claimed(self, store: Store) -> None:
        first = await admitted(store, asked(by="ann"))
        assert (first.requested_by, first.claimed_by) == (("ann",), ("ann",))
        bob = await store.admit(asked(by="bob", channel=Channel.HTTP), now=NOW, limit_waiting=3)
        cleo = await store.admit(asked(by="cleo"), now=NOW, limit_waiting=3)
        assert bob.joined
        assert (cleo.reset.requested_by, cleo.reset.claimed_by) == (("ann", "bob", "cleo"), ("ann", "cleo"))
        ann = await store.admit(asked(by="ann", channel=Channel.HTTP), now=NOW, limit_waiting=3)
        again = await store.admit(asked(by="bob"), now=NOW, limit_waiting=3)
        assert (ann.joined, ann.reset.claimed_by) == (True, ("cleo",))
        assert (again.reset.requested_by, again.reset.claimed_by) == (("ann", "bob", "cleo"), ("cleo",))
        found = await store.find(first.id)
        assert found is not None
        assert (found.requested_by, found.claimed_by) == (("ann", "bob", "cleo"), ("cleo",))
        holder = await claimed(store, first.id)
        assert holder.reset.claimed_by == ("cleo",)
        assert (await store.save(moved(holder, ResetState.QUEUED))).claimed_by == ("cleo",)

    async def test_d4_one_key_of_two_channels_or_environments_is_several_keys(self, store: Store) -> None:
        by_kafka = await admitted(store, asked(idempotency_key="k", **different(1)))
        by_http = await store.admit(
            asked(idempotency_key="k", channel=Channel.HTTP, **different(2)), now=NOW, limit_waiting=3
        )
        elsewhere = await store.admit(
            asked("other-sandbox", idempotency_key="k", **different(3)), now=NOW, limit_waiting=3
        )
        assert [one.conflict for one in (by_http, elsewhere)] == [False, False]
        assert len({by_kafka.id, by_http.reset.id, elsewhere.reset.id}) == 3
        for channel, environment, number, reset_id in (
            (Channel.KAFKA, ENVIRONMENT, 1, by_kafka.id),
            (Channel.HTTP, ENVIRONMENT, 2, by_http.reset.id),
            (Channel.KAFKA, "other-sandbox", 3, elsewhere.reset.id),
        ):
            again = await store.admit(
                asked(environment, idempotency_key="k", channel=channel, **different(number)),
                now=NOW,
                limit_waiting=9,
            )
            assert (again.reset.id, again.created) == (reset_id, False)
        conflict = await store.admit(
            asked(idempotency_key="k", channel=Channel.HTTP, **different(1)), now=NOW, limit_waiting=9
        )
        assert conflict.conflict

    async def test_d4_an_event_does_not_name_a_reset_by_the_key_of_an_http_request(
        self, store: Store
    ) -> None:
        by_http = await admitted(store, asked(idempotency_key="k", channel=Channel.HTTP, **different(1)))
        cancel = act(channel=Channel.KAFKA)
        await taken(store, NewAct(cancel, ENVIRONMENT, idempotency_key="k", source="/acts", event_id="1"))
        assert await store.unread_acts(by_http.id, 0) == ()
        by_kafka = await admitted(store, asked(idempotency_key="k", **different(2)))
        assert [one.kind for one in await store.unread_acts(by_kafka.id, 0)] == [ActKind.CANCEL]
        assert await store.unread_acts(by_http.id, 0) == ()


async def test_h5_names_in_which_events_join_are_bounded_and_a_person_is_always_kept(store: Store) -> None:
    first = await admitted(store, asked(by="first"))
    await taken(store, *(asked(by=f"name-{number}") for number in range(2 * MOST_CLAIMED)))
    await admitted(store, asked(by="a person", channel=Channel.HTTP))
    found = await store.find(first.id)
    assert found is not None
    assert len(found.claimed_by) == MOST_CLAIMED
    assert found.requested_by[-1] == "a person"
