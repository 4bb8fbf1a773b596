"""Output of commands, kept by the daemon so that it outlives their pods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from schemas.wire import AttemptId, ResetId, Time

MARKER = b"\n[resetd: "
"""Begins each line that stands for output that was not kept."""


class Logs(Protocol):
    """Keeps the output of each attempt.

    - What is kept of an attempt is only appended to, and bounded in size; a marker says where it was cut.
    - Offsets are those of the command's own output.
    - No secret that the daemon knows is kept, and no first part of one: the end of what was given is held back while it
      may be one, until more comes or `settle` is called.
    - Every method but `keep` raises TemporaryError (`unavailable`) where the disk does not answer.
    """

    async def keep(self, attempt: AttemptId, offset: int, data: bytes) -> None:
        """Keep output that begins at `offset` of the command's output.

        - Output that is kept already is left as it is.
        - Output that the disk does not take is logged as a warning, and raises nothing: how a command ends counts for
          more than what it prints. `whole` tells that it is missing.
        """
        ...

    async def settle(self, attempt: AttemptId) -> None:
        """Keep also what was held back: nothing more comes. Of what then is most of a secret no more is shown.

        It raises nothing, as `keep`.
        """
        ...

    async def read(self, attempt: AttemptId, offset: int, limit: int) -> bytes:
        """Return up to `limit` bytes from `offset` on; none at the end, or where nothing is kept."""
        ...

    async def tail(self, attempt: AttemptId, lines: int) -> str:
        """Return the last lines; bytes that are no UTF-8 are replaced."""
        ...

    async def whole(self, attempt: AttemptId) -> tuple[str, bool]:
        """Return all that is kept, as `tail` decodes it, and whether that is all that was given to `keep`."""
        ...

    async def size(self, attempt: AttemptId) -> int:
        """Return how many bytes are kept, which is where `follow` goes on after a restart."""
        ...

    async def untouched_since(self, before: Time) -> Sequence[ResetId]:
        """Return the resets of which output is kept, and none was written since that time."""
        ...

    async def forget(self, reset_id: ResetId) -> None:
        """Remove all output that is kept of a reset, if any."""
        ...
