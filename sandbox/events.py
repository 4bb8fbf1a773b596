"""What other services do with the sandbox's Kafka: they publish events and read what resetd publishes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from schemas.publish import Publishable, to_kafka, topic_of

Headers = Sequence[tuple[str, bytes | None]]
_DELIVERED_WITHIN = 15.0


class UndeliveredError(RuntimeError):
    """Records may or may not have reached the broker."""


class Publisher:
    """A producer of another service. It is librdkafka's, so the daemon is tested with another client than its own."""

    def __init__(
        self,
        bootstrap: str,
        *,
        source: str = "/sandbox",
        topics: Mapping[str, str] | None = None,
        largest: int = 1_000_000,
    ) -> None:
        """`topics` maps a topic's usual name to that of the daemon under test; `largest` bounds a record, in bytes."""
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "linger.ms": 0, "log_level": 0, "message.max.bytes": largest}
        )
        self._source = source
        self._topics = topics or {}

    def publish(self, event: Publishable, *, event_id: str | None = None) -> str:
        """Publish an event and wait until the broker has it; returns the event's id."""
        known = event_id or uuid.uuid4().hex
        key, value, headers = to_kafka(event, source=self._source, event_id=known)
        topic = topic_of(event)
        self.send(self._topics.get(topic, topic), key, value, headers)
        self.flush()
        return known

    def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Send a record of any bytes; `flush` waits until the broker has it."""
        self._producer.produce(topic, value=value, key=key, headers=list(headers))
        self._producer.poll(0)

    def flush(self) -> None:
        """Wait until the broker has every record that was sent.

        Raises:
            UndeliveredError: the broker did not take them in time; it may take them later.
        """
        if self._producer.flush(_DELIVERED_WITHIN):
            raise UndeliveredError("the sandbox's Kafka did not take a record in time")


@dataclass(frozen=True)
class Seen:
    """A record as it was read."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


def _seen(message: Any) -> Seen:  # noqa: ANN401 - librdkafka's stubs know less than it gives
    headers = tuple((str(name), value) for name, value in message.headers() or ())
    return Seen(message.partition(), message.offset(), message.key(), message.value(), headers)


def read_until(
    bootstrap: str, topic: str, done: Callable[[list[Seen]], bool], *, within: float
) -> list[Seen]:
    """Read a topic from its beginning, until `done` says that the records are enough, or time is over.

    The records of each partition are in its order; those of several partitions are in the order of arrival.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": uuid.uuid4().hex,
            "enable.auto.commit": False,
            "log_level": 0,
        }
    )
    seen: list[Seen] = []
    try:
        metadata = consumer.list_topics(topic, timeout=_DELIVERED_WITHIN).topics[topic]
        consumer.assign([TopicPartition(topic, partition, 0) for partition in metadata.partitions])
        until = time.monotonic() + within
        while not done(seen) and time.monotonic() < until:
            for message in consumer.consume(500, timeout=0.2):
                if message.error() is not None:
                    raise KafkaException(message.error())
                seen.append(_seen(message))
    finally:
        consumer.close()
    return seen
