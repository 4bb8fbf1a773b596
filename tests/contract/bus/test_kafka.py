"""What only a broker can do: be killed, hold what no client could write, spread keys as the Java client does."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import murmur2
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from daemon.adapters.kafka.connection import Connection
from daemon.adapters.kafka.inbox import KafkaInbox
from daemon.adapters.kafka.outlet import KafkaOutlet
from daemon.ports.errors import TemporaryError
from sandbox.platform.child_processes import Child, start
from schemas.records import LastRecord, Message
from statemachines.intake.record_digest import record_digest
from tests.contract.bus.stands import KafkaStand, Stored, read


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Child]:
    """Run a broker of the test's own."""
    broker = start("sandbox.kafka", [], log=tmp_path / "log")
    yield broker
    broker.stop()


def test_keys_are_hashed_as_the_java_client_hashes_them() -> None:
    # Values of org.apache.kafka.common.utils.UtilsTest.
    assert murmur2(b"21") - 2**32 == -973932308
    assert murmur2(b"foobar") - 2**32 == -790332482
    assert murmur2(b"a-little-bit-long-string") - 2**32 == -985981536


async def test_a_header_name_that_is_no_utf8_neither_blocks_the_partition_nor_is_changed(
    kafka: KafkaStand,
) -> None:
    class Raw(str):
        __slots__ = ()

        def encode(self, *_: object, **__: object) -> bytes:
            return b"\xff\xfe"

    stand = kafka
    async with AIOKafkaProducer(bootstrap_servers=stand.connection.bootstrap_servers) as producer:
        await producer.send_and_wait(stand.topic, b"before", partition=0)
        batch = producer.create_batch()
        batch._builder = _DefaultRecordBatchBuilderPy(
            2, 0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=0, batch_size=16384
        )
        for value in (b"good", b"garbage"):
            headers = [(Raw("name"), b"\x00")] if value == b"garbage" else []
            batch.append(timestamp=None, key=b"k", value=value, headers=headers)
        await (await producer.send_batch(batch, stand.topic, partition=0))
        await producer.send_and_wait(stand.topic, b"after", partition=0)
        await producer.send_and_wait(stand.topic, b"elsewhere", partition=1)
    inbox = stand.inbox()
    await inbox.start(Stored())
    records = await read(inbox, 5)
    assert [list(await inbox.poll(timeout=0.2)) for _ in range(2)] == [[], []]
    await inbox.stop()
    assert [r.value for r in records if r.partition == 0] == [b"before", b"good", b"garbage", b"after"]
    assert [r.value for r in records if r.partition == 1] == [b"elsewhere"]
    (garbage,) = [r for r in records if r.value == b"garbage"]
    assert garbage.key == b"k"
    assert [(name.encode("utf-8", "surrogateescape"), value) for name, value in garbage.headers] == [
        (b"\xff\xfe", b"\x00")
    ]


async def test_b7_a_log_that_is_another_one_while_the_consumer_runs_is_read_from_its_beginning(
    kafka: KafkaStand,
) -> None:
    """As after `docker compose down --volumes` and `up`: the consumer runs on, its position is in the new log."""
    inbox = kafka.inbox()
    await inbox.start(Stored())
    message = Message(kafka.topic, b"k", b"0", ())
    await kafka.put(message, partition=0)
    (record,) = await read(inbox, 1)
    partition = TopicPartition(kafka.topic, 0)
    await kafka.put(replace(message, value=b"1"), partition=0)
    assert [each.value for each in await read(inbox, 1)] == [b"1"]
    # The last record that it knows is of a log that is gone.
    inbox._sought.last[partition] = LastRecord(1, record_digest(record))
    await kafka.put(replace(message, value=b"2"), partition=0)
    assert [each.value for each in await read(inbox, 3)] == [b"0", b"1", b"2"]
    await kafka.put(replace(message, value=b"3"), partition=0)
    assert [each.value for each in await read(inbox, 1)] == [b"3"]
    await inbox.stop()


async def test_a_broker_that_dies_means_a_temporary_error_and_closing_does_not_hang(
    mortal: Child,
) -> None:
    bootstrap, process = mortal.ready["bootstrap"], mortal.process
    connection = Connection(bootstrap, request_timeout=2)
    inbox = KafkaInbox(connection, group_id="g", topics=["t"], session_timeout=2)
    outlet = KafkaOutlet(connection)
    await inbox.start(Stored())
    await outlet.start()
    assert list(await outlet.publish([Message("t", b"k", b"v", ())])) == [None]
    assert len(await read(inbox, 1)) == 1
    process.kill()
    process.wait()
    with pytest.raises(TemporaryError):
        await outlet.publish([Message("t", b"k", b"v", ())])
    loop = asyncio.get_running_loop()
    before = loop.time()
    assert list(await inbox.poll(timeout=0.2)) == []
    assert loop.time() - before < 1
    await inbox.acknowledge({("t", 0): 1})
    await inbox.stop()
    await outlet.stop()
    assert loop.time() - before < 20
    assert threading.active_count() < 20


async def test_nobody_at_the_address_is_a_temporary_error_without_the_password(unused_tcp_port: int) -> None:
    connection = Connection(
        f"127.0.0.1:{unused_tcp_port}",
        security_protocol="SASL_PLAINTEXT",
        sasl_username="resetd",
        sasl_password="hush",
        request_timeout=2,
    )
    inbox = KafkaInbox(connection, group_id="g", topics=["t"])
    outlet = KafkaOutlet(connection)
    with pytest.raises(TemporaryError) as refused:
        await inbox.start(Stored())
    assert "hush" not in str(refused.value) + repr(connection)
    with pytest.raises(TemporaryError):
        await outlet.start()
    await inbox.stop()
    await outlet.stop()


async def test_a_member_that_was_killed_is_succeeded_by_another(mock_broker: str) -> None:
    stand = KafkaStand(mock_broker)
    await stand.put(Message(stand.topic, None, b"v", ()), partition=0)
    await asyncio.to_thread(read_and_killed, stand)
    second = stand.inbox()
    await second.start(Stored())
    (record,) = await read(second, 1)
    assert record.value == b"v"
    await second.stop()


def read_and_killed(stand: KafkaStand) -> None:
    """Another member reads the record and is killed. It does not leave the group, so its session times out."""
    arguments = (stand.connection.bootstrap_servers, stand.group, stand.topic)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.contract.bus.member", *arguments], stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            # Between lines of its log.
            assert b"read\n" in iter(process.stdout.readline, b"")
        finally:
            process.kill()
