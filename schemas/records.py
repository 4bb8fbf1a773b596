"""Records of the message bus, byte for byte: as they are read, and as they are to be published."""

from __future__ import annotations

from dataclasses import dataclass

Headers = tuple[tuple[str, bytes | None], ...]
"""Names may repeat; a value may be absent (Kafka allows null)."""


@dataclass(frozen=True)
class Record:
    """A record as it was read, byte for byte."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


@dataclass(frozen=True)
class Message:
    """A record to publish."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
