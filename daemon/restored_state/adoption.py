"""Adopting a state that was restored from an older backup: what it lacks, and what becomes of the resets concerned.

What a newer state launched can't be known here, so no step of it is believed to have run or not to have run: it is
`unknown`, and a person says. It has to have ended before: this state has no locks for it. Everything is done before
the marks are set aside; interrupted, it is done again.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from datetime import timedelta

from daemon.engine.high_water import is_unmarked, newest_mark
from daemon.engine.leased_reset import LeaseDeadline, LeasedReset
from daemon.metrics import Metrics
from daemon.ports.clock import Clock
from daemon.ports.marks import Marks, StoredMark
from daemon.ports.pods.pods import Pods
from daemon.ports.store.state import Lost
from daemon.ports.store.store import Store
from daemon.restored_state.lost_launches import StillAtWorkError, Stray, find_strays
from schemas.audit import AuditAction, AuditEntry, Verdict
from schemas.marks import Launch, Mark
from schemas.reasons import Reason
from schemas.resets import Attempt, Outcome, OutcomeKind, Reset, Step, StepState
from schemas.wire import AttemptId, ResetId, StepName
from statemachines.history.audit import DAEMON
from statemachines.lifecycle import AT_REST, TERMINAL, Trigger, allows

_LEASE = timedelta(minutes=5)
_MOST = 100_000
_NOBODY_KNOWS = ResetId("a reset that was lost")
_AFTER_A_MARK = 10_000
"""Rows of the outbox that a state may have come to since it launched something."""


@dataclass(frozen=True)
class Finding:
    """What the marks say that the state lacks."""

    state: str
    """This state database's id."""
    beyond: Mapping[str, Sequence[StoredMark]]
    """State id -> its marks that this state has not come to; another id than this one's where it is new here."""
    launches: Mapping[ResetId, Sequence[Launch]]
    """What was launched and is not recorded here, by reset."""
    known: tuple[Reset, ...]
    """Resets of this state that are concerned: by those launches, by an attempt that is open, or by going on."""
    unmarked: bool = False
    """Whether the state has launched something and has no mark: how far it had come can't be told."""

    @property
    def behind(self) -> bool:
        """Whether there is anything to adopt."""
        return bool(self.beyond) or self.unmarked

    @property
    def newest(self) -> Mark | None:
        """The newest mark beyond the state."""
        marks = [one.mark for found in self.beyond.values() for one in found]
        return max(marks, key=lambda mark: mark.at, default=None)

    @property
    def lost(self) -> Mapping[ResetId, Sequence[Launch]]:
        """Launches of resets that this state does not know at all."""
        known = {reset.id for reset in self.known}
        return {reset_id: found for reset_id, found in self.launches.items() if reset_id not in known}


class Adoption:
    """Looks, and adopts."""

    def __init__(
        self,
        store: Store,
        marks: Marks,
        clock: Clock,
        pods: Callable[[], AbstractAsyncContextManager[Pods]],
        *,
        owner: str,
    ) -> None:
        """`pods`: opens the cluster; asked for only where something was launched."""
        self._store = store
        self._pods = pods
        self._marks = marks
        self._clock = clock
        self._owner = owner

    async def look(self) -> Finding:
        """What is beyond the state; nothing is changed."""
        state = await self._store.state_id()
        beyond: dict[str, list[StoredMark]] = {}
        unmarked = False
        if mine := await self._beyond(state):
            beyond[state] = mine
        elif await newest_mark(self._marks, state) is None:
            for other in sorted(await self._marks.states() - {state}):
                async with aclosing(self._marks.newest_first(other)) as marks:
                    beyond[other] = [one async for one in marks]
            unmarked = not beyond and await is_unmarked(self._store)
        launched = [launch for marks in beyond.values() for one in marks for launch in one.mark.launches]
        launches: dict[ResetId, list[Launch]] = defaultdict(list)
        known: dict[ResetId, Reset] = {}
        for launch in sorted(launched, key=lambda launch: launch.attempt):
            launches[launch.reset_id].append(launch)
        for reset_id in launches:
            if (reset := await self._store.find(reset_id)) is not None:
                known[reset_id] = reset
        for reset in await self._store.resets(limit=_MOST) if beyond or unmarked else ():
            if reset.state in TERMINAL:
                continue
            attempts = await self._store.attempts(reset.id)
            # What would go on by itself may have been cancelled or denied since, and nobody could say so again in time.
            if reset.state not in AT_REST or any(attempt.outcome is None for attempt in attempts):
                known[reset.id] = reset
        concerned = tuple(known[each] for each in sorted(known))
        return Finding(state, beyond, launches, concerned, unmarked=unmarked)

    async def adopt(self, finding: Finding, *, actor: str, reason: str, ended: bool = False) -> None:
        """Call a person for every reset concerned, write down who adopted and why, and set the marks aside.

        `ended`: the actor's word for what Kubernetes can't tell: that it has.

        Raises:
            StillAtWorkError: what was launched may still run; nothing was adopted.
        """
        untold = await self._check_ended(finding, ended=ended)
        ids = [reset.id for reset in finding.known]
        ttl = _LEASE.total_seconds()
        deadline = LeaseDeadline(ttl, asked_at=asyncio.get_running_loop().time())
        for claimed in await self._store.seize(self._owner, ids, ttl=ttl):
            leased = LeasedReset(claimed, deadline, self._store, self._clock, Metrics())
            await self._call_operator(leased, finding, actor, reason)
        now = self._clock.now()
        lost = finding.lost
        entry = _line(DAEMON, actor, reason).model_copy(
            update={
                "at": now,
                "facts": {
                    "state": finding.state,
                    "mark": finding.newest.position.number if finding.newest else None,
                    "resets": ids,
                    "lost": sorted(lost),
                    "endedByWord": [one.launch.attempt for one in untold],
                },
            }
        )
        events = [
            (launch.event_source, launch.event_id)
            for launches in lost.values()
            for launch in launches
            if launch.event_source and launch.event_id
        ]
        await self._store.adopt(entry, events, _lost_state(finding), now=now)
        # First the mark of what is adopted, then the others away: a state beside whose backups there is none is new.
        await self._marks.put(finding.state, Mark(position=await self._store.position(), at=now))
        for state, marks in finding.beyond.items():
            if state == finding.state:
                await self._marks.set_aside(state, marks)

    async def _check_ended(self, finding: Finding, *, ended: bool) -> Sequence[Stray]:
        """Those that have ended by somebody's word."""
        launches = [one for found in finding.launches.values() for one in found if one.control is not None]
        if not launches:
            return ()
        async with self._pods() as pods:
            strays = await find_strays(pods, launches)
        if any(not (one.untold and ended) for one in strays):
            raise StillAtWorkError(strays)
        return strays

    async def _beyond(self, state: str) -> list[StoredMark]:
        """Marks from the newest down to the first that this state has come to."""
        found: list[StoredMark] = []
        async with aclosing(self._marks.newest_first(state)) as marks:
            async for one in marks:
                if await self._store.contains(one.mark.position):
                    break
                found.append(one)
        return found

    async def _call_operator(self, leased: LeasedReset, finding: Finding, actor: str, reason: str) -> None:
        if leased.reset.state in TERMINAL:
            await leased.commit(release_lease=True)
            return
        here = {attempt.id for attempt in await self._store.attempts(leased.reset.id)}
        launches = [one for one in finding.launches.get(leased.reset.id, ()) if one.attempt not in here]
        attempts = [self._lost(one) for one in leased.open_attempts.values()]
        attempts += [self._lost(_attempt(launch, finding)) for launch in launches]
        steps = _unknown_steps(leased, attempts)
        moves = allows(leased.reset.state, Trigger.RESTORED)
        if not (moves or attempts):  # done before, by an adoption that did not come to its end
            await leased.commit(release_lease=True)
            return
        stopped_in = leased.reset.stopped_in or leased.reset.state
        names = ", ".join(sorted({f"{one.step} ({one.number})" for one in attempts}))
        entry = _line(leased.reset.id, actor, reason).model_copy(
            update={
                "at": self._clock.now(),
                "environment": leased.reset.environment,
                "reset_id": leased.reset.id,
                "state": leased.reset.state,
                "sequence": leased.reset.sequence,
                "facts": {"attempts": [one.id for one in attempts]},
            }
        )
        await leased.commit(
            trigger=Trigger.RESTORED if moves else None,
            attempts=attempts,
            steps=steps,
            cause=Reason.STATE_RESTORED,
            detail=f"what became of these attempts is not known here: {names}"
            if names
            else "whether somebody asked since to cancel or deny it is not known here",
            hint="Look at pods and databases, then `resetd resolve ID STEP OUTCOME` for each step."
            if names
            else "`resetd resume ID --force` goes on with it, `resetd cancel ID` does not.",
            stopped_in=stopped_in if moves else leased.reset.stopped_in,
            stopped_at=steps[0].name if steps else leased.reset.stopped_at,
            waiting_for=None,
            wake_at=None,
            release_lease=True,
            audit=(entry,),
        )

    def _lost(self, attempt: Attempt) -> Attempt:
        outcome = Outcome(
            kind=OutcomeKind.UNKNOWN,
            cause=Reason.STATE_RESTORED,
            detail="its end was lost with the newer state",
        )
        return attempt.model_copy(update={"finished_at": self._clock.now(), "outcome": outcome})


def _lost_state(finding: Finding) -> Lost:
    """Each status was a row of the outbox; those after the newest mark launched nothing, and are seldom many."""
    marks = [one.mark.position.number for found in finding.beyond.values() for one in found]
    rows = max(marks, default=0) + _AFTER_A_MARK
    launches = (one for found in finding.launches.values() for one in found)
    resets = frozenset({_NOBODY_KNOWS} if finding.unmarked else finding.launches)
    return Lost(rows, frozenset(one.environment for one in launches), resets)


def _unknown_steps(leased: LeasedReset, attempts: Sequence[Attempt]) -> list[Step]:
    """The steps of the present plan that these attempts are of, unknown; their next attempts get higher numbers."""
    highest: dict[StepName, Attempt] = {}
    for attempt in attempts:
        if attempt.number >= highest.get(attempt.step, attempt).number:
            highest[attempt.step] = attempt
    steps = [
        step.model_copy(
            update={
                "state": StepState.UNKNOWN,
                "attempts": max(step.attempts, highest[step.name].number),
                "outcome": highest[step.name].outcome,
                "not_before": None,
            }
        )
        for step in leased.steps.values()
        if step.name in highest
    ]
    return sorted(steps, key=lambda step: step.index)


def _attempt(launch: Launch, finding: Finding) -> Attempt:
    """An attempt of which only its launch is known."""
    marks = [one.mark for found in finding.beyond.values() for one in found]
    at = min(mark.at for mark in marks if launch in mark.launches)
    return Attempt(
        id=AttemptId(launch.attempt),
        reset_id=launch.reset_id,
        step=StepName(launch.step),
        number=launch.number,
        started_at=at,
        control=launch.control,
    )


def _line(chain: str, actor: str, reason: str) -> AuditEntry:
    return AuditEntry.model_validate(
        {
            "chain": chain,
            "at": "1970-01-01T00:00:00Z",
            "action": AuditAction.ADOPT,
            "verdict": Verdict.APPLIED,
            "actor": actor,
            "channel": "command-line",
            "reason": reason,
        }
    )
