"""Opens the store that the settings name, and the marks in its bucket."""

from __future__ import annotations

from pathlib import Path

from daemon.adapters.dumps.directory import DirectoryDumps
from daemon.adapters.dumps.s3 import S3Dumps
from daemon.adapters.dumps.s3_connection import S3Connection, open_bucket
from daemon.adapters.dumps.s3_marks import S3Marks
from daemon.ports.dump_store import DumpStore
from daemon.ports.marks import Marks


def open_dumps(where: Path | S3Connection) -> DumpStore:
    """Return the store of dumps in a directory or a bucket."""
    return DirectoryDumps(where) if isinstance(where, Path) else S3Dumps(open_bucket(where))


def open_bucket_marks(where: S3Connection) -> Marks:
    """Return the marks that lie beside the dumps of a bucket."""
    return S3Marks(open_bucket(where))
