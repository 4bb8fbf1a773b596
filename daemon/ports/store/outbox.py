"""The store, as the publisher asks it: what waits to be published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.records import Message
from schemas.wire import Time


@dataclass(frozen=True)
class StatusTopics:
    """Where the status events go that a store makes of history entries."""

    status: str = "fuse.environment-resets.status.v1"
    public_url: str = ""
    """In front of the links in events; relative links where empty."""


@dataclass(frozen=True)
class OutboxRow:
    """A message that waits to be published."""

    id: int
    message: Message


class OutboxStore(Protocol):
    """What waits to be published. Raises TemporaryError (`unavailable`) when the database does not answer."""

    async def may_publish(self, owner: str, *, ttl: float) -> bool:
        """Take or renew the right to publish for `ttl` seconds; whether `owner` has it now. One has it at a time."""
        ...

    async def unpublished(self, limit: int) -> tuple[OutboxRow, ...]:
        """The oldest rows that are neither published nor refused, in order."""
        ...

    async def count_unpublished(self) -> int:
        """Count all rows that are neither published nor refused."""
        ...

    async def published(self, ids: Sequence[int], refused: Mapping[int, str], *, now: Time) -> None:
        """Mark; a refused row stays, with why, and is never tried again by itself."""
        ...
