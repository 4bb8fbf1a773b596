"""Opens the store that the settings name, and the marks in its bucket."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from daemon.adapters.dumps.directory import DirectoryDumps
from daemon.adapters.dumps.encrypted import EncryptedDumps
from daemon.adapters.dumps.s3 import S3Dumps
from daemon.adapters.dumps.s3_connection import S3Connection, open_bucket
from daemon.adapters.dumps.s3_marks import S3Marks
from daemon.ports.dump_store import DumpStore
from daemon.ports.marks import Marks


@dataclass(frozen=True)
class AgeKeys:
    """Files with the keys that dumps are encrypted and decrypted with."""

    recipients: Path
    identities: Path


def open_dumps(where: Path | S3Connection, keys: AgeKeys | None = None) -> DumpStore:
    """Return the store of dumps in a directory or a bucket; with keys, encrypted."""
    store = DirectoryDumps(where) if isinstance(where, Path) else S3Dumps(open_bucket(where))
    return store if keys is None else EncryptedDumps(store, keys.recipients, keys.identities)


def check_keys(store: DumpStore) -> None:
    """Show that the daemon can decrypt what it encrypts, where it does.

    Raises:
        PermanentError: `backup-failed`: it can't.
    """
    if isinstance(store, EncryptedDumps):
        store.check_keys()


def open_bucket_marks(where: S3Connection) -> Marks:
    """Return the marks that lie beside the dumps of a bucket."""
    return S3Marks(open_bucket(where))
