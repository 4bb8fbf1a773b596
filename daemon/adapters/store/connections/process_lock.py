"""One process for one SQLite file, by `flock` on a file beside it.

The kernel releases a lock when its process dies, however it dies. Whoever gets the lock knows that its former holder
is dead, and may release all of that holder's leases at once.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.adapters.store.connections.addresses import file_of, is_embedded, parse
from daemon.ports.errors import PermanentError
from schemas.reasons import Reason


@contextmanager
def embedded_lock(database_url: str) -> Iterator[None]:
    """Hold the lock of a SQLite file for as long as the block runs; PostgreSQL needs none.

    Raises:
        PermanentError: another process holds the lock.
    """
    url = parse(database_url)
    if not is_embedded(url):
        yield
        return
    path = Path(f"{file_of(url)}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(handle, path)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(handle, 32).decode("ascii", "replace").strip() or "unknown"
        raise PermanentError(
            Reason.UNAVAILABLE,
            f"another resetd (process {holder}) uses this state database: {path} is locked",
            hint="stop it, or set RESETD_DATABASE_URL to PostgreSQL to run several",
        ) from error
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
