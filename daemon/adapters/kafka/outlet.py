"""The outbox's producer: acks of all replicas, idempotent where the broker allows it.

aiokafka's default partitioner spreads keys by murmur2, as the Java client does. So an environment's status events
share a partition with those of any other publisher that does the same.
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

from daemon.adapters.kafka.connection import Connection, close, unavailable
from daemon.adapters.kafka.partition_queues import PartitionQueue, queues_for
from schemas.records import Message

_log = structlog.get_logger(__name__)


class KafkaOutlet:
    """Implements `daemon.ports.bus.Outlet`. `max_message_bytes` is the broker's default limit: raise both together."""

    def __init__(self, connection: Connection, *, max_message_bytes: int = 1024 * 1024) -> None:
        self._connection = connection
        self._max_message_bytes = max_message_bytes
        self._idempotent = True
        self._producer: Any = None
        self._shown: tuple[object, ...] = ()

    async def start(self) -> None:
        """See the port. A producer whose credentials were rotated is made anew."""
        if self._producer is not None and self._shown != self._connection.shown():
            await self.stop()
        if self._producer is None:
            await self._open()

    async def publish(self, messages: Sequence[Message]) -> Sequence[str | None]:
        """See the port. After an error or a refusal the producer is made anew: an idempotent one can leave no gap."""
        await self.start()
        try:
            return await self._publish(messages)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.stop()
            raise unavailable(error) from error
        except asyncio.CancelledError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """See the port."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await close(producer.stop, producer.client)

    async def _open(self) -> None:
        try:
            self._producer = await self._connected()
        except (UnsupportedVersionError, ClusterAuthorizationFailedError):
            # Brokers before 2.8 ask for a right of its own. Without it order and acks hold, and a retry may repeat.
            _log.warning("the broker refuses an idempotent producer; going on without")
            self._idempotent = False
            self._producer = await self._connected()

    async def _connected(self) -> AIOKafkaProducer:
        self._shown = self._connection.shown()
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
            raise unavailable(UnsupportedVersionError()) from None
        except (KafkaError, OSError, TimeoutError) as error:
            await close(producer.stop, producer.client)
            raise unavailable(error) from error
        return producer

    async def _publish(self, messages: Sequence[Message]) -> list[str | None]:
        async with self._request_timeout():
            queues, refused = await queues_for(self._producer, messages, self._max_message_bytes)
        while queues:
            # Each round has a time limit of its own, and each gets on: a hundred refusals are no outage.
            async with self._request_timeout():
                await self._send(queues)
            for queue in queues:
                refused |= queue.refused
            if any(queue.ended_refused for queue in queues):
                await self.stop()
                await self._open()
            queues = [queue for queue in queues if queue.waiting]
        return [refused.get(index) for index in range(len(messages))]

    async def _send(self, queues: Sequence[PartitionQueue]) -> None:
        sending = [queue.send(self._producer, self._connection.options) for queue in queues]
        # All are awaited before one's error is raised, so that no error is left unread.
        for ended in await asyncio.gather(*sending, return_exceptions=True):
            if isinstance(ended, BaseException):
                raise ended

    def _request_timeout(self) -> asyncio.Timeout:
        return asyncio.timeout(self._connection.request_timeout + 1)
