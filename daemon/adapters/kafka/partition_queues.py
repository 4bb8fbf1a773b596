"""What goes to one partition, batch by batch, so that a record that the broker refuses takes no other one with it.

A broker refuses a batch as a whole, and aiokafka's `send` tells that to each record of it; which records share a
batch is chance. So the batches are made here, one under way for each partition, and what was in a refused one is sent
again record by record, before anything that comes after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    InvalidTopicError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    RecordTooLargeError,
)
from aiokafka.partitioner import DefaultPartitioner

from daemon.adapters.kafka import non_utf8_headers
from schemas.records import Message

_FOR_GOOD = (MessageSizeTooLargeError, RecordListTooLargeError, RecordTooLargeError, InvalidTopicError)
_partition_of = DefaultPartitioner()


@dataclass
class Lane:
    """What waits for one partition, in order, each with its place among the caller's messages."""

    at: TopicPartition
    waiting: deque[tuple[int, Message]] = field(default_factory=deque)
    alone: int = 0
    """So many of the next ones go alone: together they were refused."""
    refused: dict[int, str] = field(default_factory=dict)
    """Place -> why the broker does not take that message."""
    was_refused: bool = False
    """Whether the last `send` ended so: an idempotent producer's count has a gap then, and can't go on."""

    async def send(self, producer: AIOKafkaProducer, options: Mapping[str, Any]) -> None:
        """Send until nothing waits, or until a batch is refused.

        Raises:
            KafkaError: of aiokafka, for all that is not a refusal for good.
        """
        self.was_refused = False
        while self.waiting:
            place, first = self.waiting[0]
            count = 1
            try:
                if non_utf8_headers.has_utf8_names(first):
                    batch, count = self._batch(producer)
                    await (await producer.send_batch(batch, self.at.topic, partition=self.at.partition))
                else:
                    await non_utf8_headers.send(options, self.at, first)
            except _FOR_GOOD as error:
                self.was_refused = True
                if count > 1:
                    self.alone = count
                else:
                    self.refused[place] = told(error)
                    self._done(1)
                return
            self._done(count)

    def _batch(self, producer: AIOKafkaProducer) -> tuple[Any, int]:
        """As many of the next ones as fit, at least one."""
        batch = producer.create_batch()
        count = 0
        for _, message in self.waiting:
            if (count and self.alone) or not non_utf8_headers.has_utf8_names(message):
                break
            headers = list(message.headers)
            if batch.append(timestamp=None, key=message.key, value=message.value, headers=headers) is None:
                break
            count += 1
        batch.close()
        return batch, count

    def _done(self, count: int) -> None:
        for _ in range(count):
            self.waiting.popleft()
        self.alone = max(self.alone - count, 0)


async def lanes_of(
    producer: AIOKafkaProducer, messages: Sequence[Message], max_bytes: int
) -> tuple[list[Lane], dict[int, str]]:
    """The messages by partition, and the places of those that are refused without being sent.

    Raises:
        KafkaError: of aiokafka, where a topic's partitions can't be found out.
    """
    lanes: dict[TopicPartition, Lane] = {}
    refused: dict[int, str] = {}
    for place, message in enumerate(messages):
        try:
            if (size := _size(message)) > max_bytes:
                refused[place] = f"the message has {size} bytes, more than {max_bytes}"
                continue
            partitions = sorted(await producer.partitions_for(message.topic))
        except _FOR_GOOD as error:
            refused[place] = told(error)
            continue
        except UnicodeEncodeError:
            refused[place] = "a header's name stands for no bytes"
            continue
        at = TopicPartition(message.topic, _partition_of(message.key, partitions, partitions))
        lanes.setdefault(at, Lane(at)).waiting.append((place, message))
    return list(lanes.values()), refused


def told(error: Exception) -> str:
    """Why something was refused, for people."""
    return f"{type(error).__name__}: {error}"[:500]


def _size(message: Message) -> int:
    headers = sum(
        len(name.encode("utf-8", "surrogateescape")) + len(value or b"") for name, value in message.headers
    )
    return len(message.key or b"") + len(message.value or b"") + headers
