"""The store, as the publisher asks it: it takes out what waits to be published, and says what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.records import Message
from schemas.wire import Time


@dataclass(frozen=True)
class StatusTopics:
    """Where the status events go that a store makes of lines of history."""

    status: str = "fuse.environment-resets.status.v1"
    public_url: str = ""
    """Stands in front of the links in events; empty for relative links."""


@dataclass(frozen=True)
class OutboxRow:
    """A message that waits to be published."""

    id: int
    message: Message


class OutboxStore(Protocol):
    """Gives what waits to be published. Raises TemporaryError (`unavailable`) when the database does not answer.

    - One owner has the right to publish at a time.
    - Messages are given in the order of the commits that they tell of.
    - A message is given until it is marked as published or refused.
    """

    async def may_publish(self, owner: str, *, ttl: float) -> bool:
        """Take or renew the right to publish for `ttl` seconds, and tell whether `owner` has it now."""
        ...

    async def unpublished(self, limit: int) -> tuple[OutboxRow, ...]:
        """Return the oldest rows that are neither published nor refused, in order."""
        ...

    async def count_unpublished(self) -> int:
        """Count all rows that are neither published nor refused."""
        ...

    async def published(self, ids: Sequence[int], refused: Mapping[int, str], *, now: Time) -> None:
        """Mark rows as published, or as refused with why. A refused row stays, and is never tried again by itself."""
        ...
