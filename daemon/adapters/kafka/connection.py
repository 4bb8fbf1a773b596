"""How Kafka is reached, how its clients are closed without hanging, and what it means that it does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.helpers import create_ssl_context

from daemon.ports.errors import TemporaryError
from schemas.reasons import Reason

_METADATA_MAX_AGE_SECONDS = 30.0
"""A leader that moves before the first fetch is noticed only when metadata are this old."""
_STOP_TIMEOUT_SECONDS = 3.0
_CANCEL_TIMEOUT_SECONDS = 1.0


@dataclass(frozen=True)
class Connection:
    """Where the brokers are, and who we are to them. Names are those of the settings `KAFKA_*`."""

    bootstrap_servers: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "PLAIN"
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    sasl_password_file: Path | None = None
    """Where `sasl_password` was read from: others rotate it."""
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    request_timeout: float = 15.0
    """Seconds that one request may take."""

    def shown(self) -> tuple[object, ...]:
        """Return what the brokers are shown of us now. A client that showed something else is to be made anew.

        A file that is away or empty for a moment is being rotated: what the daemon started with stands for it.
        """
        return (self._password(), *map(_changed_at, (self.ssl_cafile, self.ssl_certfile, self.ssl_keyfile)))

    def _password(self) -> str | None:
        if self.sasl_password_file is None:
            return self.sasl_password
        with suppress(OSError, UnicodeDecodeError):
            return self.sasl_password_file.read_text(encoding="utf-8").rstrip("\r\n") or self.sasl_password
        return self.sasl_password

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments that a consumer and a producer both take."""
        encrypted = self.security_protocol in {"SSL", "SASL_SSL"}
        return {
            "bootstrap_servers": self.bootstrap_servers,
            "security_protocol": self.security_protocol,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.sasl_username,
            "sasl_plain_password": self._password(),
            "ssl_context": create_ssl_context(
                cafile=self.ssl_cafile, certfile=self.ssl_certfile, keyfile=self.ssl_keyfile
            )
            if encrypted
            else None,
            "metadata_max_age_ms": int(_METADATA_MAX_AGE_SECONDS * 1000),
            "request_timeout_ms": int(self.request_timeout * 1000),
        }


def _changed_at(path: str | None) -> int | None:
    """When a file was written last, in nanoseconds; None where there is none."""
    if path is None:
        return None
    with suppress(OSError):
        return Path(path).stat().st_mtime_ns
    return None


async def close(stop: Callable[[], Awaitable[None]], client: AIOKafkaClient) -> None:
    """Stop a consumer or a producer within a few seconds, and close its connections in any case.

    While the broker is down, a consumer's `stop` raises CancelledError by itself and leaves its client open, and a
    producer's `stop` waits for what it could not send. So `stop` runs in a task of its own.
    """

    async def stopping() -> None:
        await stop()

    task = asyncio.create_task(stopping(), name="kafka-stop")
    await asyncio.wait({task}, timeout=_STOP_TIMEOUT_SECONDS)
    if not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_CANCEL_TIMEOUT_SECONDS)
    if not task.done() or task.cancelled() or task.exception() is not None:
        closing = asyncio.create_task(client.close(), name="kafka-close")
        await asyncio.wait({closing}, timeout=_CANCEL_TIMEOUT_SECONDS)


def unavailable(error: Exception) -> TemporaryError:
    """Make the port's error of one of aiokafka or of the network: Kafka does not answer."""
    return TemporaryError(
        Reason.UNAVAILABLE,
        f"Kafka: {type(error).__name__}",
        hint="Is the broker at RESETD_KAFKA_BOOTSTRAP_SERVERS up, and do the credentials fit?",
    )
