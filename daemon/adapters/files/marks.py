"""Marks as files: `{root}/marks/{state}/{bucket}/{position}-{digest}-{writer}.json`, each written once.

The name says what is compared; positions fall into buckets, so that finding the newest lists two short directories
however many there are. Nobody changes or replaces a file, so several daemons need no lock between them.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from daemon.ports.errors import TemporaryError
from daemon.ports.marks import StoredMark
from schemas.marks import Mark
from schemas.reasons import Reason

_BUCKET = 1000
_ASIDE = "set-aside"


class FileMarks:
    """`Marks` in a directory; made when the first is put."""

    def __init__(self, root: Path) -> None:
        self._root = root / "marks"

    async def put(self, state: str, mark: Mark) -> None:
        """See the port."""
        await asyncio.to_thread(self._put, state, mark)

    async def newest_first(self, state: str) -> AsyncGenerator[StoredMark]:
        """See the port."""
        for bucket in await asyncio.to_thread(_names, self._root / state):
            if bucket == _ASIDE:
                continue
            for name in await asyncio.to_thread(_names, self._root / state / bucket):
                if name.endswith(".json"):
                    yield await asyncio.to_thread(self._read, state, f"{bucket}/{name}")

    async def states(self) -> frozenset[str]:
        """See the port."""
        return frozenset(await asyncio.to_thread(_names, self._root))

    async def set_aside(self, state: str, marks: Sequence[StoredMark]) -> None:
        """See the port. They are moved to `set-aside/` of their state."""
        await asyncio.to_thread(self._set_aside, state, marks)

    def _put(self, state: str, mark: Mark) -> None:
        number = mark.position.number
        folder = self._root / state / f"{number // _BUCKET:015d}"
        name = f"{number:018d}-{mark.position.digest or 'none'}-{secrets.token_hex(4)}.json"
        with _translated():
            _make(folder)
            partial = folder / f"{name}.partial"
            with partial.open("xb") as file:
                file.write(mark.model_dump_json(by_alias=True).encode())
                file.flush()
                os.fsync(file.fileno())
            partial.rename(folder / name)
            _sync(folder)

    def _read(self, state: str, name: str) -> StoredMark:
        with _translated():
            return StoredMark(name, Mark.model_validate_json((self._root / state / name).read_bytes()))

    def _set_aside(self, state: str, marks: Sequence[StoredMark]) -> None:
        aside = self._root / state / _ASIDE
        with _translated():
            _make(aside)
            for one in marks:
                with suppress(FileNotFoundError):
                    (self._root / state / one.name).rename(aside / one.name.rpartition("/")[2])
            _sync(aside)


def _names(folder: Path) -> list[str]:
    with _translated():
        try:
            return sorted((each.name for each in folder.iterdir()), reverse=True)
        except FileNotFoundError:
            return []


def _make(folder: Path) -> None:
    """A folder whose name stays after a crash of the machine: each new one is synced into the one above."""
    if folder.is_dir():
        return
    _make(folder.parent)
    folder.mkdir(exist_ok=True, mode=0o700)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TemporaryError(
            Reason.UNAVAILABLE, f"the marks beside the backups can't be reached: {error.strerror}"
        ) from error
    except ValueError as error:
        raise TemporaryError(
            Reason.UNAVAILABLE,
            "a mark beside the backups can't be read",
            hint="Look into its directory `marks`.",
        ) from error
