"""The state database as a whole: how far it has come, and whether it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.audit import AuditEntry
from schemas.marks import Position
from schemas.wire import ResetId, Time


@dataclass(frozen=True)
class Lost:
    """What is known of a state that was lost, to the one that takes its place."""

    statuses: int
    """It told at most so many, of no more resets; who listens drops those with lower sequences of their environment."""
    environments: frozenset[str]
    """Some that it knew, besides those that are known here."""
    resets: frozenset[ResetId]
    """They launched what is not recorded here, on resources that nobody here can name: perhaps on all."""


class StateStore(Protocol):
    """The state as a whole. Raises TemporaryError (`unavailable`) when the database does not answer."""

    async def state_id(self) -> str:
        """This state database's own id; drawn when it is first asked for."""
        ...

    async def position(self) -> Position:
        """The newest row of the outbox. Whatever was committed before this was asked is at it or before it."""
        ...

    async def contains(self, position: Position) -> bool:
        """Whether the outbox has that very row; always for number 0."""
        ...

    async def adopt(
        self, entry: AuditEntry, events: Sequence[tuple[str, str]], lost: Lost, *, now: Time
    ) -> None:
        """Write down that the state was adopted, and that these events (source, id) were handled, though not here.

        The sequences of its environments, and the numbers of their resets, go on above what was told, and resets that
        had begun are superseded by each of `lost.resets` but themselves.
        """
        ...

    async def ping(self) -> None:
        """Answers when the database does."""
        ...

    async def close(self) -> None:
        """Let connections go."""
        ...
