"""Marks as files: `{root}/marks/{state}/`, and then as `mark_names` says, each written once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import takewhile
from pathlib import Path

from daemon.adapters.dumps.durable import make_durably, sync
from daemon.adapters.dumps.mark_names import PRUNED, SET_ASIDE, buckets, is_mark, name_of, prunable
from daemon.ports.errors import TemporaryError
from daemon.ports.marks import StoredMark
from schemas.marks import Mark
from schemas.reasons import Reason


class FileMarks:
    """Implements `daemon.ports.marks.Marks` in a directory, which is made for the first mark."""

    def __init__(self, root: Path) -> None:
        self._root = root / "marks"

    async def put(self, state: str, mark: Mark) -> None:
        """See the port."""
        await asyncio.to_thread(self._put, state, mark)

    async def newest_first(self, state: str) -> AsyncGenerator[StoredMark]:
        """See the port."""
        for bucket in buckets(await asyncio.to_thread(_list_newest_first, self._root / state)):
            for name in await asyncio.to_thread(_marks_in, self._root / state / bucket):
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
        names = await asyncio.to_thread(_list_newest_first, self._root / state / PRUNED)
        with _translated():
            return max((datetime.fromisoformat(name) for name in names), default=None)

    def _prune(self, state: str, before: datetime) -> int:
        root = self._root / state
        filled = [name for name in buckets(_list_newest_first(root)) if _marks_in(root / name)]
        oldest_first = (root / name for name in prunable(filled))
        going = [*takewhile(lambda bucket: self._is_older(state, bucket, before), oldest_first)]
        if not going:
            return 0
        with _translated():
            make_durably(root / PRUNED)
            (root / PRUNED / before.isoformat()).touch()
            sync(root / PRUNED)
            for earlier in (root / PRUNED).iterdir():
                if datetime.fromisoformat(earlier.name) < before:
                    earlier.unlink(missing_ok=True)
        return sum(_remove(bucket) for bucket in going)

    def _is_older(self, state: str, bucket: Path, before: datetime) -> bool:
        """Whether every mark of a bucket is from before that time."""
        return all(self._read(state, f"{bucket.name}/{name}").mark.at < before for name in _marks_in(bucket))

    def _put(self, state: str, mark: Mark) -> None:
        final = self._root / state / name_of(mark)
        folder, partial = final.parent, final.with_name(f"{final.name}.partial")
        with _translated():
            make_durably(folder)
            with partial.open("xb") as file:
                file.write(mark.model_dump_json(by_alias=True).encode())
                file.flush()
                os.fsync(file.fileno())
            partial.rename(final)
            sync(folder)

    def _read(self, state: str, name: str) -> StoredMark:
        with _translated():
            return StoredMark(name, Mark.model_validate_json((self._root / state / name).read_bytes()))

    def _set_aside(self, state: str, marks: Sequence[StoredMark]) -> None:
        aside = self._root / state / SET_ASIDE
        with _translated():
            make_durably(aside)
            for mark in marks:
                with suppress(FileNotFoundError):
                    (self._root / state / mark.name).rename(aside / mark.name.rpartition("/")[2])
            sync(aside)


def _list_newest_first(folder: Path) -> list[str]:
    with _translated():
        try:
            return sorted((entry.name for entry in folder.iterdir()), reverse=True)
        except FileNotFoundError:
            return []


def _marks_in(bucket: Path) -> list[str]:
    return [name for name in _list_newest_first(bucket) if is_mark(name)]


def _remove(bucket: Path) -> int:
    """Remove a bucket, its oldest marks first, and count them. Another daemon may do the same at once."""
    removed = 0
    with _translated():
        for name in reversed(_list_newest_first(bucket)):
            with suppress(FileNotFoundError):
                (bucket / name).unlink()
                removed += is_mark(name)
        with suppress(FileNotFoundError):
            bucket.rmdir()
    return removed


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
