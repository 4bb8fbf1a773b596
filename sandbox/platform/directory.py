"""The directory of a platform: it belongs to one platform at a time, which finds it empty."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_FOLDERS = ("postgres", "kubernetes", "images", "github", "controls", "faults", "pg-bin")
_FILES = ("platform.json", "resetd.env", "environments.json", "journal.jsonl", "journal.sock")


class PlatformRunningError(RuntimeError):
    """Another platform runs in this directory."""


@contextlib.contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Hold the directory for one platform, after removing what a former platform left."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        _take(lock, directory)
        for cluster in (directory / "postgres").glob("*"):
            if cluster.is_symlink():  # the cluster lies where PostgreSQL's account can reach it
                shutil.rmtree(cluster.resolve(), ignore_errors=True)
        for name in _FOLDERS:
            shutil.rmtree(directory / name, ignore_errors=True)
        for name in _FILES:
            (directory / name).unlink(missing_ok=True)
        yield


def _take(lock: IO[str], directory: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise PlatformRunningError(f"a platform runs in {directory} already") from error


def private(path: Path, text: str) -> None:
    """Write a file that only its owner may read. Readers see the old file or the new one, never half of it."""
    fresh = path.with_name(f".{path.name}")
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.rename(path)
