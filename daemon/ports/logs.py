"""What commands printed, kept by the daemon so that it outlives their pods."""

from __future__ import annotations

from typing import Protocol

from schemas.wire import AttemptId

MARKER = b"\n[resetd: "
"""Begins each line that stands for output that was not kept."""


class Logs(Protocol):
    """One append-only file of bytes for each attempt, bounded in size, a marker where it was cut.

    Every method but `keep` raises TemporaryError (`unavailable`) where the disk does not give it.
    """

    async def keep(self, attempt: AttemptId, offset: int, data: bytes) -> None:
        """Store output that begins at `offset` of the command's output; what is stored already is left as it is.

        What the disk does not take is warned of, and `whole` knows that it is missing: how a command ends counts for
        more than what it says.
        """
        ...

    async def read(self, attempt: AttemptId, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes from `offset`; empty at the end or where nothing is kept."""
        ...

    async def tail(self, attempt: AttemptId, lines: int) -> str:
        """The last lines, decoded leniently."""
        ...

    async def whole(self, attempt: AttemptId) -> tuple[str, bool]:
        """All that is kept, decoded leniently, and whether that is all of what was given to be kept."""
        ...

    async def size(self, attempt: AttemptId) -> int:
        """How many bytes are kept: where `follow` goes on after a restart."""
        ...
