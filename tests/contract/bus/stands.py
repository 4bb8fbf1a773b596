"""The brokers that the tests of this folder run on, and the positions that a state database would hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from daemon.adapters.kafka.connection import Connection
from daemon.adapters.kafka.inbox import KafkaInbox
from daemon.adapters.kafka.outlet import KafkaOutlet
from daemon.ports.bus import Inbox, Outlet
from schemas.records import LastRecord, LogPosition, Message, Record
from statemachines.intake.record_digest import record_digest
from tests.memory.bus import MemoryBus, MemoryInbox, MemoryOutlet

WITHIN = 60.0


class Stand(Protocol):
    """A broker with topics of this test's own."""

    topic: str

    def inbox(self) -> Inbox: ...

    def outlet(self) -> Outlet: ...

    async def put(self, message: Message, *, partition: int) -> None: ...


class KafkaStand:
    def __init__(self, bootstrap: str, *, group: str | None = None, topic: str | None = None) -> None:
        """`group` and `topic`: those of another process's stand; None: new ones."""
        self.topic = topic or f"t-{uuid4()}"
        self.connection = Connection(bootstrap, request_timeout=5)
        self.group = group or f"g-{uuid4()}"

    def inbox(self) -> KafkaInbox:
        return KafkaInbox(self.connection, group_id=self.group, topics=[self.topic], session_timeout=2)

    def outlet(self) -> KafkaOutlet:
        return KafkaOutlet(self.connection)

    async def put(self, message: Message, *, partition: int) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self.connection.bootstrap_servers) as producer:
            await producer.send_and_wait(
                message.topic,
                message.value,
                key=message.key,
                headers=list(message.headers),
                partition=partition,
            )


@asynccontextmanager
async def own_topic(
    bootstrap: str, name: str, *, partitions: int = 4, configs: Mapping[str, str] | None = None
) -> AsyncIterator[str]:
    """Make a topic on a real broker, and delete it in the end."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=dict(configs or {}))])
        await _led(admin, name, partitions)
        yield name
        await admin.delete_topics([name])
    finally:
        await admin.close()


async def _led(admin: AIOKafkaAdminClient, name: str, partitions: int) -> None:
    """Wait until each partition has a leader. The broker answers the creation before that."""
    async with asyncio.timeout(WITHIN):
        while True:
            (found,) = await admin.describe_topics([name])
            if sum(partition["leader"] >= 0 for partition in found["partitions"]) == partitions:
                return
            await asyncio.sleep(0.05)


class MemoryStand:
    def __init__(self) -> None:
        self.topic = "t"
        self.bus = MemoryBus()

    def inbox(self) -> MemoryInbox:
        return MemoryInbox(self.bus, group_id="g", topics=[self.topic])

    def outlet(self) -> MemoryOutlet:
        return MemoryOutlet(self.bus)

    async def put(self, message: Message, *, partition: int) -> None:
        await self.bus.append(message, partition=partition)


class Stored:
    """The positions that a state database would hold."""

    def __init__(self, positions: Mapping[tuple[str, int], int] | None = None) -> None:
        self.positions = {at: LogPosition(offset) for at, offset in (positions or {}).items()}
        self.asked: list[tuple[tuple[str, int], ...]] = []

    def after(self, record: Record) -> None:
        """Store the position after a record, as the intake does."""
        last = LastRecord(record.offset, record_digest(record))
        self.positions[record.topic, record.partition] = LogPosition(record.offset + 1, last)

    async def __call__(self, partitions: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], LogPosition]:
        self.asked.append(tuple(partitions))
        return {at: self.positions[at] for at in partitions if at in self.positions}


async def read(inbox: Inbox, count: int) -> list[Record]:
    """Poll until `count` records came."""
    records: list[Record] = []
    async with asyncio.timeout(WITHIN):
        while len(records) < count:
            records += await inbox.poll(timeout=0.5)
    return records
