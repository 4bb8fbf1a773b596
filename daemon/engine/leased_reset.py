"""A reset in the hands of its lease holder: the row as it was last stored, and the only way to change it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from daemon.metrics import Metrics
from daemon.ports.clock import Clock
from daemon.ports.databases import Backup
from daemon.ports.errors import LeaseLostError
from daemon.ports.store.leases import Change, Claimed
from daemon.ports.store.store import Store
from schemas.audit import AuditEntry
from schemas.plan import Plan, PlannedStep
from schemas.resets import Act, Attempt, HistoryEntry, Reset, Step, StepState
from schemas.wire import AttemptId, StepName
from statemachines.history.status import next_status
from statemachines.lifecycle import KEEP_LOCKS, Trigger, advance


class LeaseDeadline:
    """Until when this process may believe that it holds a lease: by its own clock, from before it asked for it.

    Rows are guarded by the fence; this guards what has none. A process that stood still finds its deadline over before
    it does anything else.
    """

    def __init__(self, ttl: float, *, asked_at: float) -> None:
        """`asked_at`: the running event loop's time before the lease was asked for."""
        self._time = asyncio.get_running_loop().time
        self._until = asked_at + ttl

    def prolong(self, ttl: float, *, asked_at: float) -> None:
        """The lease was renewed; `asked_at` is the event loop's time before that was asked for."""
        self._until = asked_at + ttl

    def check(self) -> None:
        """Right before an effect on the world, with no wait in between; in any thread.

        Raises:
            LeaseLostError: another holder may have it.
        """
        if self._time() >= self._until:
            raise LeaseLostError("the lease was not renewed in time")


class LeasedReset:
    """Every change is one compare-and-set of the store. LeaseLostError out of any of them means: stop."""

    def __init__(
        self, claimed: Claimed, deadline: LeaseDeadline, store: Store, clock: Clock, metrics: Metrics
    ) -> None:
        self.reset: Reset = claimed.reset
        self.lease = claimed.lease
        self.deadline = deadline
        self.plan: Plan | None = claimed.plan
        self.steps: dict[StepName, Step] = {step.name: step for step in claimed.steps}
        self.open_attempts: dict[StepName, Attempt] = {one.step: one for one in claimed.open_attempts}
        self.unread: tuple[Act, ...] = claimed.acts
        self._read_with_the_claim = True
        self._store = store
        self._clock = clock
        self._metrics = metrics
        # Steps of one batch run side by side; their commits follow one another.
        self._turn = asyncio.Lock()

    def attempt_id(self, name: StepName) -> AttemptId:
        """The id of the step's next attempt, known before it starts."""
        return AttemptId(f"{self.reset.id}/{name}/{self.steps[name].attempts + 1}")

    def planned(self, name: StepName) -> PlannedStep:
        """A step of the present plan; KeyError when it has none of that name."""
        for step in self.plan.steps if self.plan else ():
            if step.name == name:
                return step
        raise KeyError(name)

    async def started(self, attempt: Attempt) -> None:
        """Record that an attempt is about to act: durable when this returns."""
        step = self.steps[attempt.step].model_copy(
            update={"state": StepState.RUNNING, "attempts": attempt.number, "not_before": None}
        )
        destroyed = self.reset.destroyed or self.planned(attempt.step).destructive
        await self.commit(steps=[step], attempts=[attempt], step_event=(step, attempt), destroyed=destroyed)

    async def finished(self, step: Step, attempt: Attempt | None, backups: Sequence[Backup] = ()) -> None:
        """Record an attempt's outcome and what it makes of its step."""
        await self.commit(
            steps=[step],
            attempts=[attempt] if attempt else [],
            step_event=(step, attempt),
            backups=backups,
        )

    async def commit(
        self,
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
        **fields: Any,  # noqa: ANN401 - columns of the reset, checked by its model
    ) -> None:
        """Store a change, with the status events that it means; entering a state that keeps no locks lets them go.

        `tell_again`: the state is the same, but what a status says of it is new.

        A cancelled caller gets its cancellation only after the store has answered: whether a
        compare-and-set took place is never left open.

        Raises:
            LeaseLostError: nothing was stored, and nothing may be any more.
        """
        async with self._turn:
            now = self._clock.now()
            fields["updated_at"] = now
            if trigger is not None:
                fields["state"] = advance(self.reset.state, trigger)
            reset = self.reset.model_copy(update=fields)
            all_steps = tuple(self._after(steps).values())
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
                release_locks=release_locks or (trigger is not None and reset.state not in KEEP_LOCKS),
                release_lease=release_lease,
            )
            await self._save(change)

    async def attempts(self) -> tuple[Attempt, ...]:
        """All of the reset's attempts, in the order of their start."""
        return await self._store.attempts(self.reset.id)

    async def read_acts(self) -> tuple[Act, ...]:
        """Acts that nobody has applied yet, in order; the first time those that the claim has read."""
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
            await asyncio.wait({saving})
            if saving.exception() is None:
                self._took(change, saving.result())
            raise
        self._took(change, stored)

    def _took(self, change: Change, stored: Reset) -> None:
        self.reset = stored
        self._metrics.observe(change)
        if change.plan is not None:
            self.plan = change.plan
            self.steps = {}
        self.steps = self._after(change.steps)
        for attempt in change.attempts:
            if attempt.outcome is None:
                self.open_attempts[attempt.step] = attempt
            else:
                self.open_attempts.pop(attempt.step, None)

    def _after(self, steps: Sequence[Step]) -> dict[StepName, Step]:
        return {**self.steps, **{step.name: step for step in steps}}
