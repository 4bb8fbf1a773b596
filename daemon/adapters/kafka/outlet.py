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
    KafkaError,
    UnsupportedVersionError,
)

from daemon.adapters.kafka.connection import Connection, close
from daemon.adapters.kafka.partition_queues import Lane, lanes_of
from daemon.ports.errors import TemporaryError
from schemas.reasons import Reason
from schemas.records import Message

_log = structlog.get_logger(__name__)


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
        """See the port. After an error or a refusal the producer is made anew: an idempotent one leaves no gap."""
        await self.start()
        try:
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
        async with self._in_time():
            lanes, refused = await lanes_of(self._producer, messages, self._max_message_bytes)
        while lanes:
            # Each round has its time, and each gets on: a hundred refusals are no outage.
            async with self._in_time():
                await self._send(lanes)
            for lane in lanes:
                refused |= lane.refused
            if any(lane.was_refused for lane in lanes):
                await self.stop()
                await self._open()
            lanes = [lane for lane in lanes if lane.waiting]
        return [refused.get(place) for place in range(len(messages))]

    async def _send(self, lanes: Sequence[Lane]) -> None:
        sending = [lane.send(self._producer, self._connection.options()) for lane in lanes]
        # Gathered in any case, so that no error is left unread.
        for ended in await asyncio.gather(*sending, return_exceptions=True):
            if isinstance(ended, BaseException):
                raise ended

    def _in_time(self) -> asyncio.Timeout:
        return asyncio.timeout(self._connection.request_timeout + 1)


def _unavailable(error: Exception) -> TemporaryError:
    return TemporaryError(
        Reason.UNAVAILABLE,
        f"Kafka: {type(error).__name__}",
        hint="Is the broker at RESETD_KAFKA_BOOTSTRAP_SERVERS up, and do the credentials fit?",
    )
