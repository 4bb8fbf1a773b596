"""Marks beside the backups: how far the state database had come when something was launched.

Marks are kept apart from the state database. A state database that was restored from an older backup lacks the row that
the newest mark names, and so is told from one that is whole.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.marks import Mark
from schemas.wire import Time


@dataclass(frozen=True)
class StoredMark:
    """A mark, with the name under which it is kept."""

    name: str
    mark: Mark


class Marks(Protocol):
    """Keeps marks for each state database, by its id.

    - A mark is never changed.
    - Writers do not disturb each other.
    - Every method raises TemporaryError (`unavailable`) where the marks can't be reached.
    """

    async def put(self, state: str, mark: Mark) -> None:
        """Keep a mark. It is durable when this returns."""
        ...

    def newest_first(self, state: str) -> AsyncGenerator[StoredMark]:
        """Return the marks of a state database by falling position. Each is read when it is asked for."""
        ...

    async def states(self) -> frozenset[str]:
        """Return the ids of all state databases that have marks here."""
        ...

    async def prune(self, state: str, *, before: Time) -> int:
        """Let old marks of a state database go, and tell how many went.

        - What stays: every mark from `before` or later, and every mark of a position above that of such a mark or of a
          mark that stays for another reason; the newest marks, however old they are.
        - `pruned_until` tells of it before the first one goes. So it may end at any instant.
        """
        ...

    async def pruned_until(self, state: str) -> Time | None:
        """Return a time from before which marks may be gone; None where none was ever pruned."""
        ...

    async def set_aside(self, state: str, marks: Sequence[StoredMark]) -> None:
        """Keep these elsewhere, as evidence: they are marks no longer. One that is gone already is passed over."""
        ...
