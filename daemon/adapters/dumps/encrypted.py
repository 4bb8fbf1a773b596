"""Dumps that are encrypted at rest with age, in whatever store. Manifests stay in clear: they hold names and counts.

Key files are read again for each dump, so that they can be rotated. A dump from before there was encryption is read as
it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pyrage

from daemon.adapters.dumps.streaming import streamed
from daemon.ports.dump_store import Checksum, DumpStore, Reading, StoredObject
from daemon.ports.errors import PermanentError
from schemas.reasons import Reason

_MAGIC = b"age-encryption.org/v1"
_PROBE = b"resetd"
_HINT = (
    "The file of RESETD_BACKUP_AGE_IDENTITIES_FILE has to hold the secret key of a recipient in "
    "RESETD_BACKUP_AGE_RECIPIENTS_FILE. Without it no dump can be restored."
)


class EncryptedDumps:
    """Implements `daemon.ports.dump_store.DumpStore` over another one.

    Sizes and checksums are of what is stored, so that a dump can be checked without its key.
    """

    def __init__(self, inner: DumpStore, recipients: Path, identities: Path) -> None:
        self._inner = inner
        self._recipients = recipients
        self._identities = identities

    async def put(self, name: str, pieces: AsyncIterator[bytes], *, expected_bytes: int = 0) -> Checksum:
        """See the port. Nothing is stored that could not be decrypted again."""
        self.check_keys()
        recipients = self._read_recipients()
        made = streamed(pieces, lambda read, write: pyrage.encrypt_io(read, write, recipients))
        async with aclosing(made) as encrypted:
            return await self._inner.put(name, encrypted, expected_bytes=expected_bytes)

    @asynccontextmanager
    async def read(self, name: str) -> AsyncGenerator[Reading]:
        """See the port."""
        async with self._inner.read(name) as stored:
            pieces = _Pieces(stored)
            try:
                yield _Decrypting(name, stored, pieces, self._read_identities)
            finally:
                await pieces.settle()

    async def check(self) -> None:
        """See the port. The keys are checked, too."""
        self.check_keys()
        await self._inner.check()

    def check_keys(self) -> None:
        """Show that what is encrypted for the recipients can be decrypted by one of the identities.

        Raises:
            PermanentError: `backup-failed`: it can't, or a file can't be used.
        """
        sealed = BytesIO()
        pyrage.encrypt_io(BytesIO(_PROBE), sealed, self._read_recipients())
        try:
            opened = pyrage.decrypt(sealed.getvalue(), self._read_identities())
        except pyrage.DecryptError:
            opened = b""
        if opened != _PROBE:
            detail = "no identity of the daemon decrypts what its recipients are sent"
            raise PermanentError(Reason.BACKUP_FAILED, detail, hint=_HINT)

    async def put_document(self, name: str, document: bytes) -> None:
        """See the port."""
        await self._inner.put_document(name, document)

    async def document(self, name: str) -> bytes | None:
        """See the port."""
        return await self._inner.document(name)

    async def holds(self, name: str, wanted: Checksum) -> bool:
        """See the port."""
        return await self._inner.holds(name, wanted)

    async def list(self, folder: str = "") -> Sequence[StoredObject]:
        """See the port."""
        return await self._inner.list(folder)

    async def delete(self, name: str) -> None:
        """See the port."""
        await self._inner.delete(name)

    async def free_bytes(self) -> int | None:
        """See the port."""
        return await self._inner.free_bytes()

    def _read_recipients(self) -> Sequence[Any]:
        lines = _lines(self._recipients, "RESETD_BACKUP_AGE_RECIPIENTS_FILE")
        try:
            found = [
                (pyrage.ssh if line.startswith("ssh-") else pyrage.x25519).Recipient.from_str(line)
                for line in lines
            ]
        except (pyrage.RecipientError, ValueError):
            found = []
        if not found:
            raise _unusable("RESETD_BACKUP_AGE_RECIPIENTS_FILE", "holds no recipient of age")
        return found

    def _read_identities(self) -> Sequence[Any]:
        lines = _lines(self._identities, "RESETD_BACKUP_AGE_IDENTITIES_FILE")
        try:
            if lines and lines[0].startswith("-----BEGIN"):
                return [pyrage.ssh.Identity.from_buffer("\n".join([*lines, ""]).encode())]
            found = [pyrage.x25519.Identity.from_str(line) for line in lines]
        except (pyrage.IdentityError, ValueError):
            found = []
        if not found:
            raise _unusable("RESETD_BACKUP_AGE_IDENTITIES_FILE", "holds no identity of age")
        return found


class _Pieces:
    """The pieces of a stream. Who stops waiting for one in the middle leaves it to whoever comes next: none is lost."""

    def __init__(self, stored: Reading) -> None:
        self._pieces = aiter(stored)
        self._coming: asyncio.Future[bytes | None] | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        coming = self._coming = self._coming or asyncio.ensure_future(anext(self._pieces, None))
        try:
            piece = await asyncio.shield(coming)
        finally:
            if coming.done() and self._coming is coming:
                self._coming = None
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def settle(self) -> None:
        """Wait for what is still being read."""
        if self._coming is not None:
            await asyncio.wait({self._coming})


class _Decrypting:
    """Implements `daemon.ports.dump_store.Reading`."""

    def __init__(
        self,
        name: str,
        stored: Reading,
        pieces: _Pieces,
        identities: Any,  # noqa: ANN401 - the library has no types
    ) -> None:
        self._name = name
        self._stored = stored
        self._pieces = pieces
        self._identities = identities

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = self._pieces
        first = b""
        while len(first) < len(_MAGIC) and (piece := await anext(pieces, None)) is not None:
            first += piece
        if not first.startswith(_MAGIC):
            if first:
                yield first
            async for piece in pieces:
                yield piece
            return
        identities = self._identities()
        opened = streamed(
            _with(first, pieces), lambda read, write: pyrage.decrypt_io(read, write, identities)
        )
        try:
            async with aclosing(opened):
                async for piece in opened:
                    yield piece
        except (pyrage.DecryptError, OSError) as error:
            detail = f"{self._name} can't be decrypted"
            raise PermanentError(Reason.BACKUP_UNPROVEN, detail, hint=_HINT) from error

    async def checksum(self) -> Checksum:
        async for _ in self._pieces:
            pass
        return await self._stored.checksum()


async def _with(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


def _lines(file: Path, setting: str) -> list[str]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise _unusable(setting, "can't be read") from error
    stripped = [line.strip() for line in text.splitlines()]
    return [line for line in stripped if line and not line.startswith("#")]


def _unusable(setting: str, why: str) -> PermanentError:
    return PermanentError(Reason.BACKUP_FAILED, f"{setting}: {why}", hint=_HINT)
