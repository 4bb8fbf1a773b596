"""The digest of a record, by which a log is known again. An offset is the same in a topic that was made anew."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from schemas.records import Record


def record_digest(record: Record) -> str:
    """Return a SHA-256 in hex of the record's time, key, value and headers. Its offset is no part of it."""
    digest = hashlib.sha256()
    for part in _parts(record):
        # Each part carries its length, so that no two records have the same bytes.
        digest.update(b"-" if part is None else b"%d:" % len(part) + part)
    return digest.hexdigest()


def _parts(record: Record) -> Iterator[bytes | None]:
    yield b"%d" % record.timestamp_ms
    yield record.key
    yield record.value
    for name, value in record.headers:
        yield name.encode("utf-8", "surrogateescape")
        yield value
