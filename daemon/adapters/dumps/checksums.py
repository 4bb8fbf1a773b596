"""Checksums of dumps. A file that the file system calls unchanged since it was read is not read again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from daemon.adapters.dumps.hashing import Hashing
from daemon.ports.dump_store import Checksum

_CHUNK_BYTES = 1024 * 1024
_MOST = 10_000
"""Files whose checksums are remembered. Any one may be forgotten: it is read again then."""
_SETTLES_AFTER_NS = 2_000_000_000
"""A file system's clock goes in steps: a file may be written again under the time of a moment ago."""
_Marks: TypeAlias = tuple[int, int, int, int, int]


class Checksums:
    """Reads files, and remembers what it read of those that were written a while ago.

    Args:
        now: Nanoseconds since 1970, by the clock of the file system.
    """

    def __init__(self, now: Callable[[], int] = time.time_ns) -> None:
        self._now = now
        self._read: dict[Path, tuple[_Marks, Checksum]] = {}

    def read(self, path: Path) -> Checksum:
        """Read the whole file, whatever is remembered.

        Raises:
            OSError: it is gone, or can't be read.
        """
        hashing = Hashing()
        with path.open("rb") as file:
            before = _marks(os.fstat(file.fileno()))
            while chunk := file.read(_CHUNK_BYTES):
                hashing.feed(chunk)
            after = _marks(os.fstat(file.fileno()))
        found = hashing.checksum()
        self._read.pop(path, None)
        if before == after and self._now() - max(after[-2:]) > _SETTLES_AFTER_NS:
            while len(self._read) >= _MOST:
                self._read.pop(next(iter(self._read)))
            self._read[path] = (after, found)
        return found

    def is_of(self, path: Path, wanted: Checksum) -> bool:
        """Tell whether the file is that one; it is read where it changed since it was read last.

        Raises:
            OSError: it can't be read. A file that is gone is no error.
        """
        try:
            status = path.stat()
            if status.st_size != wanted.size_bytes:
                return False
            marks, found = self._read.get(path, (None, None))
            return (found if marks == _marks(status) else self.read(path)) == wanted
        except FileNotFoundError:
            return False


def _marks(status: os.stat_result) -> _Marks:
    """What changes with a file's contents: another file, another size, or another time of a write or of a touch."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
