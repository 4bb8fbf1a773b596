"""The intake's consumer. Offsets belong to the state database; the broker is only told them for its lag figures.

One rule keeps it right through every rebalance: a partition is read only after it was *placed*, which means
sought to the position that the database holds. Whatever unsettles the assignment (a revocation, a rewind, an
error in the middle of a read) forgets all placements, and what a read that began before it brings is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from daemon.adapters.kafka import non_utf8_headers
from daemon.adapters.kafka.connection import Connection, close
from daemon.ports.bus import Positions
from daemon.ports.errors import TemporaryError
from schemas.reasons import Reason
from schemas.records import Record

_log = structlog.get_logger(__name__)

_POLL_RECORDS = 300
_ACKNOWLEDGE_WITHIN = 2.0
_LOOK_FOR_PARTITIONS_EVERY = 0.2
_PARTITION_BYTES = 8 * 1024 * 1024  # more than a broker takes by default: a record of any size comes through


class _Seats(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no annotations
    """Which partitions are placed, and where each goes on. Called by aiokafka, so it must neither wait nor fail."""

    def __init__(self) -> None:
        self.epoch = 0
        self.expected: dict[TopicPartition, int] = {}

    def forget(self) -> None:
        self.epoch += 1
        self.expected.clear()

    def on_partitions_revoked(self, revoked: AbstractSet[TopicPartition]) -> None:
        _log.debug("partitions revoked", partitions=len(revoked))
        self.forget()

    def on_partitions_assigned(self, assigned: AbstractSet[TopicPartition]) -> None:
        _log.info("partitions assigned", partitions=len(assigned))
        self.forget()


class KafkaInbox:
    """`daemon.ports.bus.Inbox`; `session_timeout` (seconds) is how soon the group notices that this one died."""

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
        self._seats = _Seats()
        self._consumer: Any = None
        self._positions: Positions | None = None
        self._reading: asyncio.Task[list[Record]] | None = None

    async def start(self, positions: Positions) -> None:
        """Connect; partitions come while polling."""
        self._positions = positions
        await self._open()

    async def poll(self, *, timeout: float) -> Sequence[Record]:
        """See the port. A read that takes longer than `timeout` goes on, and a later poll takes what it brings."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._read(timeout), name="kafka-read")
        await asyncio.wait({self._reading}, timeout=timeout)
        if not self._reading.done():
            return ()
        reading, self._reading = self._reading, None
        return reading.result()

    async def rewind(self) -> None:
        """Forget the placements; the next poll seeks to what is stored."""
        self._seats.forget()
        await self._drop_read()

    async def acknowledge(self, positions: Mapping[tuple[str, int], int]) -> None:
        """Commit, and care little: the offsets that count are in the database."""
        if self._consumer is None:
            return
        wanted = {TopicPartition(*at): offset for at, offset in positions.items()}
        held = {at: offset for at, offset in wanted.items() if at in self._consumer.assignment()}
        try:
            if held:
                async with asyncio.timeout(_ACKNOWLEDGE_WITHIN):
                    await self._consumer.commit(held)
        except (KafkaError, TimeoutError) as error:
            _log.debug("offsets not acknowledged", error=type(error).__name__)

    async def stop(self) -> None:
        """Leave the group."""
        await self._drop_read()
        await self._discard()

    async def _open(self) -> None:
        # Without topics `start` only connects; it would wait for the whole rebalance otherwise, and an error of
        # that (a mock broker's InvalidRequestError, say) would leave a consumer that cannot be started again.
        consumer = AIOKafkaConsumer(
            **self._connection.options(),
            group_id=self._group_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=int(self._session_timeout * 1000),
            heartbeat_interval_ms=int(self._session_timeout * 1000 / 4),
            max_partition_fetch_bytes=_PARTITION_BYTES,
        )
        try:
            await consumer.start()
        except (KafkaError, OSError) as error:
            await close(consumer.stop, consumer._client)  # noqa: SLF001 - `stop` may leave it open
            raise _unavailable(error) from error
        self._seats.forget()
        consumer.subscribe(self._topics, listener=self._seats)
        self._consumer = consumer

    async def _discard(self) -> None:
        consumer, self._consumer = self._consumer, None
        self._seats.forget()
        if consumer is not None:
            await close(consumer.stop, consumer._client)  # noqa: SLF001 - as above

    async def _drop_read(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            await asyncio.wait({reading})

    async def _read(self, timeout: float) -> list[Record]:
        if self._consumer is None:
            await self._open()
        try:
            await self._place()
            epoch = self._seats.epoch
            wait = timeout if self._seats.expected else min(timeout, _LOOK_FOR_PARTITIONS_EVERY)
            found = await self._consumer.getmany(timeout_ms=int(wait * 1000), max_records=_POLL_RECORDS)
        except UnicodeDecodeError:
            return await self._read_unreadable()
        except KafkaError as error:
            # The error may be the group coordinator's last word: only a new consumer surely goes on.
            _log.warning("kafka consumer is made anew", error=type(error).__name__)
            await self._discard()
            raise _unavailable(error) from error
        if epoch != self._seats.epoch:
            return []
        return [
            record
            for at, items in found.items()
            for record in self._take(at, [_record(item) for item in items])
        ]

    async def _place(self) -> None:
        """Seek each partition that is assigned and not yet placed to its stored position."""
        epoch = self._seats.epoch
        new = [at for at in self._consumer.assignment() if at not in self._seats.expected]
        if not new or self._positions is None:
            return
        stored = await self._positions([(at.topic, at.partition) for at in new])
        if epoch != self._seats.epoch:
            return
        for at in new:
            offset = stored.get((at.topic, at.partition), 0)
            # An offset that the topic does not have makes aiokafka go to the beginning, also for 0.
            self._consumer.seek(at, offset)
            self._seats.expected[at] = offset

    def _take(self, at: TopicPartition, records: list[Record]) -> list[Record]:
        """Note where the partition goes on; say so when it began again. Nothing of a partition not yet placed."""
        expected = self._seats.expected.get(at)
        if expected is None or not records:
            return []
        if records[0].offset < expected:
            _log.warning(
                "the topic was made anew, or lost its end: starting at its beginning",
                topic=at.topic,
                partition=at.partition,
                stored=expected,
                found=records[0].offset,
            )
        self._seats.expected[at] = records[-1].offset + 1
        return records

    async def _read_unreadable(self) -> list[Record]:
        """Read the batch that aiokafka cannot decode; other partitions' records of that read are read again."""
        placed = dict(self._seats.expected)
        epoch = self._seats.epoch
        try:
            for at, offset in placed.items():
                records = await non_utf8_headers.fetch(self._consumer._client, at, offset)  # noqa: SLF001 - no other way in
                if epoch != self._seats.epoch:
                    return []
                taken = self._take(at, records)
                for place, position in self._seats.expected.items():
                    self._consumer.seek(place, position)
                if taken:
                    return taken
        except KafkaError as error:
            self._seats.forget()
            raise _unavailable(error) from error
        self._seats.forget()
        return []


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


def _unavailable(error: Exception) -> TemporaryError:
    return TemporaryError(
        Reason.UNAVAILABLE,
        f"Kafka: {type(error).__name__}",
        hint="Is the broker at RESETD_KAFKA_BOOTSTRAP_SERVERS up, and do the credentials fit?",
    )
