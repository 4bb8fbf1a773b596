"""Marks as files: `{root}/marks/{state}/{bucket}/{position}-{digest}-{writer}.json`, each written once.

The name of a file says what is compared. Positions fall into buckets, so that finding the newest mark lists two short
directories, however many marks there are. Nobody changes or replaces a file, so several daemons need no lock.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import takewhile
from pathlib import Path

from daemon.ports.errors import TemporaryError
from daemon.ports.marks import StoredMark
from schemas.marks import Mark
from schemas.reasons import Reason

_BUCKET_SIZE = 1000
_SET_ASIDE = "set-aside"
_PRUNED = "pruned"
"""Folder of files whose names say from before which time marks may be gone. None of them ends in `.json`."""
_KEPT_BUCKETS = 2
"""The newest ones with a mark stay, however old they are: the guard against a restored state needs the newest mark."""


class FileMarks:
    """Implements `daemon.ports.marks.Marks` in a directory, which is made for the first mark."""

    def __init__(self, root: Path) -> None:
        self._root = root / "marks"

    async def put(self, state: str, mark: Mark) -> None:
        """See the port."""
        await asyncio.to_thread(self._put, state, mark)

    async def newest_first(self, state: str) -> AsyncGenerator[StoredMark]:
        """See the port."""
        for bucket in await asyncio.to_thread(_list_newest_first, self._root / state):
            if not bucket.isdigit():
                continue
            for name in await asyncio.to_thread(_list_newest_first, self._root / state / bucket):
                if name.endswith(".json"):
                    yield await asyncio.to_thread(self._read, state, f"{bucket}/{name}")

    async def states(self) -> frozenset[str]:
        """See the port."""
        return frozenset(await asyncio.to_thread(_list_newest_first, self._root))

    async def set_aside(self, state: str, marks: Sequence[StoredMark]) -> None:
        """See the port. The marks are moved to `set-aside/` of their state."""
        await asyncio.to_thread(self._set_aside, state, marks)

    async def prune(self, state: str, *, before: datetime) -> int:
        """See the port. Whole buckets go, the oldest first."""
        return await asyncio.to_thread(self._prune, state, before)

    async def pruned_until(self, state: str) -> datetime | None:
        """See the port."""
        names = await asyncio.to_thread(_list_newest_first, self._root / state / _PRUNED)
        with _translated():
            return max((datetime.fromisoformat(name) for name in names), default=None)

    def _prune(self, state: str, before: datetime) -> int:
        root = self._root / state
        filled = [name for name in _list_newest_first(root) if name.isdigit() and _marks_in(root / name)]
        oldest_first = [root / name for name in filled[_KEPT_BUCKETS:]][::-1]
        going = [*takewhile(lambda bucket: self._is_older(state, bucket, before), oldest_first)]
        if not going:
            return 0
        with _translated():
            _make_durably(root / _PRUNED)
            (root / _PRUNED / before.isoformat()).touch()
            _fsync(root / _PRUNED)
            for earlier in (root / _PRUNED).iterdir():
                if datetime.fromisoformat(earlier.name) < before:
                    earlier.unlink(missing_ok=True)
        return sum(_remove(bucket) for bucket in going)

    def _is_older(self, state: str, bucket: Path, before: datetime) -> bool:
        """Whether every mark of a bucket is from before that time."""
        return all(self._read(state, f"{bucket.name}/{name}").mark.at < before for name in _marks_in(bucket))

    def _put(self, state: str, mark: Mark) -> None:
        number = mark.position.number
        folder = self._root / state / f"{number // _BUCKET_SIZE:015d}"
        name = f"{number:018d}-{mark.position.digest or 'none'}-{secrets.token_hex(4)}.json"
        with _translated():
            _make_durably(folder)
            partial = folder / f"{name}.partial"
            with partial.open("xb") as file:
                file.write(mark.model_dump_json(by_alias=True).encode())
                file.flush()
                os.fsync(file.fileno())
            partial.rename(folder / name)
            _fsync(folder)

    def _read(self, state: str, name: str) -> StoredMark:
        with _translated():
            return StoredMark(name, Mark.model_validate_json((self._root / state / name).read_bytes()))

    def _set_aside(self, state: str, marks: Sequence[StoredMark]) -> None:
        aside = self._root / state / _SET_ASIDE
        with _translated():
            _make_durably(aside)
            for mark in marks:
                with suppress(FileNotFoundError):
                    (self._root / state / mark.name).rename(aside / mark.name.rpartition("/")[2])
            _fsync(aside)


def _list_newest_first(folder: Path) -> list[str]:
    with _translated():
        try:
            return sorted((entry.name for entry in folder.iterdir()), reverse=True)
        except FileNotFoundError:
            return []


def _marks_in(bucket: Path) -> list[str]:
    return [name for name in _list_newest_first(bucket) if name.endswith(".json")]


def _remove(bucket: Path) -> int:
    """Remove a bucket, its oldest marks first, and count them. Another daemon may do the same at once."""
    removed = 0
    with _translated():
        for name in reversed(_list_newest_first(bucket)):
            with suppress(FileNotFoundError):
                (bucket / name).unlink()
                removed += name.endswith(".json")
        with suppress(FileNotFoundError):
            bucket.rmdir()
    return removed


def _make_durably(folder: Path) -> None:
    """Make a folder that is there after a crash of the machine: each new one is synced into the folder above."""
    if folder.is_dir():
        return
    _make_durably(folder.parent)
    folder.mkdir(exist_ok=True, mode=0o700)
    _fsync(folder.parent)


def _fsync(folder: Path) -> None:
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
