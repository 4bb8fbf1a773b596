"""Marks beside the backups: how far the state database had come when something was launched.

They are kept apart from the state database, so that one that was restored from an older backup is told from one that
is whole: it lacks what the newest mark names.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.marks import Mark


@dataclass(frozen=True)
class StoredMark:
    """A mark with the name that it is kept under."""

    name: str
    mark: Mark


class Marks(Protocol):
    """Keeps marks for each state database, by its id. Raises TemporaryError (`unavailable`) when it does not answer."""

    async def put(self, state: str, mark: Mark) -> None:
        """Keep a mark: durable when this returns. Marks are never changed; writers do not disturb each other."""
        ...

    def newest_first(self, state: str) -> AsyncGenerator[StoredMark]:
        """Marks of a state database by falling position; read as they are asked for."""
        ...

    async def states(self) -> frozenset[str]:
        """Ids of all state databases that have marks here."""
        ...

    async def set_aside(self, state: str, marks: Sequence[StoredMark]) -> None:
        """Keep these elsewhere, as evidence: they are marks no longer. One that is gone already is passed over."""
        ...
