"""The high-water mark: a state that was restored from an older backup launches nothing again.

1. An attempt is recorded in the state. Then a mark beside the backups names the newest row of the state. Then the
   attempt acts.
2. A state that lacks the row which the newest mark names has lost what was launched since. It starts nothing until a
   person adopts it.
3. A restored state that goes on by itself never comes to have that row: a mark names a row by its content as well as by
   its number.
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

CHECK_INTERVAL = timedelta(seconds=1)
"""How often a loop that waits for something to do checks the state against the marks."""


class BehindError(TemporaryError):
    """The state is older than the marks say. The error passes once somebody adopts the state."""

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
        self._one_round_at_a_time = asyncio.Lock()
        self._next = _Round()
        self._checked_at: datetime | None = None

    async def cover(self, launch: Launch) -> None:
        """Mark an attempt that is recorded: it may act once this returns. Attempts that come at once share a mark.

        Raises:
            LeaseLostError: the state is older than the marks. The attempt must not act, and nothing more be written.
            TemporaryError: the marks or the state database do not answer.
        """
        mine = self._next
        mine.launches.append(launch)
        async with self._one_round_at_a_time:
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

    async def check_now_and_then(self) -> None:
        """`check`, at most once in `CHECK_INTERVAL`: for loops that look for work."""
        now = self._clock.now()
        if self._checked_at is None or not timedelta() <= now - self._checked_at < CHECK_INTERVAL:
            await self.check()
            self._checked_at = now

    async def check(self) -> None:
        """Show that the state has all that was launched from it.

        Raises:
            BehindError: the state lacks something. Or that can't be told: the state is new beside the marks of another
                state, or it has launched something and there are no marks.
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

    async def prune(self, before: datetime) -> int:
        """Let marks from before that time go, and tell how many went. The newest ones stay.

        Raises:
            BehindError: the state is older than the marks say. They are evidence, and all stay.
            TemporaryError: the marks or the state database do not answer.
        """
        await self.check()
        return await self._marks.prune(await self._store.state_id(), before=before)


async def newest_mark(marks: Marks, state: str) -> StoredMark | None:
    """The mark with the highest position."""
    async with aclosing(marks.newest_first(state)) as found:
        return await anext(found, None)


async def is_unmarked(store: Store) -> bool:
    """Whether a state without any mark has lost its marks: each backup is marked before it is begun."""
    return bool(await store.backups())
