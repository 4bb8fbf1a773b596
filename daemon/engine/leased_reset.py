"""A reset in the hands of its lease holder: the row as it is stored, and the only way to change it.

1. Every change is one compare-and-set of the store, by version and fence.
2. LeaseLostError out of any change means: stop, and write nothing more.
3. What no fence guards (a launch, a branch that is moved) asks the `LeaseDeadline` right before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from daemon.metrics import Metrics
from daemon.ports.backups import Backup, backup_of
from daemon.ports.clock import Clock
from daemon.ports.errors import LeaseLostError
from daemon.ports.store.leases import Change, Claimed
from daemon.ports.store.store import Store
from schemas.audit import AuditEntry
from schemas.backups import Proof
from schemas.learned import Learned
from schemas.plan import Plan, PlannedStep
from schemas.resets import Act, Attempt, HistoryEntry, Reset, Step, StepState
from schemas.wire import AttemptId, ResourceKey, StepName
from statemachines.act_effects import ResetSnapshot
from statemachines.freezes import concerned, has_crossed
from statemachines.history.audit import proof_entry
from statemachines.history.status import next_status
from statemachines.lifecycle import KEEP_LOCKS, Trigger, advance
from statemachines.reset_update import UNCHANGED, ResetUpdate, updated
from statemachines.steps.learned import NOTHING_TAKEN, Taken
from statemachines.steps.progress import begun


class LeaseDeadline:
    """Until when this process may act as the holder of a lease, by the time of its own event loop.

    The deadline counts from before the lease was asked for, so it is over before the lease is. A process that stood
    still finds it over before it does anything else.
    """

    def __init__(self, ttl: float, *, asked_at: float) -> None:
        """`ttl`: seconds that the lease lasts; `asked_at`: the event loop's time before it was asked for."""
        self._time = asyncio.get_running_loop().time
        self._until = asked_at + ttl

    def prolong(self, ttl: float, *, asked_at: float) -> None:
        """The lease was renewed; the arguments are those of the constructor."""
        self._until = asked_at + ttl

    def check(self) -> None:
        """Call right before an effect on the world, with no wait in between; from any thread.

        Raises:
            LeaseLostError: the deadline is over, so another process may hold the lease.
        """
        if self._time() >= self._until:
            raise LeaseLostError("the lease was not renewed in time")


class LeasedReset:
    """One claim of a reset. It keeps the stored row, its plan, its steps and its open attempts."""

    def __init__(
        self, claimed: Claimed, deadline: LeaseDeadline, store: Store, clock: Clock, metrics: Metrics
    ) -> None:
        self.reset: Reset = claimed.reset
        self.lease = claimed.lease
        self.deadline = deadline
        self.plan: Plan | None = claimed.plan
        self.steps: dict[StepName, Step] = {step.name: step for step in claimed.steps}
        self.open_attempts: dict[StepName, Attempt] = {
            attempt.step: attempt for attempt in claimed.open_attempts
        }
        self.unread: tuple[Act, ...] = claimed.acts
        self._read_with_the_claim = True
        self._store = store
        self._clock = clock
        self._metrics = metrics
        # Steps of one batch run side by side; their commits follow one another.
        self._one_commit_at_a_time = asyncio.Lock()

    @property
    def in_progress(self) -> bool:
        """Whether some step has left `pending`: something was done for this reset already."""
        return any(step.state is not StepState.PENDING for step in self.steps.values())

    def snapshot(self) -> ResetSnapshot:
        """What the core decides by, but for what is learned of its environment."""
        return ResetSnapshot(self.reset, self.plan, self.steps, self.open_attempts)

    async def learned(self) -> tuple[Learned, ...]:
        """What earlier resets of its environment taught of their steps."""
        return await self._store.learned(self.reset.environment)

    def attempt_id(self, name: StepName) -> AttemptId:
        """The id of the step's next attempt, known before it starts."""
        return AttemptId(f"{self.reset.id}/{name}/{self.steps[name].attempts + 1}")

    def planned(self, name: StepName) -> PlannedStep:
        """A step of the present plan; KeyError when the plan has no step of that name."""
        for step in self.plan.steps if self.plan else ():
            if step.name == name:
                return step
        raise KeyError(name)

    async def started(self, attempt: Attempt) -> None:
        """Record that an attempt is about to act: durable when this returns.

        Raises:
            TemporaryError: `frozen`: it would be the reset's first to destroy anything. Nothing was recorded.
        """
        step = begun(self.steps[attempt.step], attempt.number)
        destroys = self.planned(attempt.step).destructive
        update = ResetUpdate(destroyed=True, consent_spent=True) if destroys else UNCHANGED
        crosses = destroys and not has_crossed(self.reset)
        await self.commit(
            update,
            steps=[step],
            attempts=[attempt],
            step_event=(step, attempt),
            crosses=concerned(self.reset.environment, self.plan) if crosses else frozenset(),
        )

    async def finished(
        self,
        step: Step,
        attempt: Attempt | None,
        backups: Sequence[Backup] = (),
        update: ResetUpdate = UNCHANGED,
    ) -> None:
        """Record an attempt's outcome and what it makes of its step."""
        await self.commit(
            update,
            steps=[step],
            attempts=[attempt] if attempt else [],
            step_event=(step, attempt),
            backups=backups,
            audit=[
                proof_entry(self.reset, _receipt(backup), at=self._clock.now())
                for backup in backups
                if backup.proof is Proof.RESTORED
            ],
        )

    async def commit(
        self,
        update: ResetUpdate = UNCHANGED,
        *,
        trigger: Trigger | None = None,
        steps: Sequence[Step] = (),
        attempts: Sequence[Attempt] = (),
        step_event: tuple[Step, Attempt | None] | None = None,
        plan: Plan | None = None,
        backups: Sequence[Backup] = (),
        release_locks: bool = False,
        release_lease: bool = False,
        tell_again: bool = False,
        audit: Sequence[AuditEntry] = (),
        taken: Taken = NOTHING_TAKEN,
        crosses: frozenset[str] = frozenset(),
    ) -> None:
        """Store a change together with the status events that it means.

        - `trigger` moves the reset to the next state. A state that keeps no locks lets them go when it is entered.
        - `step_event` tells of a step; `tell_again` tells the same state once more.
        - A cancelled caller gets its cancellation after the store has answered: the caller always knows whether
          the change was stored.

        Raises:
            LeaseLostError: nothing was stored; stop.
            TemporaryError: the database does not answer.
        """
        async with self._one_commit_at_a_time:
            now = self._clock.now()
            state = self.reset.state if trigger is None else advance(self.reset.state, trigger)
            reset = updated(self.reset, update, state=state, at=now)
            all_steps = tuple(self._steps_after(steps).values())
            history: list[HistoryEntry] = []
            if step_event is not None:
                step, attempt = step_event
                reset, entry = next_status(
                    reset,
                    at=now,
                    steps=all_steps,
                    event="step-finished" if attempt is None or attempt.outcome else "step-started",
                    step=step.name,
                    attempt=attempt.number if attempt else None,
                    outcome=step.outcome if attempt is None else attempt.outcome,
                )
                history.append(entry)
            if trigger is not None or tell_again:
                reset, entry = next_status(reset, at=now, steps=all_steps)
                history.append(entry)
            change = Change(
                reset=reset,
                lease=self.lease,
                plan=plan,
                steps=tuple(steps),
                attempts=tuple(attempts),
                history=tuple(history),
                backups=tuple(backups),
                audit=tuple(audit),
                learned=taken.learned,
                forgotten=taken.forgotten,
                crosses=crosses,
                release_locks=release_locks or (trigger is not None and reset.state not in KEEP_LOCKS),
                release_lease=release_lease,
            )
            await self._save(change)

    async def attempts(self) -> tuple[Attempt, ...]:
        """All of the reset's attempts, in the order of their start."""
        return await self._store.attempts(self.reset.id)

    async def dumped_before(self, resource: ResourceKey) -> bool:
        """Whether this reset has dumped the database before."""
        return any(row["resource"] == resource for row in await self._store.backups(reset_id=self.reset.id))

    async def backups(self) -> tuple[Backup, ...]:
        """All recorded backups of this reset, newest first."""
        rows = await self._store.backups(reset_id=self.reset.id)
        return tuple(backup_of(row) for row in rows)

    async def read_acts(self) -> tuple[Act, ...]:
        """Acts that await an answer, in order. The first call answers those that the claim has read."""
        if self._read_with_the_claim:
            self._read_with_the_claim = False
            return self.unread
        known = self.unread[-1].id if self.unread else self.reset.acts_seen
        self.unread = (*self.unread, *await self._store.unread_acts(self.reset.id, known))
        self.unread = tuple(act for act in self.unread if act.id > self.reset.acts_seen)
        return self.unread

    async def _save(self, change: Change) -> None:
        saving = asyncio.create_task(self._store.save(change))
        try:
            stored = await asyncio.shield(saving)
        except asyncio.CancelledError:
            while not saving.done():  # whoever cancels may do it again
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({saving})
            if saving.exception() is None:
                self._take_over(change, saving.result())
            raise
        self._take_over(change, stored)

    def _take_over(self, change: Change, stored: Reset) -> None:
        """Bring what is kept here up to what was stored."""
        self.reset = stored
        self._metrics.observe(change)
        if change.plan is not None:
            self.plan = change.plan
            self.steps = {}
        self.steps = self._steps_after(change.steps)
        for attempt in change.attempts:
            if attempt.outcome is None:
                self.open_attempts[attempt.step] = attempt
            else:
                self.open_attempts.pop(attempt.step, None)

    def _steps_after(self, steps: Sequence[Step]) -> dict[StepName, Step]:
        return {**self.steps, **{step.name: step for step in steps}}


def _receipt(backup: Backup) -> dict[str, Any]:
    """What the audit keeps of a proof."""
    return {
        "resource": backup.resource,
        "path": backup.path,
        "sha256": backup.sha256,
        "scratch": backup.scratch,
        "seconds": backup.proof_seconds,
    }
