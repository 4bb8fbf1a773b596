"""Reading and writing records with a header whose name is no UTF-8, which aiokafka can do neither of.

Kafka's protocol says that names are UTF-8, and its brokers do not check. Here a name's other bytes are surrogate
escapes (PEP 383), so that a dead letter goes out byte for byte as its record came in. Such records are rare.

- Reading: aiokafka raises UnicodeDecodeError for such a record each time it meets it, so that one of them would block
  its partition for ever. `fetch` decodes the bytes of a fetch with aiokafka's decoder in Python. It returns what is
  committed, as the consumer does.
- Writing: aiokafka's compiled builder takes names as text only, and its idempotent producer takes no other builder.
  `send` uses a producer of its own with the builder in Python. A record may come twice, as with any other producer
  that delivers at least once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, SupportsIndex, overload

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import LeaderNotAvailableError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.default_records import (
    DefaultRecordBatch,
    _DefaultRecordBatchBuilderPy,
    _DefaultRecordBatchPy,
)
from aiokafka.record.memory_records import _MemoryRecordsPy

from daemon.adapters.kafka.connection import close
from schemas.records import Message, Record

_MAX_WAIT_MS = 200
_MAX_BYTES = 16 * 1024 * 1024
# The layout of a record batch (Kafka protocol, message format): a length that counts from its own end on, and the
# version of the format. Headers came with version 2.
_LENGTH_AT, _LENGTH_END = 8, 12
_MAGIC_AT = 16
_MAGIC_WITH_HEADERS = 2
_NO_PRODUCER = -1


class _EscapedBytes(bytearray):
    """Bytes that decode whatever they hold, as do their slices: what is no UTF-8 becomes surrogate escapes."""

    @overload
    def __getitem__(self, index: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> bytearray: ...
    def __getitem__(self, index: SupportsIndex | slice) -> int | bytearray:
        part = super().__getitem__(index)
        return part if isinstance(part, int) else _EscapedBytes(part)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        del errors
        return super().decode(encoding, "surrogateescape")


class _EscapedName(str):
    """A header's name that encodes to the bytes that its surrogate escapes stand for."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        del errors
        return super().encode(encoding, "surrogateescape")


def has_utf8_names(message: Message) -> bool:
    """Tell whether aiokafka can write a message: the names of its headers are UTF-8."""
    try:
        for name, _ in message.headers:
            name.encode()
    except UnicodeEncodeError:
        return False
    return True


async def fetch(
    client: AIOKafkaClient, partition: TopicPartition, offset: int, *, max_bytes: int = _MAX_BYTES
) -> list[Record]:
    """Fetch records of one partition from `offset` on, by a consumer's own client; empty where none came.

    Raises:
        KafkaError: of aiokafka.
    """
    node = client.cluster.leader_for_partition(partition)
    if node is None or node == -1:
        raise LeaderNotAvailableError(partition)
    wanted = [(partition.topic, [(partition.partition, offset, max_bytes)])]
    response = await client.send(node, FetchRequest(_MAX_WAIT_MS, 1, max_bytes, READ_COMMITTED, wanted))
    records: list[Record] = []
    for _topic, partitions in response.topics:
        for _partition, error_code, _high_watermark, *rest in partitions:
            if error_code:
                raise for_code(error_code)(partition)
            # The list of aborted transactions stands at another place in each version of the answer (KIP-98, KIP-392).
            listed = next((part for part in rest if isinstance(part, list)), None)
            aborted = Aborted(listed)
            records += decoded(partition, offset, bytes(rest[-1] or b""), aborted)
    return records


class Aborted:
    """The aborted transactions of a fetch, whose records the broker sends along (KIP-98).

    Args:
        transactions: (producer id, offset of the transaction's first record) each, as the broker lists them.
    """

    def __init__(self, transactions: Iterable[tuple[int, int]] | None) -> None:
        self._to_come = sorted(transactions or (), key=lambda transaction: transaction[1])
        self._open: set[int] = set()

    def has(self, batch: DefaultRecordBatch) -> bool:
        """Whether a batch belongs to an aborted transaction. Ask for each batch once, in the log's order."""
        while self._to_come and self._to_come[0][1] <= batch.base_offset:
            self._open.add(self._to_come.pop(0)[0])
        if batch.is_control_batch:
            # Either marker ends the producer's transaction.
            self._open.discard(batch.producer_id)
            return False
        return batch.is_transactional and batch.producer_id in self._open


def decoded(partition: TopicPartition, offset: int, data: bytes, aborted: Aborted) -> list[Record]:
    """Decode the record batches of a fetch, from `offset` on: a batch may begin before it."""
    records = []
    while len(data) > _MAGIC_AT:
        length = _LENGTH_END + int.from_bytes(data[_LENGTH_AT:_LENGTH_END], "big")
        batch, data = data[:length], data[length:]
        if len(batch) < length:
            break  # the broker cuts the last batch where the fetch is full
        records += [
            Record(
                partition.topic,
                partition.partition,
                item.offset,
                item.key,
                item.value,
                tuple(item.headers),
                item.timestamp,
            )
            for item in _items(batch, aborted)
            if item.offset >= offset
        ]
    return records


def _items(data: bytes, aborted: Aborted) -> list[Any]:
    """Return the records of one batch; none of an aborted one, nor of a control batch, which Kafka keeps for itself."""
    if data[_MAGIC_AT] < _MAGIC_WITH_HEADERS:
        legacy: Any = _MemoryRecordsPy(data).next_batch()
        return list(legacy)
    batch: Any = _DefaultRecordBatchPy(data)
    if aborted.has(batch) or batch.is_control_batch:
        return []
    batch._maybe_uncompress()  # noqa: SLF001 - aiokafka has no way to give it another buffer
    batch._buffer = _EscapedBytes(batch._buffer)  # noqa: SLF001
    return list(batch)


async def send(options: Mapping[str, Any], partition: TopicPartition, message: Message) -> None:
    """Send one message; `options` are those of a connection.

    Raises:
        KafkaError: of aiokafka.
    """
    producer = AIOKafkaProducer(**options, acks="all")
    try:
        await producer.start()
        await producer.partitions_for(partition.topic)
        batch = producer.create_batch()
        batch._builder = _DefaultRecordBatchBuilderPy(  # noqa: SLF001 - the only place where names become bytes
            _MAGIC_WITH_HEADERS,
            0,
            is_transactional=0,
            producer_id=_NO_PRODUCER,
            producer_epoch=_NO_PRODUCER,
            base_sequence=_NO_PRODUCER,
            batch_size=2**31 - 1,
        )
        headers = [(_EscapedName(name), value) for name, value in message.headers]
        batch.append(timestamp=None, key=message.key, value=message.value, headers=headers)
        batch.close()
        await (await producer.send_batch(batch, partition.topic, partition=partition.partition))
    finally:
        await close(producer.stop, producer.client)
