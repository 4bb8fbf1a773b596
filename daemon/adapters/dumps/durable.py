"""Directories that are there after a crash of the machine."""

from __future__ import annotations

import os
from pathlib import Path


def make_durably(folder: Path) -> None:
    """Make a folder, with those above it, only for its owner. Each new one is synced into the folder above.

    Raises:
        OSError: it can't be made.
    """
    if folder.is_dir():
        return
    make_durably(folder.parent)
    folder.mkdir(exist_ok=True, mode=0o700)
    sync(folder.parent)


def sync(folder: Path) -> None:
    """Write the names in a folder to the disk.

    Raises:
        OSError: the disk refuses.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
