"""The bus in memory: topics with partitions and offsets, groups that share them, outages on demand."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping, Sequence

from daemon.ports.bus import Positions
from daemon.ports.errors import TemporaryError
from schemas.reasons import Reason
from schemas.records import LogPosition, Message, Record
from statemachines.intake.record_digest import record_digest

_MAX_POLL_RECORDS = 300

Partition = tuple[str, int]
"""A topic, and the number of one of its partitions."""


class MemoryBus:
    """A broker. `down = True` is an outage; `max_message_bytes` is the largest message that it takes."""

    def __init__(self, *, partitions: int = 3, max_message_bytes: int = 1024 * 1024) -> None:
        self.down = False
        self.max_message_bytes = max_message_bytes
        self.acknowledged: dict[tuple[str, Partition], int] = {}
        """(group, partition) -> the offset that the group's member told."""
        self._count = partitions
        self._logs: dict[str, list[list[Record]]] = {}
        self._members: dict[str, list[MemoryInbox]] = {}
        self._waiting: list[asyncio.Future[None]] = []

    async def append(
        self, message: Message, *, partition: int | None = None, timestamp_ms: int = 0
    ) -> Record:
        """Append a record, as any client of the broker might."""
        if partition is None:
            partition = 0 if message.key is None else zlib.crc32(message.key) % self._count
        log = self._topic(message.topic)[partition]
        record = Record(
            topic=message.topic,
            partition=partition,
            offset=len(log),
            key=message.key,
            value=message.value,
            headers=message.headers,
            timestamp_ms=timestamp_ms,
        )
        log.append(record)
        await self.notify()
        return record

    def records(self, topic: str) -> list[Record]:
        """Return all records of a topic, partition after partition."""
        return [record for log in self._topic(topic) for record in log]

    def make_anew(self, topic: str) -> None:
        """Delete the topic and create it again, empty."""
        self._logs.pop(topic, None)

    async def notify(self) -> None:
        """Wake all members that poll."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def wait(self) -> None:
        """Wait for the next change. No member waits for another one, which may be paused or dead."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        await waiting

    async def join(self, member: MemoryInbox, group: str) -> None:
        """Add a member, and assign the partitions anew."""
        self._members.setdefault(group, []).append(member)
        await self._rebalance(group)

    async def leave(self, member: MemoryInbox, group: str) -> None:
        """Remove a member, and assign the partitions anew."""
        if member in self._members.get(group, []):
            self._members[group].remove(member)
            await self._rebalance(group)

    def assignment(self, member: MemoryInbox, group: str, topics: Sequence[str]) -> list[Partition]:
        """Return the partitions of a member: every n-th one."""
        members = self._members.get(group, [])
        if member not in members:
            return []
        every = [(topic, number) for topic in topics for number in range(self._count)]
        return every[members.index(member) :: len(members)]

    def read(self, partition: Partition, offset: int, limit: int) -> list[Record]:
        """Return records from `offset` on, or from the beginning where there is no such offset."""
        topic, number = partition
        log = self._topic(topic)[number]
        start = offset if offset <= len(log) else 0
        return log[start : start + limit]

    async def _rebalance(self, group: str) -> None:
        for member in self._members[group]:
            member.forget_positions()
        await self.notify()

    def _topic(self, topic: str) -> list[list[Record]]:
        return self._logs.setdefault(topic, [[] for _ in range(self._count)])


class MemoryInbox:
    """Implements `daemon.ports.bus.Inbox` on a `MemoryBus`."""

    def __init__(self, bus: MemoryBus, *, group_id: str, topics: Sequence[str]) -> None:
        self._bus = bus
        self._group = group_id
        self._topics = tuple(topics)
        self._positions: Positions | None = None
        self._next: dict[Partition, int] = {}

    async def start(self, positions: Positions) -> None:
        """See the port."""
        if self._bus.down:
            raise _down()
        self._positions = positions
        await self._bus.join(self, self._group)

    async def poll(self, *, timeout: float) -> Sequence[Record]:
        """See the port."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    found = await self._read()
                    if found:
                        return found
                    await self._bus.wait()
        except TimeoutError:
            return ()

    async def rewind(self) -> None:
        """See the port."""
        self.forget_positions()

    async def acknowledge(self, positions: Mapping[Partition, int]) -> None:
        """See the port. The offsets are kept in `MemoryBus.acknowledged`."""
        assigned = self._bus.assignment(self, self._group, self._topics)
        self._bus.acknowledged |= {
            (self._group, partition): offset
            for partition, offset in positions.items()
            if partition in assigned
        }

    async def stop(self) -> None:
        """See the port."""
        await self._bus.leave(self, self._group)

    def forget_positions(self) -> None:
        """Ask for the stored positions again before the next read: the assignment may be another one."""
        self._next.clear()

    async def _read(self) -> list[Record]:
        if self._bus.down or self._positions is None:
            return []
        assigned = self._bus.assignment(self, self._group, self._topics)
        new = [partition for partition in assigned if partition not in self._next]
        if new:
            stored = await self._positions(new)
            self._next |= {partition: self._start(partition, stored.get(partition)) for partition in new}
        found: list[Record] = []
        for partition in assigned:
            records = self._bus.read(partition, self._next.get(partition, 0), _MAX_POLL_RECORDS - len(found))
            if records:
                self._next[partition] = records[-1].offset + 1
                found += records
        return found

    def _start(self, partition: Partition, stored: LogPosition | None) -> int:
        """The offset to read from: the stored one where the log is shown to be the one that it belongs to."""
        if stored is None:
            return 0
        log = self._bus.read(partition, 0, stored.next)
        if len(log) < stored.next:
            return 0
        if stored.last is None:
            return stored.next
        last = log[stored.last.offset]
        return stored.next if record_digest(last) == stored.last.digest else 0


class MemoryOutlet:
    """Implements `daemon.ports.bus.Outlet` on a `MemoryBus`."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus

    async def start(self) -> None:
        """See the port."""
        if self._bus.down:
            raise _down()

    async def publish(self, messages: Sequence[Message]) -> Sequence[str | None]:
        """See the port."""
        await self.start()
        return [await self._publish(message) for message in messages]

    async def stop(self) -> None:
        """See the port. Nothing is buffered."""

    async def _publish(self, message: Message) -> str | None:
        if _size(message) > self._bus.max_message_bytes:
            return f"the message has more than {self._bus.max_message_bytes} bytes"
        try:
            _ = [name.encode("utf-8", "surrogateescape") for name, _value in message.headers]
        except UnicodeEncodeError:
            return "a header's name stands for no bytes"
        await self._bus.append(message)
        return None


def _size(message: Message) -> int:
    headers = sum(len(name) + len(value or b"") for name, value in message.headers)
    return len(message.key or b"") + len(message.value or b"") + headers


def _down() -> TemporaryError:
    return TemporaryError(Reason.UNAVAILABLE, "the bus is down")
