"""The message bus: the intake reads records from it, the publisher sends messages to it.

The state database owns the intake's offsets, so a record is never lost between the two.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from schemas.records import LogPosition, Message, Record

Positions = Callable[[Sequence[tuple[str, int]]], Awaitable[Mapping[tuple[str, int], LogPosition]]]
"""Asked on each assignment: returns (topic, partition) -> the stored position; absent where none is stored."""


class Inbox(Protocol):
    """A member of the intake's consumer group.

    It reads each partition from the stored position on, never from an offset that the broker keeps. Records of aborted
    transactions, and of open ones, are never returned.
    """

    async def start(self, positions: Positions) -> None:
        """Join the group.

        - On each assignment a partition is sought to the position that `positions` returns.
        - A partition without a stored position is read from its beginning.
        - So is one whose log is not shown to be the one that the position belongs to: the log ends before it, or the
          record before it is another one or is gone. An event that comes again is taken for what it is; an event that
          is never read is lost.
        - Partitions may come only with a later `poll`.

        Raises:
            TemporaryError: the broker does not answer.
        """
        ...

    async def poll(self, *, timeout: float) -> Sequence[Record]:
        """Return the records that came, or none after `timeout` seconds.

        - They are at most a few hundred, and those of a partition are in order.
        - Offsets may have gaps (transactions, compaction, retention).

        Raises:
            TemporaryError: the broker refuses, or `positions` raised it. The next poll goes on.
        """
        ...

    async def rewind(self) -> None:
        """Seek every assigned partition back to its stored position: the last poll's records were not stored."""
        ...

    async def acknowledge(self, positions: Mapping[tuple[str, int], int]) -> None:
        """Tell the broker the next offsets, for its lag figures only. A refusal, as after a rebalance, is no error."""
        ...

    async def stop(self) -> None:
        """Leave the group, within a few seconds in any case."""
        ...


class Outlet(Protocol):
    """Publishes the messages of the outbox."""

    async def start(self) -> None:
        """Connect to the broker.

        Raises:
            TemporaryError: the broker does not answer.
        """
        ...

    async def publish(self, messages: Sequence[Message]) -> Sequence[str | None]:
        """Publish messages, and return for each None, or why the broker refuses it for good (too large).

        Messages with the same key are published in order.

        Raises:
            TemporaryError: the broker does not answer; any of the messages may have been published.
        """
        ...

    async def stop(self) -> None:
        """Send what is buffered and close, within a few seconds in any case."""
        ...
