"""Messages by partition, sent batch by batch, so that a message that the broker refuses takes no other one with it.

A broker refuses a batch as a whole, aiokafka's `send` reports that for each of its messages, and which messages share
a batch is chance. So the batches are made here, one under way for each partition. The messages of a refused batch are
sent again one by one, before anything that comes after them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
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

_REFUSALS = (MessageSizeTooLargeError, RecordListTooLargeError, RecordTooLargeError, InvalidTopicError)
"""Errors that stay as they are, however often a message is sent."""
_partition_for = DefaultPartitioner()


@dataclass
class PartitionQueue:
    """The messages that wait for one partition, in order, each with its index among the caller's messages."""

    partition: TopicPartition
    waiting: deque[tuple[int, Message]] = field(default_factory=deque)
    singles: int = 0
    """How many of the next messages are sent one by one: the broker refused the batch that they shared."""
    refused: dict[int, str] = field(default_factory=dict)
    """Index of a message -> why the broker does not take it."""
    ended_refused: bool = False
    """Whether the broker refused the last batch of `send`. An idempotent producer can't go on after the gap in its
    count."""

    async def send(self, producer: AIOKafkaProducer, options: Callable[[], Mapping[str, Any]]) -> None:
        """Send until nothing waits, or until the broker refuses a batch.

        Args:
            producer: A started one.
            options: Reads those of the connection. Only a message with a header that is no UTF-8 needs them.

        Raises:
            KafkaError: of aiokafka, for every other error.
        """
        self.ended_refused = False
        while self.waiting:
            index, first = self.waiting[0]
            count = 1
            try:
                if non_utf8_headers.has_utf8_names(first):
                    batch, count = self._next_batch(producer)
                    topic, number = self.partition.topic, self.partition.partition
                    await (await producer.send_batch(batch, topic, partition=number))
                else:
                    await non_utf8_headers.send(options(), self.partition, first)
            except _REFUSALS as error:
                self.ended_refused = True
                if count > 1:
                    self.singles = count
                else:
                    self.refused[index] = refusal_text(error)
                    self._remove(1)
                return
            self._remove(count)

    def _next_batch(self, producer: AIOKafkaProducer) -> tuple[Any, int]:
        """Make a batch of as many of the next messages as fit, at least one, and return it with their count."""
        batch = producer.create_batch()
        count = 0
        for _, message in self.waiting:
            if (count and self.singles) or not non_utf8_headers.has_utf8_names(message):
                break
            headers = list(message.headers)
            if batch.append(timestamp=None, key=message.key, value=message.value, headers=headers) is None:
                break
            count += 1
        batch.close()
        return batch, count

    def _remove(self, count: int) -> None:
        for _ in range(count):
            self.waiting.popleft()
        self.singles = max(self.singles - count, 0)


async def queues_for(
    producer: AIOKafkaProducer, messages: Sequence[Message], max_bytes: int
) -> tuple[list[PartitionQueue], dict[int, str]]:
    """Put messages into queues by partition.

    Returns:
        The queues, and why messages are refused without being sent, by index.

    Raises:
        KafkaError: of aiokafka, where a topic's partitions can't be found out.
    """
    queues: dict[TopicPartition, PartitionQueue] = {}
    refused: dict[int, str] = {}
    for index, message in enumerate(messages):
        try:
            if (size := _size(message)) > max_bytes:
                refused[index] = f"the message has {size} bytes, more than {max_bytes}"
                continue
            numbers = sorted(await producer.partitions_for(message.topic))
        except _REFUSALS as error:
            refused[index] = refusal_text(error)
            continue
        except UnicodeEncodeError:
            refused[index] = "a header's name stands for no bytes"
            continue
        partition = TopicPartition(message.topic, _partition_for(message.key, numbers, numbers))
        queues.setdefault(partition, PartitionQueue(partition)).waiting.append((index, message))
    return list(queues.values()), refused


def refusal_text(error: Exception) -> str:
    """Say why something was refused, for people."""
    return f"{type(error).__name__}: {error}"[:500]


def _size(message: Message) -> int:
    headers = sum(
        len(name.encode("utf-8", "surrogateescape")) + len(value or b"") for name, value in message.headers
    )
    return len(message.key or b"") + len(message.value or b"") + headers
