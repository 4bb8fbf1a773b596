"""Records of aborted transactions: never read, on either path by which the inbox reads."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from daemon.adapters.kafka.non_utf8_headers import Aborted, decoded
from tests.contract.bus.stands import KafkaStand, Stored, read

PARTITION = TopicPartition("t", 0)
ABORTING, COMMITTING, PLAIN = 7, 8, -1
ABORT = b"\x00\x00\x00\x00"
COMMIT = b"\x00\x00\x00\x01"


def batch(offset: int, value: bytes, *, producer: int = PLAIN, marker: bytes | None = None) -> bytes:
    """One record at an offset, or a control batch with a marker."""
    builder = DefaultRecordBatchBuilder(
        2, 0, is_transactional=int(producer != PLAIN), producer_id=producer, producer_epoch=0, base_sequence=0,
        batch_size=16384,
    )  # fmt: skip
    builder.append(0, timestamp=1, key=marker, value=value, headers=[])
    data = bytearray(builder.build())
    data[0:8] = offset.to_bytes(8, "big")
    if marker is not None:
        data[22] |= 0x20  # attributes: a control batch
    return bytes(data)


def values(log: Sequence[bytes], transactions: Sequence[tuple[int, int]]) -> list[bytes | None]:
    return [record.value for record in decoded(PARTITION, 0, b"".join(log), Aborted(transactions))]


def test_b9_of_a_fetch_with_an_aborted_transaction_its_records_are_left_out() -> None:
    log = [
        batch(0, b"plain"),
        batch(1, b"aborted", producer=ABORTING),
        batch(2, b"committed", producer=COMMITTING),
        batch(3, b"aborted, too", producer=ABORTING),
        batch(4, b"", producer=ABORTING, marker=ABORT),
        batch(5, b"", producer=COMMITTING, marker=COMMIT),
    ]
    assert values(log, [(ABORTING, 1)]) == [b"plain", b"committed"]


def test_b9_a_producer_that_aborted_once_and_committed_then_is_believed_again() -> None:
    log = [
        batch(0, b"aborted", producer=ABORTING),
        batch(1, b"", producer=ABORTING, marker=ABORT),
        batch(2, b"asked again", producer=ABORTING),
        batch(3, b"", producer=ABORTING, marker=COMMIT),
        batch(4, b"aborted again", producer=ABORTING),
        batch(5, b"", producer=ABORTING, marker=ABORT),
    ]
    assert values(log, [(ABORTING, 4), (ABORTING, 0)]) == [b"asked again"]


@pytest.mark.e2e
@pytest.mark.parametrize("kafka", ["given"], indirect=True)
async def test_b9_an_aborted_transaction_on_a_real_broker_brings_nothing(kafka: KafkaStand) -> None:
    bootstrap = kafka.connection.bootstrap_servers
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap, transactional_id=f"test-{kafka.topic}"
    ) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(kafka.topic, b"aborted", partition=0)
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(kafka.topic, b"committed", partition=0)
    inbox = kafka.inbox()
    await inbox.start(Stored())
    assert [record.value for record in await read(inbox, 1)] == [b"committed"]
    assert list(await inbox.poll(timeout=0.3)) == []
    await inbox.stop()


@pytest.mark.e2e
@pytest.mark.parametrize("kafka", ["given"], indirect=True)
async def test_b9_the_consumer_that_goes_on_after_a_marker_reads_what_comes_next(kafka: KafkaStand) -> None:
    bootstrap = kafka.connection.bootstrap_servers
    stored = Stored()
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap, transactional_id=f"test-{kafka.topic}"
    ) as producer:
        async with producer.transaction():
            await producer.send_and_wait(kafka.topic, b"first", partition=0)
        inbox = kafka.inbox()
        await inbox.start(stored)
        (first,) = await read(inbox, 1)
        await inbox.stop()
        stored.after(first)
        async with producer.transaction():
            await producer.send_and_wait(kafka.topic, b"second", partition=0)
    second = kafka.inbox()
    await second.start(stored)
    assert [record.value for record in await read(second, 1)] == [b"second"]
    await second.stop()
