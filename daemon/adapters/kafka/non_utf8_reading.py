"""Reading a batch that aiokafka cannot: one with a header whose name is no UTF-8.

Kafka's protocol says that names are UTF-8 and its brokers do not check. aiokafka raises UnicodeDecodeError for such
a record each time it is met, so one of them would block its partition for ever. Here the bytes of the fetch are
decoded once more, with the bad bytes of a name as surrogate escapes.
"""

from __future__ import annotations

from typing import Any, SupportsIndex, overload

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import LeaderNotAvailableError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy

from schemas.records import Record

_WAIT_MS = 200
_MAX_BYTES = 16 * 1024 * 1024
_MAGIC_OF_HEADERS = 2
_MAGIC_AT = 16
_LENGTH_AT = 8
_LENGTH_END = 12


class _Lenient(bytearray):
    """Bytes whose slices decode whatever they hold."""

    @overload
    def __getitem__(self, index: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> bytearray: ...
    def __getitem__(self, index: SupportsIndex | slice) -> int | bytearray:
        part = super().__getitem__(index)
        return part if isinstance(part, int) else _Lenient(part)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        del errors
        return super().decode(encoding, "surrogateescape")


async def read_leniently(client: AIOKafkaClient, at: TopicPartition, offset: int) -> list[Record]:
    """Records of one fetch of one partition from `offset` on, by aiokafka's own client; empty where none came.

    Raises:
        KafkaError: of aiokafka.
    """
    node = client.cluster.leader_for_partition(at)
    if node is None or node == -1:
        raise LeaderNotAvailableError(at)
    request = FetchRequest(_WAIT_MS, 1, _MAX_BYTES, 0, [(at.topic, [(at.partition, offset, _MAX_BYTES)])])
    response = await client.send(node, request)
    records: list[Record] = []
    for _topic, partitions in response.topics:
        for _partition, code, _high, *rest in partitions:
            if code:
                raise for_code(code)(at)
            records += _decode(at, offset, bytes(rest[-1] or b""))
    return records


def _decode(at: TopicPartition, offset: int, data: bytes) -> list[Record]:
    records = []
    while len(data) > _MAGIC_AT:
        length = _LENGTH_END + int.from_bytes(data[_LENGTH_AT:_LENGTH_END], "big")
        one, data = data[:length], data[length:]
        if len(one) < length:
            break  # the broker cuts the last batch where the fetch is full
        records += [
            Record(
                at.topic, at.partition, item.offset, item.key, item.value, tuple(item.headers), item.timestamp
            )
            for item in _items(one)
            if item.offset >= offset
        ]
    return records


def _items(one: bytes) -> list[Any]:
    """The records of one batch; those that Kafka keeps for itself are left out."""
    if one[_MAGIC_AT] < _MAGIC_OF_HEADERS:
        legacy: Any = _MemoryRecordsPy(one).next_batch()
        return list(legacy)
    batch: Any = _DefaultRecordBatchPy(one)
    if batch.is_control_batch:
        return []
    batch._maybe_uncompress()  # noqa: SLF001 - its buffer is what has to be another one
    batch._buffer = _Lenient(batch._buffer)  # noqa: SLF001
    return list(batch)
