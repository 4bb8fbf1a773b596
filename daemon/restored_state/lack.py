"""What a restored state lacks, by the marks beside the backups: launches that it has no record of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from daemon.engine.high_water import is_unmarked, newest_mark
from daemon.ports.marks import Marks, StoredMark
from daemon.ports.store.store import Store
from schemas.marks import Launch, Mark
from schemas.resets import Reset
from schemas.wire import ResetId, Time
from statemachines.lifecycle import AT_REST, TERMINAL

_ALL = 100_000
"""More resets than a state holds."""


@dataclass(frozen=True)
class Lack:
    """What the marks name and the state has not."""

    state: str
    """The id of this state database."""
    beyond: Mapping[str, Sequence[StoredMark]]
    """State id -> its marks that this state has not come to; another id than `state` where this state is new here."""
    launches: Mapping[ResetId, Sequence[Launch]]
    """What was launched and is not recorded here, by reset."""
    known: tuple[Reset, ...]
    """Resets of this state that a person has to look at: launched beyond it, with an open attempt, or not at rest."""
    unmarked: bool = False
    """Whether the state has launched something and has no mark: how far it had come can't be told."""

    forgotten_before: Time | None = None
    """Where marks down to this state are pruned: what was launched before that time is not known."""

    @property
    def behind(self) -> bool:
        """Whether there is anything to adopt."""
        return bool(self.beyond) or self.unmarked

    @property
    def newest(self) -> Mark | None:
        """The newest mark beyond the state."""
        marks = [stored.mark for found in self.beyond.values() for stored in found]
        return max(marks, key=lambda mark: mark.at, default=None)

    @property
    def lost(self) -> Mapping[ResetId, Sequence[Launch]]:
        """Launches of resets that this state does not know at all."""
        known = {reset.id for reset in self.known}
        return {reset_id: found for reset_id, found in self.launches.items() if reset_id not in known}


async def find_lack(store: Store, marks: Marks) -> Lack:
    """Compare the state with the marks; nothing is changed.

    Raises:
        TemporaryError: the state database or the marks do not answer.
    """
    state = await store.state_id()
    beyond: dict[str, list[StoredMark]] = {}
    unmarked = False
    mine, reached = await _beyond(store, marks, state)
    if mine:
        beyond[state] = mine
    elif await newest_mark(marks, state) is None:
        for other in sorted(await marks.states() - {state}):
            async with aclosing(marks.newest_first(other)) as found:
                beyond[other] = [stored async for stored in found]
        unmarked = not beyond and await is_unmarked(store)
    forgotten = [] if reached else [await marks.pruned_until(name) for name in beyond]
    launched = [launch for found in beyond.values() for stored in found for launch in stored.mark.launches]
    launches: dict[ResetId, list[Launch]] = defaultdict(list)
    for launch in sorted(launched, key=lambda launch: launch.attempt):
        launches[launch.reset_id].append(launch)
    known: dict[ResetId, Reset] = {}
    for reset_id in launches:
        if (reset := await store.find(reset_id)) is not None:
            known[reset_id] = reset
    if beyond or unmarked:
        known |= await _going_on(store)
    concerned = tuple(known[reset_id] for reset_id in sorted(known))
    return Lack(
        state,
        beyond,
        launches,
        concerned,
        unmarked=unmarked,
        forgotten_before=max(filter(None, forgotten), default=None),
    )


async def _beyond(store: Store, marks: Marks, state: str) -> tuple[list[StoredMark], bool]:
    """The marks of this state from the newest down to the first whose row the state has, and whether there is one."""
    found: list[StoredMark] = []
    async with aclosing(marks.newest_first(state)) as newest_first:
        async for stored in newest_first:
            if await store.contains(stored.mark.position):
                return found, True
            found.append(stored)
    return found, False


async def _going_on(store: Store) -> dict[ResetId, Reset]:
    """Resets that would go on by themselves. Each may have been cancelled or denied since, by acts that are lost."""
    found: dict[ResetId, Reset] = {}
    for reset in await store.resets(limit=_ALL):
        if reset.state in TERMINAL:
            continue
        attempts = await store.attempts(reset.id)
        if reset.state not in AT_REST or any(attempt.outcome is None for attempt in attempts):
            found[reset.id] = reset
    return found
