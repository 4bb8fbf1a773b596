"""Writing a record that aiokafka cannot: one with a header whose name is no UTF-8.

The counterpart of `lenient`: a dead letter goes out as it came in, byte for byte. aiokafka's compiled builder takes
nothing but strings, and its idempotent producer nothing but that builder, so such a record goes by a producer of its
own with the builder in Python. It is rare, and sent at least once like all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from daemon.adapters.kafka.connection import close
from schemas.records import Message

_MAGIC = 2
_NO_PRODUCER = -1


class _Name(str):
    """A header's name that is written with the bytes that its surrogate escapes stand for."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        del errors
        return super().encode(encoding, "surrogateescape")


def is_plain(message: Message) -> bool:
    """Whether aiokafka can write it."""
    try:
        for name, _ in message.headers:
            name.encode()
    except UnicodeEncodeError:
        return False
    return True


async def send_verbatim(options: Mapping[str, Any], at: TopicPartition, message: Message) -> None:
    """Send one record; `options` are those of a connection.

    Raises:
        KafkaError: of aiokafka.
    """
    producer = AIOKafkaProducer(**options, acks="all")
    try:
        await producer.start()
        await producer.partitions_for(at.topic)
        batch = producer.create_batch()
        batch._builder = _DefaultRecordBatchBuilderPy(  # noqa: SLF001 - the only place where names become bytes
            _MAGIC,
            0,
            is_transactional=0,
            producer_id=_NO_PRODUCER,
            producer_epoch=_NO_PRODUCER,
            base_sequence=_NO_PRODUCER,
            batch_size=2**31 - 1,
        )
        headers = [(_Name(name), value) for name, value in message.headers]
        batch.append(timestamp=None, key=message.key, value=message.value, headers=headers)
        batch.close()
        await (await producer.send_batch(batch, at.topic, partition=at.partition))
    finally:
        await close(producer.stop, producer.client)
