"""The outbox: what was committed is published, in the order of the commits, and nothing else."""

from __future__ import annotations

import asyncio
import json

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka
from cloudevents.core.formats.json import JSONFormat
from sqlalchemy import text

from daemon.adapters.store import SqlStore
from daemon.adapters.store.connections.transactions import Tx
from daemon.adapters.store.leases import acts
from daemon.adapters.store.outbox import history
from daemon.adapters.store.outbox.publishing import COUNT_UNPUBLISHED
from daemon.adapters.store.tables import HISTORY, OUTBOX
from daemon.ports.errors import TemporaryError
from daemon.ports.store.leases import Change
from daemon.ports.store.store import Store
from schemas.records import Message
from schemas.resets import ResetState
from schemas.status import Status
from schemas.wire import StepName
from statemachines.history.status import next_status
from statemachines.history.status_record import Subject, committed, status_record
from tests.contract.store.conftest import TOPICS
from tests.contract.store.making import (
    NOW,
    act,
    admitted,
    asked,
    begun,
    dead,
    different,
    eventually,
    moved,
    taken,
)


async def test_status_events_are_cloud_events_that_follow_each_other(store: Store) -> None:
    found = await begun(store, event="cause")
    await store.save(moved(found, ResetState.QUEUED))
    first, second = await store.unpublished(10)
    assert first.id < second.id
    message = second.message
    assert (message.topic, message.key) == ("status", b"qa-sandbox")
    headers = {name: value for name, value in message.headers if value is not None}
    event = from_kafka(KafkaMessage(headers, message.key, message.value or b""), JSONFormat())
    attributes = event.get_attributes()
    assert attributes["id"] == f"{found.reset.id}/2"
    assert attributes["source"] == "/resetd"
    assert attributes["type"] == "com.fuse.environment.reset.queued.v1"
    assert attributes["subject"] == f"qa-sandbox/{found.reset.id}"
    assert attributes["partitionkey"] == "qa-sandbox"
    assert attributes["correlationid"] == found.reset.id
    assert attributes["causationid"] == "cause"
    assert attributes["traceparent"] == found.reset.trace_parent
    status = Status.model_validate(event.get_data())
    assert (status.state, status.sequence, status.environment_sequence) == (ResetState.QUEUED, 2, 2)
    assert status.requested_by == ("ann",)
    assert status.request is not None
    assert status.request.id == "cause"


@pytest.mark.parametrize("text", ["", "€ \U0001f600 \u2028", '"\\/', "a\nb\x01", "nul \x00"])
async def test_a_status_is_made_of_its_line_of_history_byte_for_byte(store: Store, text: str) -> None:
    found = await begun(store, event=f"e-{text.encode().hex()}")
    reset = found.reset.model_copy(update={"detail": text, "hint": text, "stopped_at": StepName("b.a")})
    told, entry = next_status(reset, at=NOW.replace(microsecond=120))
    await store.save(Change(reset=told, lease=found.lease, history=(entry,)))
    whole = committed(entry, environment_sequence=2, public_url=TOPICS.public_url)
    record = status_record(Subject.of(told), whole)
    message = Message(TOPICS.status, record.key, record.value, record.headers)
    for _ in range(2):
        row = (await store.unpublished(10))[1]
        assert row.message == message


async def test_a_line_that_is_gone_stops_the_outbox_instead_of_leaving_a_gap(sql_store: SqlStore) -> None:
    found = await begun(sql_store)
    await sql_store.save(moved(found, ResetState.QUEUED))

    async def lose(tx: Tx) -> None:
        await tx.connection.execute(HISTORY.delete().where(HISTORY.c.sequence == 1))

    await sql_store._write(lose)
    with pytest.raises(TemporaryError, match="line 1 of the history"):
        await sql_store.unpublished(10)


async def test_what_was_published_or_refused_is_not_given_again(store: Store) -> None:
    for number in range(4):
        await admitted(store, asked(**different(number)), limit=9)
    rows = await store.unpublished(10)
    await store.published([rows[0].id, rows[1].id], {rows[2].id: "too large"}, now=NOW)
    assert await store.unpublished(10) == rows[3:]
    await store.published([], {}, now=NOW)


async def test_what_waits_to_be_published_is_counted(store: Store) -> None:
    assert await store.count_unpublished() == 0
    for number in range(6):
        await admitted(store, asked(**different(number)), limit=9)
    assert await store.count_unpublished() == len(await store.unpublished(10)) == 6
    rows = await store.unpublished(3)
    assert await store.count_unpublished() == 6
    await store.published([rows[0].id, rows[1].id], {rows[2].id: "too large"}, now=NOW)
    assert await store.count_unpublished() == 3


async def test_the_count_reads_only_what_waits_and_not_what_was_ever_published(sql_store: SqlStore) -> None:
    async def publish_many(tx: Tx) -> None:
        rows = [{"topic": "status", "value": b"{}", "published_at": NOW} for _ in range(5000)]
        await tx.connection.execute(OUTBOX.insert(), rows)

    async def planned(tx: Tx) -> str:
        if tx.postgres:  # before the server's own statistics come, which they do at some moment
            await tx.connection.execute(text("ANALYZE outbox"))
        explain = "EXPLAIN" if tx.postgres else "EXPLAIN QUERY PLAN"
        return str(list(await tx.connection.execute(text(f"{explain} {COUNT_UNPUBLISHED}"))))

    await sql_store._write(publish_many)
    await taken(sql_store, dead(0))
    assert await sql_store.count_unpublished() == 1
    assert "ix_outbox_waiting" in await sql_store._read(planned)


async def test_the_outbox_is_in_the_order_of_the_commits_and_given_by_pieces(store: Store) -> None:
    found = [await begun(store, **different(number)) for number in range(3)]
    for claim in reversed(found):
        await store.save(moved(claim, ResetState.QUEUED))
    rows = await store.unpublished(100)
    subjects = [json.loads(row.message.value or b"")["resetId"] for row in rows]
    assert subjects == [claim.reset.id for claim in found] + [claim.reset.id for claim in reversed(found)]
    assert await store.unpublished(2) == rows[:2]


async def test_one_process_publishes_at_a_time_until_its_time_is_over(store: Store) -> None:
    assert await store.may_publish("one", ttl=30)
    assert await store.may_publish("one", ttl=0.2)
    assert await eventually(lambda: store.may_publish("two", ttl=30))
    assert not await store.may_publish("one", ttl=30)
    await store.release_all()
    assert await store.may_publish("one", ttl=30)


async def test_a_dead_letter_is_published_byte_for_byte_and_shown(store: Store) -> None:
    headers = (("a", b"\x00\xff"), ("a", b""), ("none", None), ("", b"nameless"))
    odd = Message("dead-letters", None, None, headers)
    letter = dead(0)
    await taken(
        store, letter, asked(), dead(2), letter.__class__(odd, letter.reason, "empty", "requests", 0, 3)
    )
    rows = await store.unpublished(10)
    letters = [row.message for row in rows if row.message.topic == "dead-letters"]
    assert letters == [letter.message, dead(2).message, odd]
    shown = await store.dead_letters()
    assert [
        (letter["topic"], letter["partition"], letter["offset"], letter["reason"]) for letter in shown
    ] == [
        ("requests", 0, 3, "malformed-json"),
        ("requests", 0, 2, "malformed-json"),
        ("requests", 0, 0, "malformed-json"),
    ]
    assert await store.dead_letters(limit=1) == shown[:1]


async def test_a_dead_letter_that_the_broker_refuses_stays_and_blocks_nothing(store: Store) -> None:
    await taken(store, dead(0), dead(1))
    first, second = await store.unpublished(10)
    await store.published([second.id], {first.id: "larger than the broker takes"}, now=NOW)
    assert await store.unpublished(10) == ()
    newest, oldest = await store.dead_letters()
    assert (oldest["refused"], oldest["published_at"]) == ("larger than the broker takes", None)
    assert (newest["refused"], newest["published_at"]) == (None, NOW)


async def test_ids_are_given_in_the_order_of_the_commits_however_long_a_commit_takes(
    sql_store: SqlStore,
) -> None:
    reset = await admitted(sql_store)
    written, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(tx: Tx) -> list[int]:
        [appended] = await acts.append(tx, [act(reset.id)])
        ids = await history.append(tx, [], others=[dead(0).message])
        written.set()
        await go_on.wait()
        return [appended.id, *ids]

    slow = asyncio.ensure_future(sql_store._write(slowly))
    await written.wait()
    quick = asyncio.ensure_future(sql_store.append_act(act(reset.id)))
    told = asyncio.ensure_future(taken(sql_store, dead(1)))
    done, _ = await asyncio.wait({quick, told}, timeout=0.3)
    go_on.set()
    first_act, first_row = await slow
    await told
    assert not done
    assert (await quick).id > first_act
    assert [row.id for row in await sql_store.unpublished(10)][1] == first_row
