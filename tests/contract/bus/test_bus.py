"""What every bus promises (`daemon/ports/bus.py`)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from daemon.ports.bus import Inbox, Outlet
from daemon.ports.errors import TemporaryError
from schemas.reasons import Reason
from schemas.records import Headers, LastRecord, LogPosition, Message, Record
from tests.contract.bus.stands import Stand, Stored, read

HEADERS = (("ce_id", b"\x00\xff"), ("ce_id", b""), ("", b"nameless"), ("null", None), ("\u00fc", b"x"))


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        (b"qa-sandbox", b'{"a": 1}', HEADERS),
        (b"\xff\x00\xfe", b"\x00garbage\xff", ()),
        (b"key", None, HEADERS),
        (None, b"value", ()),
        (None, None, (("only", b"headers"),)),
        (b"", b"", ()),
    ],
)
async def test_keys_values_and_headers_come_through_byte_for_byte(
    stand: Stand,
    inbox: Inbox,
    outlet: Outlet,
    key: bytes | None,
    value: bytes | None,
    headers: Headers,
) -> None:
    assert list(await outlet.publish([Message(stand.topic, key, value, headers)])) == [None]
    await inbox.start(Stored())
    (record,) = await read(inbox, 1)
    assert (record.key, record.value, record.headers) == (key, value, headers)


async def test_records_of_one_key_come_in_the_order_in_which_they_were_published(
    stand: Stand, inbox: Inbox, outlet: Outlet
) -> None:
    messages = [Message(stand.topic, b"k%d" % (n % 3), b"%d" % n, ()) for n in range(60)]
    assert set(await outlet.publish(messages[:30])) == {None}
    assert set(await outlet.publish(messages[30:])) == {None}
    await inbox.start(Stored())
    records = await read(inbox, 60)
    for key in (b"k0", b"k1", b"k2"):
        assert [r.value for r in records if r.key == key] == [m.value for m in messages if m.key == key]


async def test_each_partition_starts_at_its_stored_position_and_else_at_its_beginning(
    stand: Stand, inbox: Inbox
) -> None:
    for n in range(4):
        await stand.put(Message(stand.topic, None, b"%d" % n, ()), partition=0)
        await stand.put(Message(stand.topic, None, b"%d" % n, ()), partition=1)
    await inbox.start(Stored({(stand.topic, 0): 3}))
    records = await read(inbox, 5)
    assert _offsets(records) == {0: [3], 1: [0, 1, 2, 3]}


async def test_a_poll_without_records_ends_after_its_timeout(inbox: Inbox) -> None:
    await inbox.start(Stored())
    loop = asyncio.get_running_loop()
    before = loop.time()
    assert list(await inbox.poll(timeout=0.3)) == []
    assert loop.time() - before < 1.5


async def test_rewind_brings_again_what_was_not_stored(stand: Stand, inbox: Inbox) -> None:
    for n in range(3):
        await stand.put(Message(stand.topic, None, b"%d" % n, ()), partition=2)
    positions = Stored()
    await inbox.start(positions)
    first = await read(inbox, 3)
    positions.positions[stand.topic, 2] = LogPosition(1)
    await inbox.rewind()
    again = await read(inbox, 2)
    assert [r.value for r in first] == [b"0", b"1", b"2"]
    assert [r.value for r in again] == [b"1", b"2"]


async def test_a_stored_position_past_the_end_means_that_the_topic_was_made_anew(
    stand: Stand, inbox: Inbox
) -> None:
    await stand.put(Message(stand.topic, None, b"new", ()), partition=0)
    await inbox.start(Stored({(stand.topic, 0): 500}))
    (record,) = await read(inbox, 1)
    assert (record.offset, record.value) == (0, b"new")


async def _put(stand: Stand, values: Sequence[bytes]) -> None:
    for value in values:
        await stand.put(Message(stand.topic, b"k", value, ()), partition=0)


@pytest.mark.parametrize("refilled", [10, 13, 9])
async def test_b7_an_offset_belongs_to_a_log_so_a_topic_made_anew_is_read_from_its_beginning(
    stand: Stand, inbox: Inbox, refilled: int
) -> None:
    await _put(stand, [b"new-%d" % n for n in range(refilled)])
    stored = Stored()
    # The position after the tenth record of the topic that had this name before.
    stored.positions[stand.topic, 0] = LogPosition(10, LastRecord(9, "0" * 64))
    await inbox.start(stored)
    records = await read(inbox, refilled)
    assert [record.value for record in records] == [b"new-%d" % n for n in range(refilled)]


async def test_b7_the_same_log_goes_on_after_its_last_record_and_brings_none_twice(
    stand: Stand, inbox: Inbox
) -> None:
    await _put(stand, [b"%d" % n for n in range(3)])
    first = stand.inbox()
    stored = Stored()
    await first.start(stored)
    records = await read(first, 3)
    await first.stop()
    stored.after(records[-1])
    await inbox.start(stored)
    await _put(stand, [b"3"])
    assert [record.value for record in await read(inbox, 1)] == [b"3"]
    assert list(await inbox.poll(timeout=0.3)) == []


async def test_b7_a_topic_made_anew_with_the_same_event_published_again_is_read_from_its_beginning(
    stand: Stand, inbox: Inbox
) -> None:
    await _put(stand, [b"lost", b"published again"])
    stored = Stored()
    # The same key and value at the same offset, at another time.
    former = Record(stand.topic, 0, 1, b"k", b"published again", (), timestamp_ms=1)
    stored.after(former)
    await inbox.start(stored)
    assert [record.value for record in await read(inbox, 2)] == [b"lost", b"published again"]


async def test_a_store_that_does_not_answer_is_asked_again_and_nothing_is_lost(
    stand: Stand, inbox: Inbox
) -> None:
    await stand.put(Message(stand.topic, None, b"x", ()), partition=0)
    positions = Stored({})
    refusals = iter([True, True])

    async def unsteady(partitions: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], LogPosition]:
        if next(refusals, False):
            raise TemporaryError(Reason.UNAVAILABLE, "no database")
        return await positions(partitions)

    await inbox.start(unsteady)
    errors = 0
    async with asyncio.timeout(20):
        while errors < 2:
            try:
                assert list(await inbox.poll(timeout=0.3)) == []
            except TemporaryError:
                errors += 1
    (record,) = await read(inbox, 1)
    assert record.value == b"x"


async def test_a_message_that_is_too_large_is_refused_alone(
    stand: Stand, inbox: Inbox, outlet: Outlet
) -> None:
    large = Message(stand.topic, b"k", b"x" * (1024 * 1024 + 1), ())
    fine = Message(stand.topic, b"k", b"fine", ())
    outcomes = list(await outlet.publish([fine, large, fine]))
    assert (outcomes[0], outcomes[2]) == (None, None)
    assert outcomes[1]
    await inbox.start(Stored())
    assert [r.value for r in await read(inbox, 2)] == [b"fine", b"fine"]


async def test_a_header_name_that_is_not_utf8_goes_out_as_it_came_in(
    stand: Stand, inbox: Inbox, outlet: Outlet
) -> None:
    headers = (("\udcff\udcfe", b"\x00"), ("plain", None))
    messages = [Message(stand.topic, b"k", b"%d" % n, headers if n == 1 else ()) for n in range(3)]
    assert set(await outlet.publish(messages)) == {None}
    await inbox.start(Stored())
    records = await read(inbox, 3)
    assert [(r.value, r.headers) for r in records] == [(b"0", ()), (b"1", headers), (b"2", ())]


async def test_a_header_name_that_stands_for_no_bytes_is_a_refusal(stand: Stand, outlet: Outlet) -> None:
    fine = Message(stand.topic, b"k", b"v", ())
    outcomes = await outlet.publish([fine, Message(stand.topic, b"k", b"v", (("\ud800", b"x"),)), fine])
    assert outcomes[0] is outcomes[2] is None
    assert "header" in (outcomes[1] or "")


async def test_acknowledging_what_is_not_assigned_is_no_error(stand: Stand, inbox: Inbox) -> None:
    await stand.put(Message(stand.topic, None, b"x", ()), partition=0)
    await inbox.start(Stored())
    await read(inbox, 1)
    await inbox.acknowledge({(stand.topic, 0): 1, ("another", 7): 3})


async def test_a_second_life_of_the_consumer_goes_on_where_the_first_one_stored(stand: Stand) -> None:
    for n in range(2):
        await stand.put(Message(stand.topic, None, b"%d" % n, ()), partition=1)
    first = stand.inbox()
    await first.start(Stored())
    await read(first, 2)
    await first.stop()
    second = stand.inbox()
    await second.start(Stored({(stand.topic, 1): 1}))
    (record,) = await read(second, 1)
    await second.stop()
    assert record.value == b"1"


def _offsets(records: list[Record]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for record in records:
        found.setdefault(record.partition, []).append(record.offset)
    return found
