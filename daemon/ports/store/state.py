"""The store, as those ask it to whom the state is one thing: the marks, the adoption of a restored state, health.

They ask which state database it is, how far it has come, and whether it answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.audit import AuditEntry
from schemas.marks import Position
from schemas.wire import ResetId, Time


@dataclass(frozen=True)
class Lost:
    """What the state that takes a lost state's place knows of it."""

    statuses: int
    """At most so many statuses were told, of no more resets. Listeners drop those with a lower sequence of their
    environment."""
    environments: frozenset[str]
    """Environments that the lost state knew, besides those that are known here."""
    resets: frozenset[ResetId]
    """Resets that launched what is not recorded here, on resources that nobody here can name: perhaps on all."""


class StateStore(Protocol):
    """Tells of the state as a whole. Raises TemporaryError (`unavailable`) when the database does not answer."""

    async def state_id(self) -> str:
        """Return this state database's own id, which is drawn when it is first asked for."""
        ...

    async def position(self) -> Position:
        """Return the newest row of the outbox. What was committed before this call is at that row or before it."""
        ...

    async def contains(self, position: Position) -> bool:
        """Tell whether the outbox has that very row, or had it before it was pruned. It always has number 0."""
        ...

    async def adopt(
        self, entry: AuditEntry, events: Sequence[tuple[str, str]], lost: Lost, *, now: Time
    ) -> None:
        """Record that this state takes the place of a lost one.

        - `entry` is appended to the audit.
        - These events, (source, id), count as handled, though not here.
        - Sequences of environments, and numbers of their resets, go on above those that were told.
        - Every word about a protected environment is taken back: whether that was done before is lost.
        - A reset that had begun is superseded by each of `lost.resets` but itself.
        """
        ...

    async def ping(self) -> None:
        """Return when the database answers."""
        ...

    async def close(self) -> None:
        """Let the connections go."""
        ...
