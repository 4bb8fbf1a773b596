"""Dumps in a bucket. Nothing is renamed there: the manifest, put with `If-None-Match: *`, makes a dump count.

An upload that a kill cut short is no object. Its parts stay until a lifecycle rule of the bucket ends it.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import S3Store

from daemon.adapters.dumps.hashing import Hashing
from daemon.ports.dump_store import Checksum, StoredObject
from daemon.ports.errors import PermanentError, TemporaryError
from schemas.reasons import Reason

_MIB = 1024 * 1024
_PART_BYTES = 5 * _MIB
"""The least that S3 takes."""
_MOST_PARTS = 9_000
"""S3 takes 10,000."""
_PARTS_AT_ONCE = 2
_DUMPS_AT_ONCE = 4
_PIECE_BYTES = _MIB
_TAKEN_UP = 4
"""How often in a row a read that broke off is taken up without a byte more."""
_GONE = (FileNotFoundError, NotFoundError)
_STATUS = re.compile(r"status(?: code)?:? (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_HINT = "Look at the bucket, its region and endpoint, and at the rights of the AWS_* credentials."


class S3Dumps:
    """Implements `daemon.ports.dump_store.DumpStore` in a bucket, under the prefix of `store`."""

    def __init__(self, store: S3Store) -> None:
        self._store = store
        self._uploads = asyncio.Semaphore(_DUMPS_AT_ONCE)
        self._read: dict[str, tuple[str, Checksum]] = {}
        self._is_fit = False

    async def put(self, name: str, pieces: AsyncIterator[bytes], *, expected_bytes: int = 0) -> Checksum:
        """See the port. A store that replaces what has a name gets no dump."""
        if not self._is_fit:
            await self.check()
        hashing, sending = Hashing(), _Sending(pieces)
        part = max(_PART_BYTES, -(-expected_bytes // _MOST_PARTS // _MIB) * _MIB)
        async with self._uploads:
            try:
                with _translated(Reason.BACKUP_FAILED, name):
                    await obstore.put_async(
                        self._store,
                        name,
                        sending.hashed(hashing),
                        use_multipart=True,
                        chunk_size=part,
                        max_concurrency=_PARTS_AT_ONCE,
                    )
            except TemporaryError:
                # The library wraps what the stream raised.
                if sending.error is not None:
                    raise sending.error from None
                raise
            if sending.error is not None or not sending.ended:
                await self.delete(name)
                raise sending.error or TemporaryError(
                    Reason.BACKUP_FAILED, f"{name}: was not sent to its end"
                )
        return hashing.checksum()

    async def put_document(self, name: str, document: bytes) -> None:
        """See the port."""
        with _translated(Reason.BACKUP_FAILED, name):
            try:
                await obstore.put_async(self._store, name, document, mode="create", use_multipart=False)
            except AlreadyExistsError as error:
                # One that was put without being answered is tried again by the library.
                if await self.document(name) != document:
                    raise PermanentError(Reason.BACKUP_FAILED, f"{name} is there already") from error

    async def document(self, name: str) -> bytes | None:
        """See the port."""
        with _translated(Reason.BACKUP_UNPROVEN, name):
            try:
                found = await obstore.get_async(self._store, name)
            except _GONE:
                return None
            return bytes(await found.bytes_async())

    @asynccontextmanager
    async def read(self, name: str) -> AsyncGenerator[_ObjectReading]:
        """See the port."""
        with _translated(Reason.BACKUP_UNPROVEN, name):
            try:
                found = await obstore.get_async(self._store, name)
            except _GONE as error:
                raise PermanentError(Reason.BACKUP_UNPROVEN, f"{name} is gone") from error
            reading = _ObjectReading(self._store, name, found)
        yield reading
        if reading.ended:
            self._read[name] = (_mark(found.meta), await reading.checksum())

    async def holds(self, name: str, wanted: Checksum) -> bool:
        """See the port. An object whose ETag and time are those that it was read under is unchanged."""
        with _translated(Reason.BACKUP_UNPROVEN, name):
            try:
                meta = await obstore.head_async(self._store, name)
            except _GONE:
                return False
        if int(meta["size"]) != wanted.size_bytes:
            return False
        mark, found = self._read.get(name, (None, None))
        if mark != _mark(meta):
            try:
                async with self.read(name) as reading:
                    found = await reading.checksum()
            except PermanentError:
                return False
        return found == wanted

    async def list(self, folder: str = "") -> Sequence[StoredObject]:
        """See the port."""
        found: list[StoredObject] = []
        with _translated(Reason.BACKUP_UNPROVEN, folder or "the store"):
            async for batch in obstore.list(self._store, prefix=folder or None):
                found += [
                    StoredObject(meta["path"], int(meta["size"]), meta["last_modified"]) for meta in batch
                ]
        return sorted(found, key=lambda stored: stored.name)

    async def delete(self, name: str) -> None:
        """See the port."""
        self._read.pop(name, None)
        with _translated(Reason.BACKUP_FAILED, name), suppress(*_GONE):
            await obstore.delete_async(self._store, name)

    async def free_bytes(self) -> int | None:
        """See the port. A bucket has no end that could be asked for."""
        return None

    async def check(self) -> None:
        """See the port."""
        name = f".probes/{secrets.token_hex(8)}"
        with _translated(Reason.BACKUP_FAILED, "the store"):
            try:
                await obstore.put_async(self._store, name, b"1", mode="create", use_multipart=False)
                try:
                    await obstore.put_async(self._store, name, b"2", mode="create", use_multipart=False)
                except AlreadyExistsError:
                    refused = True
                else:
                    refused = False
                left = await self.document(name)
            finally:
                with suppress(BaseError):
                    await obstore.delete_async(self._store, name)
        if not refused or left != b"1":
            raise PermanentError(
                Reason.BACKUP_STORE_UNFIT,
                "the store replaced an object although it was told to keep it",
                hint="Use a store that honours `If-None-Match: *` for PutObject.",
            )
        self._is_fit = True


class _Sending:
    """A stream on its way into the library, which tells no more of its errors than their text."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self.error: Exception | None = None
        self.ended = False

    async def hashed(self, hashing: Hashing) -> AsyncIterator[bytes]:
        """The pieces, hashed on their way."""
        try:
            async for piece in self._pieces:
                await asyncio.to_thread(hashing.feed, piece)
                yield piece
        except Exception as error:
            self.error = error
            raise
        self.ended = True


class _ObjectReading:
    """Implements `daemon.ports.dump_store.Reading`. A connection that broke off is taken up where it was."""

    def __init__(self, store: S3Store, name: str, found: obstore.GetResult) -> None:
        self._store = store
        self._name = name
        self._meta = found.meta
        self._stream = aiter(found.stream(min_chunk_size=_PIECE_BYTES))
        self._hashing = Hashing()
        self.ended = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (piece := await self._next()) is not None:
            await asyncio.to_thread(self._hashing.feed, piece)
            yield piece
        self.ended = True

    async def checksum(self) -> Checksum:
        async for _ in self:
            pass
        return self._hashing.checksum()

    async def _next(self) -> bytes | None:
        left = int(self._meta["size"]) - self._hashing.size_bytes
        with _translated(Reason.BACKUP_UNPROVEN, self._name):
            for _ in range(_TAKEN_UP):
                if not left:
                    return None
                try:
                    piece = await anext(self._stream, None)
                except (BaseError, OSError):
                    piece = None
                if piece is not None:
                    return bytes(memoryview(piece))
                await self._take_up()
        raise TemporaryError(Reason.BACKUP_UNPROVEN, f"{self._name}: its answers break off", hint=_HINT)

    async def _take_up(self) -> None:
        """Ask for what is left of the very object whose beginning was read."""
        wanted: obstore.GetOptions = {"range": {"offset": self._hashing.size_bytes}}
        if self._meta["e_tag"]:
            wanted["if_match"] = self._meta["e_tag"]
        found = await obstore.get_async(self._store, self._name, options=wanted)
        self._stream = aiter(found.stream(min_chunk_size=_PIECE_BYTES))


def _mark(meta: obstore.ObjectMeta) -> str:
    """What changes with an object's contents."""
    return f"{meta['e_tag']} {meta['version']} {meta['last_modified']} {meta['size']}"


@contextmanager
def _translated(reason: Reason, name: str) -> Iterator[None]:
    """The library's messages quote requests and answers, so only their codes are told."""
    try:
        yield
    except (BaseError, OSError, TimeoutError, ValueError) as error:
        said = str(error)
        codes = [found[1] for found in (_STATUS.search(said), _CODE.search(said)) if found]
        what = " ".join(codes) or type(error).__name__
        raise TemporaryError(reason, f"backup store: {name}: {what}", hint=_HINT) from None
