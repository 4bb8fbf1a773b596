"""Marks in memory."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from itertools import count, takewhile

from daemon.ports.errors import TemporaryError
from daemon.ports.marks import StoredMark
from schemas.marks import Mark
from schemas.reasons import Reason


class MemoryMarks:
    """Implements `daemon.ports.marks.Marks`. It outlives any number of stores, as a directory does."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, Mark]] = defaultdict(dict)
        self._names = count(1)
        self._pruned: dict[str, datetime] = {}
        self.answers = True
        """Whether new marks can be put; a test sets it to False for an outage."""

    async def put(self, state: str, mark: Mark) -> None:
        """See the port."""
        await asyncio.sleep(0)
        if not self.answers:
            raise TemporaryError(Reason.UNAVAILABLE, "the marks can't be reached")
        self._kept[state][str(next(self._names))] = mark

    async def newest_first(self, state: str) -> AsyncGenerator[StoredMark]:
        """See the port."""
        await asyncio.sleep(0)
        kept = self._kept.get(state, {})
        for name, mark in sorted(kept.items(), key=lambda item: item[1].position.number, reverse=True):
            yield StoredMark(name, mark)

    async def states(self) -> frozenset[str]:
        """See the port."""
        await asyncio.sleep(0)
        return frozenset(self._kept)

    async def prune(self, state: str, *, before: datetime) -> int:
        """See the port. The two newest marks stay."""
        await asyncio.sleep(0)
        oldest_first = sorted(self._kept.get(state, {}).items(), key=lambda item: item[1].position.number)
        going = [*takewhile(lambda item: item[1].at < before, oldest_first[:-2])]
        for name, _ in going:
            del self._kept[state][name]
        if going:
            self._pruned[state] = before
        return len(going)

    async def pruned_until(self, state: str) -> datetime | None:
        """See the port."""
        await asyncio.sleep(0)
        return self._pruned.get(state)

    async def set_aside(self, state: str, marks: Sequence[StoredMark]) -> None:
        """See the port."""
        await asyncio.sleep(0)
        for mark in marks:
            self._kept[state].pop(mark.name, None)
