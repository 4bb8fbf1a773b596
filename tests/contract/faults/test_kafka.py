"""What goes wrong at Kafka, as aiokafka sees it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.structs import ConsumerRecord

from sandbox.faults import Fault, FaultKind, Faults, Group
from sandbox.platform.child_processes import start

WITHIN = 30.0


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a mock broker, and where its faults are armed."""
    directory = tmp_path_factory.mktemp("kafka") / "faults"
    arguments = ["--brokers", "2", "--faults", str(directory)]
    broker = start("sandbox.kafka", arguments, log=directory.with_name("log"))
    yield broker.ready["bootstrap"], directory
    broker.stop()


@pytest.fixture
async def faults(broker: tuple[str, Path]) -> AsyncIterator[Faults]:
    faults = Faults(broker[1])
    yield faults
    await faults.clear()


class Seats(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self) -> None:
        self.assignments: list[int] = []

    def on_partitions_revoked(self, revoked: object) -> None:
        pass

    def on_partitions_assigned(self, assigned: frozenset[TopicPartition]) -> None:
        self.assignments.append(len(assigned))


class Bus:
    """A topic of a test's own, with a consumer in a group of its own."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.topic = f"t-{uuid.uuid4()}"
        self.group = f"g-{uuid.uuid4()}"
        self.seats = Seats()

    @asynccontextmanager
    async def producer(self) -> AsyncIterator[AIOKafkaProducer]:
        async with AIOKafkaProducer(bootstrap_servers=self.bootstrap, request_timeout_ms=3000) as producer:
            yield producer

    async def send(self, value: bytes, *, key: bytes = b"qa-sandbox", partition: int = 0) -> None:
        async with self.producer() as producer:
            await producer.send_and_wait(
                self.topic, value, key=key, partition=partition, headers=[("ce_id", b"7")]
            )

    @asynccontextmanager
    async def consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap,
            group_id=self.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=2000,
            heartbeat_interval_ms=300,
            metadata_max_age_ms=2000,
            request_timeout_ms=5000,
        )
        await consumer.start()
        try:
            consumer.subscribe([self.topic], listener=self.seats)
            yield consumer
        finally:
            await consumer.stop()


@pytest.fixture
async def bus(broker: tuple[str, Path]) -> Bus:
    bus = Bus(broker[0])
    await bus.send(b"0")
    return bus


async def until(what: Callable[[], object]) -> None:
    async with asyncio.timeout(WITHIN):
        while not what():  # noqa: ASYNC110 - other processes' state
            await asyncio.sleep(0.02)


async def read(consumer: AIOKafkaConsumer, count: int) -> list[ConsumerRecord]:
    found: list[ConsumerRecord] = []
    async with asyncio.timeout(WITHIN):
        while len(found) < count:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
    return found


async def hit(faults: Faults, kind: FaultKind, consumer: AIOKafkaConsumer) -> list[ConsumerRecord]:
    """What the consumer reads until the fault has hit once."""
    found: list[ConsumerRecord] = []
    async with asyncio.timeout(WITHIN):
        while (await faults.hits()).get(kind, 0) != 1:
            for records in (await consumer.getmany(timeout_ms=100)).values():
                found += records
    return found


async def test_a_broker_is_down_for_a_while_and_keeps_what_it_has(bus: Bus, faults: Faults) -> None:
    async with bus.consumer() as consumer:
        assert len(await read(consumer, 1)) == 1
        await faults.arm(Fault(FaultKind.KAFKA_DOWN, seconds=60))
        await hit(faults, FaultKind.KAFKA_DOWN, consumer)
        host, _, port = bus.bootstrap.partition(",")[0].partition(":")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host, int(port))
        await faults.clear()
        await bus.send(b"1")
        assert [one.value for one in await read(consumer, 1)] == [b"1"]


async def test_a_leader_moves_and_the_old_one_refuses(bus: Bus, faults: Faults) -> None:
    async with bus.consumer() as consumer:
        await read(consumer, 1)
        client = consumer._client
        before = client.cluster.leader_for_partition(TopicPartition(bus.topic, 0))
        await faults.arm(Fault(FaultKind.KAFKA_LEADER_MOVED))
        await hit(faults, FaultKind.KAFKA_LEADER_MOVED, consumer)
        await client.force_metadata_update()
        assert client.cluster.leader_for_partition(TopicPartition(bus.topic, 0)) != before
        await bus.send(b"1")
        assert [one.value for one in await read(consumer, 1)] == [b"1"]


async def test_a_session_expires_and_the_member_joins_again(bus: Bus, faults: Faults) -> None:
    async with bus.consumer() as consumer:
        await read(consumer, 1)
        seated = len(bus.seats.assignments)
        await faults.arm(Fault(FaultKind.KAFKA_SESSION_EXPIRED))
        await hit(faults, FaultKind.KAFKA_SESSION_EXPIRED, consumer)
        await until(lambda: len(bus.seats.assignments) > seated)
        await bus.send(b"1")
        # Nothing was committed, so the member begins at the beginning again.
        assert [one.value for one in await read(consumer, 2)] == [b"0", b"1"]


async def test_a_second_member_takes_partitions_and_gives_them_back(bus: Bus, faults: Faults) -> None:
    await faults.concern(Group(bus.group, (bus.topic,)))
    async with bus.consumer() as consumer:
        await read(consumer, 1)
        every = bus.seats.assignments[-1]
        await faults.arm(Fault(FaultKind.KAFKA_REBALANCE, seconds=1))
        await hit(faults, FaultKind.KAFKA_REBALANCE, consumer)
        await until(lambda: min(bus.seats.assignments) < every)
        await until(lambda: bus.seats.assignments[-1] == every)


async def test_offsets_are_out_of_range_and_the_reset_policy_begins_anew(bus: Bus, faults: Faults) -> None:
    for partition in (1, 2, 3):
        await bus.send(b"0", partition=partition)
    async with bus.consumer() as consumer:
        await read(consumer, 4)
        await faults.arm(Fault(FaultKind.KAFKA_OFFSETS_EXPIRED))
        again = await hit(faults, FaultKind.KAFKA_OFFSETS_EXPIRED, consumer)
        # One fetch is of the partitions that one broker leads; those are read again.
        again = again or await read(consumer, 1)
        assert {(one.offset, one.value) for one in again} == {(0, b"0")}


async def test_an_event_of_the_environment_is_delivered_twice_byte_for_byte(bus: Bus, faults: Faults) -> None:
    await faults.concern(Group(bus.group, (bus.topic, f"{bus.topic}-that-nobody-has-made-yet")))
    await faults.arm(Fault(FaultKind.KAFKA_DUPLICATE_DELIVERY, "qa-sandbox"))
    await bus.send(b"other", key=b"acme-sandbox")
    await bus.send(b"event")
    async with bus.consumer() as consumer:
        found = await read(consumer, 4)
        assert [one.value for one in found] == [b"0", b"other", b"event", b"event"]
        first, second = found[2:]
        assert (first.key, first.headers) == (second.key, second.headers)
        await hit(faults, FaultKind.KAFKA_DUPLICATE_DELIVERY, consumer)
