"""Records of the message bus, as they are read and as they are to be published."""

from __future__ import annotations

from dataclasses import dataclass

Headers = tuple[tuple[str, bytes | None], ...]
"""Names and values in order. A name may occur more than once, and a value may be null."""


@dataclass(frozen=True)
class Record:
    """A record as it was read from a topic, byte for byte."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


@dataclass(frozen=True)
class LastRecord:
    """The record of a partition that was stored last. It shows whether a log is the one that the offsets belong to."""

    offset: int
    digest: str
    """`statemachines.intake.record_digest.record_digest` of the record."""


@dataclass(frozen=True)
class LogPosition:
    """How far the intake has read a partition."""

    next: int
    """Offset of the record to read next."""
    last: LastRecord | None = None
    """None where nothing is known of it: a state of an older version stored the offset alone."""


@dataclass(frozen=True)
class Message:
    """A record that is to be published."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
