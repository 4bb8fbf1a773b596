"""The intake's consumer. Offsets belong to the state database; the broker is told them for its lag figures only.

One rule keeps it right through every rebalance: a partition is read only after the consumer has sought the position
that the database holds. A revocation, a rewind or an error in the middle of a read makes all sought positions
invalid, and what a read brings that began before is dropped.

An offset belongs to a log. A broker or a topic may be made anew while the consumer runs on, and its old position may be
in the middle of the new log. So what a read brings counts once the record before it is shown to be there still.

Over 300 lines: one position for each partition, and all that makes it valid or ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from daemon.adapters.kafka import non_utf8_headers
from daemon.adapters.kafka.connection import Connection, close, unavailable
from daemon.ports.bus import Positions
from schemas.records import LastRecord, Record
from statemachines.intake.record_digest import record_digest

_log = structlog.get_logger(__name__)

_MAX_POLL_RECORDS = 300
_COMMIT_TIMEOUT_SECONDS = 2.0
_ASSIGNMENT_POLL_SECONDS = 0.2
"""How often a consumer without partitions asks whether it was assigned some."""
_MAX_PARTITION_FETCH_BYTES = 8 * 1024 * 1024
"""More than a broker takes by default, so that a record of any size comes through."""
_ONE_BATCH_BYTES = 1
"""A broker answers with the first batch, however large it is (KIP-74). One that does not is asked for more."""


class _SoughtPositions(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no annotations
    """The partitions that were sought, and the next offset of each.

    aiokafka calls the methods of its listener, so they neither wait nor fail.
    """

    def __init__(self) -> None:
        self.epoch = 0
        """Grows whenever the positions become invalid."""
        self.next: dict[TopicPartition, int] = {}
        self.to_show: dict[TopicPartition, LastRecord] = {}
        """The record that has to come first, or the log is another one than the position belongs to."""
        self.beginnings: dict[TopicPartition, int] = {}
        """Where the logs begin of which something is to be shown."""
        self.last: dict[TopicPartition, LastRecord] = {}
        """The record that was read last. It is still there, or the log is another one by now."""

    def invalidate(self) -> None:
        self.epoch += 1
        self.next.clear()
        self.to_show.clear()
        self.beginnings.clear()
        self.last.clear()

    def on_partitions_revoked(self, revoked: AbstractSet[TopicPartition]) -> None:
        _log.debug("partitions revoked", partitions=len(revoked))
        self.invalidate()

    def on_partitions_assigned(self, assigned: AbstractSet[TopicPartition]) -> None:
        _log.info("partitions assigned", partitions=len(assigned))
        self.invalidate()


class KafkaInbox:
    """Implements `daemon.ports.bus.Inbox`. The group notices within `session_timeout` seconds that a member died."""

    def __init__(
        self,
        connection: Connection,
        *,
        group_id: str,
        topics: Sequence[str],
        session_timeout: float = 10.0,
    ) -> None:
        self._connection = connection
        self._group_id = group_id
        self._topics = tuple(topics)
        self._session_timeout = session_timeout
        self._sought = _SoughtPositions()
        self._consumer: Any = None
        self._shown: tuple[object, ...] = ()
        self._positions: Positions | None = None
        self._reading: asyncio.Task[list[Record]] | None = None

    async def start(self, positions: Positions) -> None:
        """See the port. It only connects: partitions come while polling."""
        self._positions = positions
        await self._open()

    async def poll(self, *, timeout: float) -> Sequence[Record]:
        """See the port. A read that takes longer than `timeout` goes on, and a later poll returns what it brings."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._read(timeout), name="kafka-read")
        await asyncio.wait({self._reading}, timeout=timeout)
        if not self._reading.done():
            return ()
        reading, self._reading = self._reading, None
        return reading.result()

    async def rewind(self) -> None:
        """See the port. The next poll seeks."""
        self._sought.invalidate()
        await self._cancel_read()

    async def acknowledge(self, positions: Mapping[tuple[str, int], int]) -> None:
        """See the port. A refused commit is only logged: the offsets that count are in the database."""
        if self._consumer is None:
            return
        offsets = {TopicPartition(*partition): offset for partition, offset in positions.items()}
        assigned = self._consumer.assignment()
        committed = {partition: offset for partition, offset in offsets.items() if partition in assigned}
        try:
            if committed:
                async with asyncio.timeout(_COMMIT_TIMEOUT_SECONDS):
                    await self._consumer.commit(committed)
        except (KafkaError, TimeoutError) as error:
            _log.debug("offsets not acknowledged", error=type(error).__name__)

    async def stop(self) -> None:
        """See the port."""
        await self._cancel_read()
        await self._close()

    async def _open(self) -> None:
        self._shown = self._connection.shown()
        # Without topics `start` only connects. With topics it waits for the whole rebalance, and an error of that (a
        # mock broker's InvalidRequestError, for example) leaves a consumer that can't be started again.
        consumer = AIOKafkaConsumer(
            **self._connection.options(),
            group_id=self._group_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            session_timeout_ms=int(self._session_timeout * 1000),
            heartbeat_interval_ms=int(self._session_timeout * 1000 / 4),
            max_partition_fetch_bytes=_MAX_PARTITION_FETCH_BYTES,
        )
        try:
            await consumer.start()
        except (KafkaError, OSError) as error:
            await close(consumer.stop, consumer._client)  # noqa: SLF001 - `stop` may leave it open
            raise unavailable(error) from error
        self._sought.invalidate()
        consumer.subscribe(self._topics, listener=self._sought)
        self._consumer = consumer

    async def _close(self) -> None:
        consumer, self._consumer = self._consumer, None
        self._sought.invalidate()
        if consumer is not None:
            await close(consumer.stop, consumer._client)  # noqa: SLF001 - as above

    async def _cancel_read(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            await asyncio.wait({reading})

    async def _read(self, timeout: float) -> list[Record]:
        if self._consumer is not None and self._shown != self._connection.shown():
            _log.info("kafka.credentials-rotated")
            await self._close()
        if self._consumer is None:
            await self._open()
        try:
            await self._seek_assigned()
            epoch = self._sought.epoch
            wait = timeout if self._sought.next else min(timeout, _ASSIGNMENT_POLL_SECONDS)
            found = await self._consumer.getmany(timeout_ms=int(wait * 1000), max_records=_MAX_POLL_RECORDS)
            if epoch == self._sought.epoch:
                for partition in list(found):
                    if not await self._is_same_log(partition):
                        del found[partition]
        except UnicodeDecodeError:
            return await self._read_non_utf8()
        except KafkaError as error:
            # The group's coordinator may have said its last word with it: only a new consumer goes on for certain.
            _log.warning("kafka consumer is made anew", error=type(error).__name__)
            await self._close()
            raise unavailable(error) from error
        if epoch != self._sought.epoch:
            return []
        return [
            record
            for partition, items in found.items()
            for record in self._advance(partition, [_record(item) for item in items])
        ]

    async def _seek_assigned(self) -> None:
        """Seek each assigned partition that was not sought yet to its stored position."""
        epoch = self._sought.epoch
        new = [partition for partition in self._consumer.assignment() if partition not in self._sought.next]
        if not new or self._positions is None:
            return
        stored = await self._positions([(partition.topic, partition.partition) for partition in new])
        known = [partition for partition in new if (partition.topic, partition.partition) in stored]
        beginnings = await self._consumer.beginning_offsets(known) if known else {}
        ends = await self._consumer.end_offsets(known) if known else {}
        if epoch != self._sought.epoch:
            return
        for partition in new:
            position = stored.get((partition.topic, partition.partition))
            if position is None:
                # An offset that the topic does not have makes aiokafka go to the beginning, also for 0.
                self._seek(partition, 0)
            elif ends[partition] < position.next:
                self._begin_anew(partition, beginnings[partition], position.next)
            elif position.last is None:
                self._seek(partition, position.next)
            elif beginnings[partition] > position.last.offset:
                self._begin_anew(partition, beginnings[partition], position.next)
            else:
                self._seek(partition, position.last.offset)
                self._sought.to_show[partition] = position.last
                self._sought.beginnings[partition] = beginnings[partition]

    async def _is_same_log(self, partition: TopicPartition) -> bool:
        """Whether the record that was read last is still there; else the partition begins anew.

        Raises:
            KafkaError: of aiokafka.
        """
        epoch, last = self._sought.epoch, self._sought.last.get(partition)
        if last is None:
            return True
        client = self._consumer._client  # noqa: SLF001 - no other way to read beside the position
        records: list[Record] = []
        with suppress(OffsetOutOfRangeError):
            for size in (_ONE_BATCH_BYTES, _MAX_PARTITION_FETCH_BYTES):
                records = records or await non_utf8_headers.fetch(
                    client, partition, last.offset, max_bytes=size
                )
        if records and LastRecord(records[0].offset, record_digest(records[0])) == last:
            return True
        beginning = (await self._consumer.beginning_offsets([partition]))[partition]
        if epoch == self._sought.epoch:
            self._begin_anew(partition, beginning, last.offset + 1)
        return False

    def _seek(self, partition: TopicPartition, offset: int) -> None:
        self._consumer.seek(partition, offset)
        self._sought.next[partition] = offset

    def _begin_anew(self, partition: TopicPartition, beginning: int, stored: int) -> None:
        """Read a log from its beginning that the stored position is not shown to belong to."""
        _tell_anew(partition, stored=stored, found=beginning)
        self._seek(partition, beginning)
        self._sought.last.pop(partition, None)

    def _advance(self, partition: TopicPartition, records: list[Record]) -> list[Record]:
        """Move a partition's next offset past these records, and return them; none of a partition not sought.

        A partition that begins anew is logged.
        """
        expected = self._sought.next.get(partition)
        if expected is None or not records:
            return []
        last = self._sought.to_show.pop(partition, None)
        if last is not None:
            first, *records = records
            if LastRecord(first.offset, record_digest(first)) != last:
                self._begin_anew(partition, self._sought.beginnings[partition], last.offset + 1)
                return []
            self._sought.next[partition] = last.offset + 1
            self._sought.last[partition] = last
            if not records:
                return []
        elif records[0].offset < expected:
            # aiokafka went to the beginning by itself: the log has no such offset any more.
            _tell_anew(partition, stored=expected, found=records[0].offset)
        self._sought.next[partition] = records[-1].offset + 1
        self._sought.last[partition] = LastRecord(records[-1].offset, record_digest(records[-1]))
        return records

    async def _read_non_utf8(self) -> list[Record]:
        """Read the batch that aiokafka can't decode. Other partitions' records of the failed read are read again."""
        sought = dict(self._sought.next)
        epoch = self._sought.epoch
        client = self._consumer._client  # noqa: SLF001 - no other way in
        try:
            for partition, offset in sought.items():
                records = await non_utf8_headers.fetch(client, partition, offset)
                if records and not await self._is_same_log(partition):
                    continue
                if epoch != self._sought.epoch:
                    return []
                advanced = self._advance(partition, records)
                for other, position in self._sought.next.items():
                    self._consumer.seek(other, position)
                if advanced:
                    return advanced
        except KafkaError as error:
            self._sought.invalidate()
            raise unavailable(error) from error
        self._sought.invalidate()
        return []


def _tell_anew(partition: TopicPartition, *, stored: int, found: int) -> None:
    _log.warning(
        "the topic was made anew, or lost its end: starting at its beginning",
        topic=partition.topic,
        partition=partition.partition,
        stored=stored,
        found=found,
    )


def _record(item: ConsumerRecord) -> Record:
    return Record(
        topic=item.topic,
        partition=item.partition,
        offset=item.offset,
        key=item.key,
        value=item.value,
        headers=tuple(item.headers),
        timestamp_ms=item.timestamp,
    )
