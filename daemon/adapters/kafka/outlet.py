"""The outbox's producer: acks of all replicas, idempotent where the broker allows it.

Keys are spread by aiokafka's default partitioner, murmur2 as in the Java client, so that an environment's status
events share a partition with those of any other publisher that does the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    RecordTooLargeError,
    UnsupportedVersionError,
)

from daemon.adapters.kafka.connection import Connection, close
from daemon.ports.bus import Message
from daemon.ports.errors import TemporaryError
from schemas.reasons import Reason

_log = structlog.get_logger(__name__)

_FOR_GOOD = (MessageSizeTooLargeError, RecordListTooLargeError, RecordTooLargeError, InvalidTopicError)


class KafkaOutlet:
    """`daemon.ports.bus.Outlet`. `max_message_bytes` is the broker's default limit; raise both together."""

    def __init__(self, connection: Connection, *, max_message_bytes: int = 1024 * 1024) -> None:
        self._connection = connection
        self._max_message_bytes = max_message_bytes
        self._idempotent = True
        self._producer: Any = None

    async def start(self) -> None:
        """Connect."""
        if self._producer is None:
            await self._open()

    async def publish(self, messages: Sequence[Message]) -> Sequence[str | None]:
        """See the port. After an error the producer is made anew: an idempotent one may not go on after a gap."""
        await self.start()
        try:
            async with asyncio.timeout(self._connection.request_timeout + 1):
                return await self._publish(messages)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.stop()
            raise _unavailable(error) from error
        except asyncio.CancelledError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Flush and close."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await close(producer.stop, producer.client)

    async def _open(self) -> None:
        try:
            self._producer = await self._connected()
        except (UnsupportedVersionError, ClusterAuthorizationFailedError):
            # Brokers before 2.8 ask for a right of its own; order and acks hold without it, a retry may repeat.
            _log.warning("the broker refuses an idempotent producer; going on without")
            self._idempotent = False
            self._producer = await self._connected()

    async def _connected(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._connection.options(),
            acks="all",
            enable_idempotence=self._idempotent,
            max_request_size=self._max_message_bytes,
        )
        try:
            async with asyncio.timeout(self._connection.request_timeout):
                await producer.start()
        except (UnsupportedVersionError, ClusterAuthorizationFailedError):
            await close(producer.stop, producer.client)
            if self._idempotent:
                raise
            raise _unavailable(UnsupportedVersionError()) from None
        except (KafkaError, OSError, TimeoutError) as error:
            await close(producer.stop, producer.client)
            raise _unavailable(error) from error
        return producer

    async def _publish(self, messages: Sequence[Message]) -> list[str | None]:
        sent: list[asyncio.Future[Any] | str] = []
        try:
            sent.extend([await self._send(message) for message in messages])
        finally:
            pending = [one for one in sent if isinstance(one, asyncio.Future)]
            # Gathered in any case, so that no future's error is left unread.
            answers = await asyncio.gather(*pending, return_exceptions=True)
        outcomes = iter(answers)
        return [one if isinstance(one, str) else _refusal(next(outcomes)) for one in sent]

    async def _send(self, message: Message) -> asyncio.Future[Any] | str:
        try:
            if message.key is None and message.value is None:
                return await self._send_empty(message)
            future: asyncio.Future[Any] = await self._producer.send(
                message.topic, message.value, key=message.key, headers=list(message.headers)
            )
        except _FOR_GOOD as error:
            return _text(error)
        except UnicodeEncodeError:
            return "a header's name is not UTF-8, which the client cannot write"
        return future

    async def _send_empty(self, message: Message) -> asyncio.Future[Any]:
        """Aiokafka's `send` asserts that there is a key or a value; a record on Kafka may have neither."""
        partitions = await self._producer.partitions_for(message.topic)
        batch = self._producer.create_batch()
        batch.append(timestamp=None, key=None, value=None, headers=list(message.headers))
        batch.close()
        future: asyncio.Future[Any] = await self._producer.send_batch(
            batch, message.topic, partition=min(partitions)
        )
        return future


def _refusal(answer: object) -> str | None:
    if isinstance(answer, _FOR_GOOD):
        return _text(answer)
    if isinstance(answer, BaseException):
        raise answer
    return None


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]


def _unavailable(error: Exception) -> TemporaryError:
    return TemporaryError(
        Reason.UNAVAILABLE,
        f"Kafka: {type(error).__name__}",
        hint="Is the broker at RESETD_KAFKA_BOOTSTRAP_SERVERS up, and do the credentials fit?",
    )
