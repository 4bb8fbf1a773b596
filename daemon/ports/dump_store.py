"""Where the bytes of dumps lie, and the documents about them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Checksum:
    """Of all bytes of something stored."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class StoredObject:
    """Something stored, as a listing tells it."""

    name: str
    size_bytes: int
    changed_at: datetime


class Reading(Protocol):
    """What is stored under a name, read once from its start."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return the pieces that were put, in order, cut anywhere."""
        ...

    async def checksum(self) -> Checksum:
        """Read what is left, and return size and SHA-256 of what is stored: what `put` returned for it."""
        ...


class DumpStore(Protocol):
    """Keeps dumps under names, and documents beside them.

    - A name is `FOLDER/.../ATTEMPT.RANDOM.dump`, or that of a document beside it: parts of letters that files may have.
    - What has a name is whole, and is never replaced. A dump counts once a document says so: the manifest, put last.
    - Memory is bounded, however big a dump is.
    - Writing raises TemporaryError (`backup-failed`), reading TemporaryError (`backup-unproven`), where the store does
      not answer, is full or refuses.
    - No error names a secret.
    """

    async def put(self, name: str, pieces: AsyncIterator[bytes], *, expected_bytes: int = 0) -> Checksum:
        """Store all pieces under a new name, durably, and return what was sent.

        What `pieces` raises is raised, and nothing has the name then.

        Args:
            name: Nobody has it.
            pieces: Closed by the caller.
            expected_bytes: About how much it will be, where the caller knows; more is no error.
        """
        ...

    async def put_document(self, name: str, document: bytes) -> None:
        """Store a small document under a name that nobody has, durably.

        The same document under its name is no error, so that one that was not answered may be repeated.

        Raises:
            PermanentError: `backup-failed`: another document has the name.
        """
        ...

    async def document(self, name: str) -> bytes | None:
        """Return a document; None where there is none."""
        ...

    def read(self, name: str) -> AbstractAsyncContextManager[Reading]:
        """Open a dump.

        Raises:
            PermanentError: `backup-unproven`: nothing has the name, or it can't be decrypted.
        """
        ...

    async def holds(self, name: str, wanted: Checksum) -> bool:
        """Tell whether that very dump has the name. It is read again unless the store says that it is unchanged."""
        ...

    async def list(self, folder: str = "") -> Sequence[StoredObject]:
        """Return all dumps and documents under a folder; of the whole store by default."""
        ...

    async def delete(self, name: str) -> None:
        """Remove what has the name. What is gone already is no error."""
        ...

    async def free_bytes(self) -> int | None:
        """How much may still be stored; None where nobody can tell."""
        ...

    async def check(self) -> None:
        """Show that the store can be written to and read, and that it replaces no document.

        Raises:
            TemporaryError: `backup-failed`: it does not answer, or refuses.
            PermanentError: `backup-store-unfit`: it replaces what has a name.
        """
        ...
