"""Dumps in a directory: what has its final name is whole, because it is renamed to it.

Only the owner can read the files. A file that is being written is named `.ATTEMPT.RANDOM.partial`.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from errno import EEXIST, EMLINK, ENOSYS, EOPNOTSUPP, EPERM
from io import FileIO
from pathlib import Path
from typing import ParamSpec, TypeVar

from daemon.adapters.dumps.checksums import Checksums
from daemon.adapters.dumps.durable import make_durably, sync
from daemon.adapters.dumps.hashing import Hashing
from daemon.ports.dump_store import Checksum, StoredObject
from daemon.ports.errors import PermanentError, TemporaryError
from schemas.reasons import Reason

P = ParamSpec("P")
T = TypeVar("T")

_NO_LINKS = (EPERM, EOPNOTSUPP, ENOSYS, EMLINK)
"""What a file system without hard links says."""
_PIECE_BYTES = 1024 * 1024
_PARTIAL = ".partial"
_DUMP_SUFFIXES = 2
"""A dump's name ends in a random part and `dump`; what is before them names the attempt."""


class DirectoryDumps:
    """Implements `daemon.ports.dump_store.DumpStore` in a directory.

    Args:
        root: Made where it is missing.
        longest: Seconds that writing one dump may take at most. A half-written file that is twice as old is removed.
    """

    def __init__(self, root: Path, *, longest: float = 3600.0) -> None:
        self._root = root
        self._longest = longest
        self._checksums = Checksums()

    async def put(self, name: str, pieces: AsyncIterator[bytes], *, expected_bytes: int = 0) -> Checksum:  # noqa: ARG002 - a directory needs no hint
        """See the port."""
        final, hashing, opened = self._root / name, Hashing(), ExitStack()
        with opened:
            with _writing():
                partial, file = await _to_end(self._open_partial_file, final, opened)
            async for piece in pieces:
                with _writing():
                    await _to_end(_append, file, piece, hashing)
            with _writing():
                await _to_end(os.fsync, file.fileno())
                await _to_end(_rename, partial, final)
        return hashing.checksum()

    async def put_document(self, name: str, document: bytes) -> None:
        """See the port."""
        with _writing():
            await asyncio.to_thread(self._put_document, self._root / name, document)

    async def document(self, name: str) -> bytes | None:
        """See the port."""
        with _reading(name):
            return await asyncio.to_thread(_content, self._root / name)

    @asynccontextmanager
    async def read(self, name: str) -> AsyncGenerator[_FileReading]:
        """See the port."""
        with _reading(name):
            try:
                file = (self._root / name).open("rb", 0)
            except FileNotFoundError as error:
                raise PermanentError(Reason.BACKUP_UNPROVEN, f"{name} is gone") from error
        with file:
            yield _FileReading(name, file)

    async def holds(self, name: str, wanted: Checksum) -> bool:
        """See the port."""
        with _reading(name):
            return await asyncio.to_thread(self._checksums.is_of, self._root / name, wanted)

    async def list(self, folder: str = "") -> Sequence[StoredObject]:
        """See the port."""
        with _reading(folder or "the store"):
            return await asyncio.to_thread(lambda: list(self._stored(self._root / folder)))

    async def delete(self, name: str) -> None:
        """See the port."""
        with _writing():
            await asyncio.to_thread((self._root / name).unlink, missing_ok=True)

    async def free_bytes(self) -> int | None:
        """See the port."""
        with _writing():
            return await asyncio.to_thread(_free, self._root)

    async def check(self) -> None:
        """See the port. A directory replaces nothing: documents are linked to their names."""
        probe = self._root / f".probe.{secrets.token_hex(8)}{_PARTIAL}"
        with _writing():
            await asyncio.to_thread(_probe, probe)

    def _open_partial_file(self, final: Path, opened: ExitStack) -> tuple[Path, FileIO]:
        """Make a temporary file for a dump, and remove those that killed daemons left behind.

        Databases of several servers may have one name, so a file of another attempt may be one that is being written.
        It is removed only once it is older than any dump can be.
        """
        directory = final.parent
        make_durably(directory)
        own = f".{final.name.rsplit('.', _DUMP_SUFFIXES)[0]}."
        oldest = time.time() - 2 * self._longest
        for left in directory.glob(f".*{_PARTIAL}"):
            with suppress(FileNotFoundError):
                if left.name.startswith(own) or left.stat().st_mtime < oldest:
                    left.unlink()
        partial = directory / f"{own}{secrets.token_hex(4)}{_PARTIAL}"
        partial.touch(mode=0o600, exist_ok=False)
        opened.callback(partial.unlink, missing_ok=True)
        return partial, opened.enter_context(partial.open("wb", 0))

    def _put_document(self, final: Path, document: bytes) -> None:
        make_durably(final.parent)
        fresh = final.with_name(f".document.{secrets.token_hex(8)}{_PARTIAL}")
        try:
            fresh.touch(mode=0o600, exist_ok=False)
            with fresh.open("wb") as file:
                file.write(document)
                file.flush()
                os.fsync(file.fileno())
            try:
                _name_unless_named(fresh, final)
            except FileExistsError as error:
                if _content(final) != document:
                    raise PermanentError(Reason.BACKUP_FAILED, f"{final.name} is there already") from error
        finally:
            fresh.unlink(missing_ok=True)
        sync(final.parent)

    def _stored(self, folder: Path) -> Iterator[StoredObject]:
        for path in sorted(folder.rglob("*")):
            if path.name.startswith(".") or path.is_dir():
                continue
            with suppress(FileNotFoundError):
                status = path.stat()
                changed = datetime.fromtimestamp(status.st_mtime, UTC)
                yield StoredObject(str(path.relative_to(self._root)), status.st_size, changed)


class _FileReading:
    """Implements `daemon.ports.dump_store.Reading`."""

    def __init__(self, name: str, file: FileIO) -> None:
        self._name = name
        self._file = file
        self._hashing = Hashing()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            with _reading(self._name):
                piece = await _to_end(_next, self._file, self._hashing)
            if not piece:
                return
            yield piece

    async def checksum(self) -> Checksum:
        async for _ in self:
            pass
        return self._hashing.checksum()


async def _to_end(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call it in a thread. Who is cancelled meanwhile waits for its end first: no file is closed that is written to."""
    calling = asyncio.create_task(asyncio.to_thread(call, *args, **kwargs))
    try:
        return await asyncio.shield(calling)
    except asyncio.CancelledError:
        await asyncio.wait({calling})
        raise


def _append(file: FileIO, piece: bytes, hashing: Hashing) -> None:
    hashing.feed(piece)
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]


def _next(file: FileIO, hashing: Hashing) -> bytes:
    piece = file.read(_PIECE_BYTES) or b""
    hashing.feed(piece)
    return piece


def _rename(partial: Path, final: Path) -> None:
    _name_unless_named(partial, final)
    sync(final.parent)


def _name_unless_named(fresh: Path, final: Path) -> None:
    try:
        os.link(fresh, final)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if final.exists():
            raise FileExistsError(EEXIST, os.strerror(EEXIST)) from error
        # Names are random, so only a writer of the same name could come in between.
        fresh.rename(final)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _free(root: Path) -> int:
    """What the file system has left for us; that of the nearest directory above where it is not made yet."""
    while not root.exists() and root != root.parent:
        root = root.parent
    return shutil.disk_usage(root).free


def _probe(path: Path) -> None:
    make_durably(path.parent)
    try:
        path.touch(mode=0o600, exist_ok=False)
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TemporaryError(Reason.BACKUP_FAILED, f"backup store: {error.strerror}") from error


@contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TemporaryError(Reason.BACKUP_UNPROVEN, f"{name}: {error.strerror}") from error
