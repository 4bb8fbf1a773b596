"""How Kafka is reached, and how its clients are closed without hanging."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.helpers import create_ssl_context

METADATA_MAX_AGE = 30.0
"""Seconds; a leader that moves before the first fetch is noticed only when metadata are this old."""

_STOP_WITHIN = 3.0
_CANCEL_WITHIN = 1.0


@dataclass(frozen=True)
class Connection:
    """Where the brokers are and who we are to them; names are those of the settings `KAFKA_*`."""

    bootstrap_servers: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "PLAIN"
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    request_timeout: float = 15.0
    """Seconds that one request may take."""

    def options(self) -> dict[str, Any]:
        """Keyword arguments that a consumer and a producer both take."""
        encrypted = self.security_protocol in {"SSL", "SASL_SSL"}
        return {
            "bootstrap_servers": self.bootstrap_servers,
            "security_protocol": self.security_protocol,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.sasl_username,
            "sasl_plain_password": self.sasl_password,
            "ssl_context": create_ssl_context(
                cafile=self.ssl_cafile, certfile=self.ssl_certfile, keyfile=self.ssl_keyfile
            )
            if encrypted
            else None,
            "metadata_max_age_ms": int(METADATA_MAX_AGE * 1000),
            "request_timeout_ms": int(self.request_timeout * 1000),
        }


async def close(stop: Callable[[], Awaitable[None]], client: AIOKafkaClient) -> None:
    """Stop a consumer or a producer within a few seconds, and its connections in any case.

    With the broker down a consumer's `stop` raises CancelledError by itself and leaves its client open, and a
    producer's waits for what it could not send. In a task of its own neither reaches the caller.
    """

    async def stopping() -> None:
        await stop()

    task = asyncio.create_task(stopping(), name="kafka-stop")
    await asyncio.wait({task}, timeout=_STOP_WITHIN)
    if not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_CANCEL_WITHIN)
    if not task.done() or task.cancelled() or task.exception() is not None:
        closing = asyncio.create_task(client.close(), name="kafka-close")
        await asyncio.wait({closing}, timeout=_CANCEL_WITHIN)
