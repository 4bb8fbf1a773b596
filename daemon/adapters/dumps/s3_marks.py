"""Marks in a bucket: `marks/{state}/`, and then as `mark_names` says, each put once.

A mark that is set aside is put into its folder before it is removed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store

from daemon.adapters.dumps.mark_names import PRUNED, SET_ASIDE, buckets, is_mark, name_of, prunable
from daemon.ports.errors import TemporaryError
from daemon.ports.marks import StoredMark
from schemas.marks import Mark
from schemas.reasons import Reason
from schemas.wire import Time

_ROOT = "marks"
_GONE = (FileNotFoundError, NotFoundError)


class S3Marks:
    """Implements `daemon.ports.marks.Marks` in a bucket."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    async def put(self, state: str, mark: Mark) -> None:
        """See the port."""
        content = mark.model_dump_json(by_alias=True).encode()
        with _translated():
            await obstore.put_async(
                self._store, f"{_ROOT}/{state}/{name_of(mark)}", content, use_multipart=False
            )

    async def newest_first(self, state: str) -> AsyncGenerator[StoredMark]:
        """See the port."""
        for folder in buckets(await self._folders(f"{_ROOT}/{state}")):
            for name in await self._names(f"{_ROOT}/{state}/{folder}"):
                yield await self._read(state, f"{folder}/{name}")

    async def states(self) -> frozenset[str]:
        """See the port."""
        return frozenset(await self._folders(_ROOT))

    async def set_aside(self, state: str, marks: Sequence[StoredMark]) -> None:
        """See the port."""
        for mark in marks:
            name = f"{_ROOT}/{state}/{mark.name}"
            aside = f"{_ROOT}/{state}/{SET_ASIDE}/{mark.name.rpartition('/')[2]}"
            with _translated(), suppress(*_GONE):
                content = await (await obstore.get_async(self._store, name)).bytes_async()
                await obstore.put_async(self._store, aside, bytes(content), use_multipart=False)
                await obstore.delete_async(self._store, name)

    async def prune(self, state: str, *, before: Time) -> int:
        """See the port. Whole folders go, the oldest first."""
        going: list[str] = []
        for folder in prunable(buckets(await self._folders(f"{_ROOT}/{state}"))):
            names = [f"{folder}/{name}" for name in await self._names(f"{_ROOT}/{state}/{folder}")]
            read = [await self._read(state, name) for name in names]
            if any(stored.mark.at >= before for stored in read):
                break
            going += sorted(names)
        if not going:
            return 0
        with _translated():
            said = f"{_ROOT}/{state}/{PRUNED}/{before.timestamp():017.6f}.txt"
            await obstore.put_async(self._store, said, b"", use_multipart=False)
            for name in going:
                with suppress(*_GONE):
                    await obstore.delete_async(self._store, f"{_ROOT}/{state}/{name}")
        return len(going)

    async def pruned_until(self, state: str) -> Time | None:
        """See the port."""
        with _translated():
            folder = f"{_ROOT}/{state}/{PRUNED}/"
            found = await obstore.list_with_delimiter_async(self._store, prefix=folder)
            said = [meta["path"].rpartition("/")[2].removesuffix(".txt") for meta in found["objects"]]
            return max((datetime.fromtimestamp(float(name), UTC) for name in said), default=None)

    async def _folders(self, folder: str) -> list[str]:
        with _translated():
            found = await obstore.list_with_delimiter_async(self._store, prefix=f"{folder}/")
        return sorted((path.rpartition("/")[2] for path in found["common_prefixes"]), reverse=True)

    async def _names(self, folder: str) -> list[str]:
        with _translated():
            found = await obstore.list_with_delimiter_async(self._store, prefix=f"{folder}/")
        names = [meta["path"].rpartition("/")[2] for meta in found["objects"]]
        return sorted(filter(is_mark, names), reverse=True)

    async def _read(self, state: str, name: str) -> StoredMark:
        with _translated():
            found = await obstore.get_async(self._store, f"{_ROOT}/{state}/{name}")
            return StoredMark(name, Mark.model_validate_json(bytes(await found.bytes_async())))


@contextmanager
def _translated() -> Iterator[None]:
    """The library's messages quote requests and answers, so only the kind of error is told."""
    try:
        yield
    except (BaseError, OSError) as error:
        detail = f"the marks beside the backups can't be reached: {type(error).__name__}"
        raise TemporaryError(Reason.UNAVAILABLE, detail) from None
    except ValueError:
        raise TemporaryError(
            Reason.UNAVAILABLE,
            "a mark beside the backups can't be read",
            hint="Look into its folder `marks`.",
        ) from None
