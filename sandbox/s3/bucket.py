"""One bucket in memory, and what a test makes it do wrong."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime

LEAST_PART_BYTES = 5 * 1024 * 1024


@dataclass
class Stored:
    """An object."""

    content: bytes
    etag: str
    changed_at: datetime


class RefusedError(Exception):
    """An answer with an error of S3."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


@dataclass
class Faults:
    """What goes wrong from now on."""

    ignores_conditions: bool = False
    part_errors: int = 0
    """How many parts are answered by 500."""
    part_seconds: float = 0.0
    """How long each part takes."""
    read_errors: int = 0
    """How many reads are answered by 500."""
    cut_reads_at: int | None = None
    """After how many bytes the connection of a read breaks off."""
    loses_answers_to_documents: int = 0
    """How many documents are stored and answered by 500."""
    flips_a_bit: bool = False
    """Whether objects change once they were written."""


@dataclass
class Bucket:
    """Objects by key."""

    objects: dict[str, Stored] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    requests: list[str] = field(default_factory=list)
    """Method and key of each request, in order."""

    def put(self, key: str, content: bytes, *, only_new: bool, etag: str | None = None) -> Stored:
        """Store an object.

        Raises:
            RefusedError: it is there already, and `only_new`.
        """
        if only_new and not self.faults.ignores_conditions and key in self.objects:
            raise RefusedError(412, "PreconditionFailed")
        name = etag or f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
        if self.faults.flips_a_bit and not key.rpartition("/")[0].endswith(".probes"):
            content = flipped(content)
        self.objects[key] = Stored(content, name, datetime.now(UTC).replace(microsecond=0))
        return self.objects[key]

    def complete(self, key: str, upload: str, numbers: list[int], *, only_new: bool) -> Stored:
        """Make an object of uploaded parts.

        Raises:
            RefusedError: a part is missing, out of order or too small.
        """
        parts = self.uploads.get(upload)
        if parts is None:
            raise RefusedError(404, "NoSuchUpload")
        if not numbers or numbers != sorted(set(numbers)):
            raise RefusedError(400, "InvalidPartOrder")
        if any(number not in parts for number in numbers):
            raise RefusedError(400, "InvalidPart")
        if any(len(parts[number]) < LEAST_PART_BYTES for number in numbers[:-1]):
            raise RefusedError(400, "EntityTooSmall")
        whole = b"".join(parts[number] for number in numbers)
        digests = b"".join(hashlib.md5(parts[number], usedforsecurity=False).digest() for number in numbers)
        etag = f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(numbers)}"'
        stored = self.put(key, whole, only_new=only_new, etag=etag)
        del self.uploads[upload]
        return stored


def flipped(content: bytes) -> bytes:
    """Return the same with another bit in the middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :] if content else content
