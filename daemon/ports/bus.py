"""The message bus: records in, with offsets that the state database owns; records out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from schemas.records import Message, Record

Positions = Callable[[Sequence[tuple[str, int]]], Awaitable[Mapping[tuple[str, int], int]]]
"""Asked on assignment: (topic, partition) -> the stored next offset; absent where none was stored."""


class Inbox(Protocol):
    """A member of the intake's consumer group."""

    async def start(self, positions: Positions) -> None:
        """Join; on each assignment seek to what `positions` answers, else to the topic's beginning.

        Partitions may come only with a later `poll`. A stored position that the topic does not have (any more)
        means its beginning.

        Raises:
            TemporaryError: the broker does not answer.
        """
        ...

    async def poll(self, *, timeout: float) -> Sequence[Record]:
        """Records that came, at most a few hundred, in order for each partition; empty after `timeout` seconds.

        Offsets may have gaps (transactions, compaction, retention).

        Raises:
            TemporaryError: the broker refuses, or `positions` raised it; polling again goes on.
        """
        ...

    async def rewind(self) -> None:
        """Seek every assigned partition back to its stored position: the last poll's records were not stored."""
        ...

    async def acknowledge(self, positions: Mapping[tuple[str, int], int]) -> None:
        """Tell the broker the next offsets, for its lag figures only; a refusal after a rebalance is no error."""
        ...

    async def stop(self) -> None:
        """Leave the group; never hangs past a few seconds."""
        ...


class Outlet(Protocol):
    """Publishes records."""

    async def start(self) -> None:
        """Connect.

        Raises:
            TemporaryError: the broker does not answer.
        """
        ...

    async def publish(self, messages: Sequence[Message]) -> Sequence[str | None]:
        """Publish in order for each key; for each message None, or why the broker refuses it for good (too large).

        Raises:
            TemporaryError: the broker does not answer; any of them may have been published.
        """
        ...

    async def stop(self) -> None:
        """Flush and close; never hangs past a few seconds."""
        ...
