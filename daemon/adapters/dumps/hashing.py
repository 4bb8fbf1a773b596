"""The size and the hash of bytes that stream by."""

from __future__ import annotations

import hashlib

from daemon.ports.dump_store import Checksum


class Hashing:
    """Counts and hashes pieces."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def feed(self, piece: bytes) -> None:
        """Take the next piece."""
        self._digest.update(piece)
        self.size_bytes += len(piece)

    def checksum(self) -> Checksum:
        """Return those of all pieces so far."""
        return Checksum(self.size_bytes, self._digest.hexdigest())
