"""Adopting a state that was restored from an older backup.

1. What a newer state launched has to have ended: this state has no locks for it.
2. Each step that the newer state launched becomes `unknown`, and a person says what became of it.
3. The adoption is written into the audit, and the marks beyond the state are set aside.

An adoption that is interrupted is simply made again: the marks are set aside last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

from daemon.engine.leased_reset import LeaseDeadline, LeasedReset
from daemon.metrics import Metrics
from daemon.ports.clock import Clock
from daemon.ports.marks import Marks
from daemon.ports.pods.pods import Pods
from daemon.ports.store.state import Lost
from daemon.ports.store.store import Store
from daemon.restored_state.lack import Lack, find_lack
from daemon.restored_state.lost_launches import LostLaunch, StillAtWorkError, find_lost_launches
from schemas.audit import AuditAction, AuditEntry, Verdict
from schemas.marks import Launch, Mark
from schemas.reasons import Reason
from schemas.resets import Attempt, Outcome, OutcomeKind, Step
from schemas.wire import AttemptId, ResetId, StepName
from statemachines.history.audit import DAEMON
from statemachines.lifecycle import TERMINAL, Trigger, allows
from statemachines.reset_update import ResetUpdate
from statemachines.steps import progress

_ADOPTION_LEASE = timedelta(minutes=5)
_NOBODY_KNOWS = ResetId("a reset that was lost")
_AFTER_A_MARK = 10_000
"""Rows of the outbox that a state may have come to since it launched something."""


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
        """`pods` opens the cluster; it is called only where something was launched. `owner` holds the leases."""
        self._store = store
        self._pods = pods
        self._marks = marks
        self._clock = clock
        self._owner = owner

    async def look(self) -> Lack:
        """What the state lacks; nothing is changed."""
        return await find_lack(self._store, self._marks)

    async def adopt(self, lack: Lack, *, actor: str, reason: str, ended: bool = False) -> None:
        """Call a person for every reset concerned, write down who adopted and why, and set the marks aside.

        `ended`: the actor's word that what Kubernetes knows nothing of has ended.

        Raises:
            StillAtWorkError: what was launched may still run; nothing was adopted.
        """
        by_word = await self._check_ended(lack, ended=ended)
        ids = [reset.id for reset in lack.known]
        ttl = _ADOPTION_LEASE.total_seconds()
        deadline = LeaseDeadline(ttl, asked_at=asyncio.get_running_loop().time())
        for claimed in await self._store.seize(self._owner, ids, ttl=ttl):
            leased = LeasedReset(claimed, deadline, self._store, self._clock, Metrics())
            await self._call_operator(leased, lack, actor, reason)
        now = self._clock.now()
        lost = lack.lost
        entry = AuditEntry(
            chain=DAEMON,
            at=now,
            action=AuditAction.ADOPT,
            verdict=Verdict.APPLIED,
            actor=actor,
            channel="command-line",
            reason=reason,
            facts={
                "state": lack.state,
                "mark": lack.newest.position.number if lack.newest else None,
                "resets": ids,
                "lost": sorted(lost),
                "endedByWord": [found.launch.attempt for found in by_word],
            },
        )
        events = [
            (launch.event_source, launch.event_id)
            for launches in lost.values()
            for launch in launches
            if launch.event_source and launch.event_id
        ]
        await self._store.adopt(entry, events, _lost_state(lack), now=now)
        # The mark of what is adopted comes first: a state beside whose backups there is no mark of its own is new.
        await self._marks.put(lack.state, Mark(position=await self._store.position(), at=now))
        for state, marks in lack.beyond.items():
            if state == lack.state:
                await self._marks.set_aside(state, marks)

    async def _check_ended(self, lack: Lack, *, ended: bool) -> Sequence[LostLaunch]:
        """Show that what was launched has ended. The answer is what has ended by somebody's word alone."""
        launches = [launch for found in lack.launches.values() for launch in found if launch.control]
        if not launches:
            return ()
        async with self._pods() as pods:
            found = await find_lost_launches(pods, launches)
        if any(not (each.untold and ended) for each in found):
            raise StillAtWorkError(found)
        return found

    async def _call_operator(self, leased: LeasedReset, lack: Lack, actor: str, reason: str) -> None:
        """Lead one reset to `needs-operator`, and its steps that were launched beyond this state to `unknown`."""
        reset = leased.reset
        if reset.state in TERMINAL:
            await leased.commit(release_lease=True)
            return
        here = {attempt.id for attempt in await self._store.attempts(reset.id)}
        launches = [launch for launch in lack.launches.get(reset.id, ()) if launch.attempt not in here]
        attempts = [self._with_lost_end(attempt) for attempt in leased.open_attempts.values()]
        attempts += [self._with_lost_end(_attempt(launch, lack)) for launch in launches]
        steps = _unknown_steps(leased, attempts)
        moves = allows(reset.state, Trigger.RESTORED)
        if not (moves or attempts):  # an adoption that was interrupted has done it before
            await leased.commit(release_lease=True)
            return
        entry = AuditEntry(
            chain=reset.id,
            at=self._clock.now(),
            action=AuditAction.ADOPT,
            verdict=Verdict.APPLIED,
            actor=actor,
            channel="command-line",
            environment=reset.environment,
            reset_id=reset.id,
            state=reset.state,
            sequence=reset.sequence,
            reason=reason,
            facts={"attempts": [attempt.id for attempt in attempts]},
        )
        detail, hint = _what_to_say(attempts)
        await leased.commit(
            ResetUpdate(
                cause=Reason.STATE_RESTORED,
                detail=detail,
                hint=hint,
                stopped_in=(reset.stopped_in or reset.state) if moves else reset.stopped_in,
                stopped_at=steps[0].name if steps else reset.stopped_at,
                # What was launched may have destroyed: the services do not start on it by themselves.
                destroyed=reset.destroyed or bool(attempts),
                waiting_for=None,
                wake_at=None,
            ),
            trigger=Trigger.RESTORED if moves else None,
            attempts=attempts,
            steps=steps,
            release_lease=True,
            audit=(entry,),
        )

    def _with_lost_end(self, attempt: Attempt) -> Attempt:
        outcome = Outcome(
            kind=OutcomeKind.UNKNOWN,
            cause=Reason.STATE_RESTORED,
            detail="its end was lost with the newer state",
        )
        return progress.ended(attempt, outcome, at=self._clock.now())


def _what_to_say(attempts: Sequence[Attempt]) -> tuple[str, str]:
    """Detail and hint for the operator."""
    names = ", ".join(sorted({f"{attempt.step} ({attempt.number})" for attempt in attempts}))
    if names:
        return (
            f"what became of these attempts is not known here: {names}",
            "Look at pods and databases, then `resetd resolve ID STEP OUTCOME` for each step.",
        )
    return (
        "whether somebody asked since to cancel or deny it is not known here",
        "`resetd resume ID --force` goes on with it, `resetd cancel ID` does not.",
    )


def _lost_state(lack: Lack) -> Lost:
    """What is known of the newer state.

    Each status was a row of its outbox. Rows after its newest mark launched nothing; there are seldom many.
    """
    marks = [stored.mark.position.number for found in lack.beyond.values() for stored in found]
    rows = max(marks, default=0) + _AFTER_A_MARK
    launches = (launch for found in lack.launches.values() for launch in found)
    unknown = lack.unmarked or lack.forgotten_before is not None
    resets = frozenset(lack.launches) | ({_NOBODY_KNOWS} if unknown else set())
    return Lost(rows, frozenset(launch.environment for launch in launches), resets)


def _unknown_steps(leased: LeasedReset, attempts: Sequence[Attempt]) -> list[Step]:
    """The steps of the present plan that these attempts are of, as unknown ones, in order."""
    highest: dict[StepName, Attempt] = {}
    for attempt in attempts:
        if attempt.number >= highest.get(attempt.step, attempt).number:
            highest[attempt.step] = attempt
    steps = [
        progress.lost(step, highest[step.name]) for step in leased.steps.values() if step.name in highest
    ]
    return sorted(steps, key=lambda step: step.index)


def _attempt(launch: Launch, lack: Lack) -> Attempt:
    """An attempt of which only the launch is known."""
    marks = [stored.mark for found in lack.beyond.values() for stored in found]
    at = min(mark.at for mark in marks if launch in mark.launches)
    return Attempt(
        id=AttemptId(launch.attempt),
        reset_id=launch.reset_id,
        step=StepName(launch.step),
        number=launch.number,
        started_at=at,
        control=launch.control,
    )
