"""The high-water mark: a state that was restored from an older backup launches nothing again.

Before an attempt acts, a mark beside the backups says how far the state had come: recorded, marked, launched. A state
that lacks the row which the newest mark names has lost what was launched since, and starts nothing until a person
adopts it. That holds however far it goes on by itself meanwhile: its rows are others, whatever their numbers.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from daemon.ports.clock import Clock
from daemon.ports.errors import LeaseLostError, TemporaryError
from daemon.ports.marks import Marks, StoredMark
from daemon.ports.store.store import Store
from schemas.marks import Launch, Mark
from schemas.reasons import Reason

LOOK_EVERY = timedelta(seconds=1)
"""How often a loop that only waits for something to do looks at the marks."""


class BehindError(TemporaryError):
    """The state is older than the marks say. It passes when somebody adopts it."""

    def __init__(self, detail: str) -> None:
        super().__init__(
            Reason.STATE_RESTORED,
            detail,
            hint="`resetd db adopt` shows what is missing, and asks.",
            delay=5.0,
        )


@dataclass
class _Round:
    """Launches that share one mark."""

    launches: list[Launch] = field(default_factory=list)
    marked: bool = False


class HighWater:
    """Compares the state with the marks, and puts new ones. One for each daemon."""

    def __init__(self, store: Store, marks: Marks, clock: Clock) -> None:
        self._store = store
        self._marks = marks
        self._clock = clock
        self._turn = asyncio.Lock()
        self._next = _Round()
        self._looked_at: datetime | None = None

    async def cover(self, launch: Launch) -> None:
        """Mark an attempt that is recorded: it may act when this returns. Those that come at once share a mark.

        Raises:
            LeaseLostError: the state is older than the marks: nothing of it may act or be written.
            TemporaryError: the marks or the state database do not answer.
        """
        mine = self._next
        mine.launches.append(launch)
        async with self._turn:
            if mine.marked:
                return
            if mine is self._next:
                self._next = _Round()
            try:
                await self.check()
            except BehindError as error:
                raise LeaseLostError(error.detail) from error
            position = await self._store.position()
            mark = Mark(position=position, at=self._clock.now(), launches=tuple(mine.launches))
            await self._marks.put(await self._store.state_id(), mark)
            mine.marked = True

    async def look(self) -> None:
        """`check`, at most once a second: for loops that look for work."""
        now = self._clock.now()
        if self._looked_at is None or not timedelta() <= now - self._looked_at < LOOK_EVERY:
            await self.check()
            self._looked_at = now

    async def check(self) -> None:
        """Whether the state has all that was launched from it.

        Raises:
            BehindError: it has not, or that can't be told: it has launched nothing yet beside the marks of another
                one, or has launched something and has no marks.
            TemporaryError: the marks or the state database do not answer.
        """
        state = await self._store.state_id()
        newest = await newest_mark(self._marks, state)
        if newest is None:
            others = await self._marks.states() - {state}
            if others:
                raise BehindError(
                    f"beside the backups are marks of another state database ({', '.join(sorted(others))}); "
                    f"this one ({state}) is new here"
                )
            if await is_unmarked(self._store):
                raise BehindError(
                    "this state has taken backups, and where they should be is no mark that says how far it had come: "
                    "is RESETD_BACKUP_URL the directory that it had, and mounted?"
                )
            return
        position = newest.mark.position
        if not await self._store.contains(position):
            raise BehindError(
                f"the state is older than the mark of {newest.mark.at:%Y-%m-%d %H:%M:%S} UTC beside the "
                f"backups: it lacks row {position.number} of the outbox"
            )


async def newest_mark(marks: Marks, state: str) -> StoredMark | None:
    """The mark with the highest position."""
    async with aclosing(marks.newest_first(state)) as found:
        return await anext(found, None)


async def is_unmarked(store: Store) -> bool:
    """Whether a state without any mark must have had some: each backup is marked before it is begun."""
    return bool(await store.backups())
