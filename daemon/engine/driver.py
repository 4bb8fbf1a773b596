"""Drives one claimed reset through its life cycle, until it is at rest or has to wait.

The driver decides nothing about the world by itself: the core says what may follow what, ports do it, and each
change is a compare-and-set. It is written so that being killed at any line is nothing special: the next claim
starts from the stored row and finds open attempts, which are taken up rather than repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta

import structlog

from daemon.engine.acts import Acts
from daemon.engine.commands.unresolved import Doubts
from daemon.engine.facts import FactsReader
from daemon.engine.high_water import HighWater
from daemon.engine.leased_reset import LeaseDeadline, LeasedReset
from daemon.engine.pod_choice import Places
from daemon.engine.states.queue import Pause, Stages, waiting_since
from daemon.engine.states.working import Work
from daemon.engine.steps.database_proofs import Proofs
from daemon.engine.steps.performer import Performer
from daemon.metrics import Metrics
from daemon.ports import Ports
from daemon.ports.clock import Clock
from daemon.ports.errors import LeaseLostError, PortError
from daemon.ports.store.leases import LONGEST_SLEEP, Claimed
from daemon.ports.store.store import Store
from schemas.catalog.catalog import Catalog
from schemas.reasons import Reason
from schemas.resets import Outcome, OutcomeKind, ResetState, StepState, Waiting
from schemas.wire import StepName
from statemachines.lifecycle import AT_REST, WORKING, Trigger
from statemachines.steps.retry import after_cancel

log = structlog.get_logger()

POISON = 3
"""Claims in a row without progress, after which a person has to look."""


class Driver:
    """One for each daemon; `drive` is called once for each claim."""

    def __init__(
        self,
        store: Store,
        ports: Ports,
        facts: FactsReader,
        stages: Stages,
        catalog: Catalog,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._ports = ports
        self._facts = facts
        self._stages = stages
        self._catalog = catalog
        self._clock = clock
        self._metrics = metrics
        self._acts = Acts(store, clock)
        self.high_water = HighWater(store, ports.marks, clock)
        """Whether the state has all that was launched from it: asked before anything is claimed or taken in."""

    async def drive(self, claimed: Claimed, deadline: LeaseDeadline) -> None:
        """Until the reset is at rest, waits, or its lease is lost. Cancelled: lets the lease go, leaves commands."""
        leased = LeasedReset(claimed, deadline, self._store, self._clock, self._metrics)
        bound = structlog.contextvars.bind_contextvars(
            reset=leased.reset.id, environment=leased.reset.environment
        )
        try:
            await self._drive(leased)
        except LeaseLostError:
            log.warning("driver.lease-lost")
        except PortError as error:
            log.warning("driver.interrupted", reason=error.reason.value, detail=error.detail)
            await self._let_go(leased, Pause(Waiting(reason="retry", detail=error.detail), 5.0))
        except asyncio.CancelledError:
            await asyncio.shield(self._let_go(leased, None))
            raise
        finally:
            structlog.contextvars.reset_contextvars(**bound)

    async def _drive(self, leased: LeasedReset) -> None:
        poisoned = leased.reset.claims_without_progress >= POISON and leased.reset.state not in AT_REST
        if poisoned:
            await leased.commit(
                trigger=Trigger.LOSE,
                cause=Reason.NO_PROGRESS,
                detail=f"{leased.reset.claims_without_progress} claims in a row ended without one commit",
                hint="The daemon's log says why; then `resetd resume`.",
                stopped_in=leased.reset.state,
            )
        async with AsyncExitStack() as stack:
            proofs = Proofs(stack, self._facts, self._ports.pods, self._ports.databases)
            places = Places(self._ports.pods, self._catalog, leased)
            performer = Performer(self._ports, self._facts, places, leased, proofs, self.high_water)
            work = Work(leased, performer, places, self._acts, self._catalog, self._clock)
            shown = None
            while True:
                await self._acts.apply(leased, performer.doubts)
                if leased.reset.state in AT_REST:
                    await self._let_go(leased, None)
                    return
                if leased.reset.state is not shown and leased.reset.waiting_for is None:
                    shown = leased.reset.state
                    log.info("driver.state", state=shown.value)
                pause = await self._stage(leased, work, performer.doubts)
                if pause is not None:
                    await self._let_go(leased, pause)
                    return

    async def _stage(self, leased: LeasedReset, work: Work, doubts: Doubts) -> Pause | None:
        state = leased.reset.state
        stages: dict[ResetState, Callable[[LeasedReset], Awaitable[Pause | None]]] = {
            ResetState.PLANNING: self._stages.plan,
            ResetState.AWAITING_APPROVAL: self._stages.await_approval,
            ResetState.QUEUED: self._stages.queue,
        }
        if state in stages:
            return await stages[state](leased)
        if state in WORKING:
            await work.run_phase()
            return None
        if state is ResetState.CANCELLING:
            await self._cancel(leased, work, doubts)
            return None
        raise RuntimeError(f"nothing drives {state.value}")

    async def _cancel(self, leased: LeasedReset, work: Work, doubts: Doubts) -> None:
        """Nothing of the reset may be left running before it is called cancelled."""
        unknown = {name for name, step in leased.steps.items() if step.state is StepState.UNKNOWN}
        # Closed without knowing: perhaps more can be shown of them now.
        doubtful = {one.step: one for one in await doubts.attempts() if one.step in unknown}
        for name, attempt in sorted((doubtful | leased.open_attempts).items()):
            outcome = await work.abandon(attempt)
            ended = attempt.model_copy(update={"finished_at": self._clock.now(), "outcome": outcome})
            if name in leased.steps:
                state = after_cancel(leased.planned(name), leased.steps[name], outcome)
                step = leased.steps[name].model_copy(update={"state": state, "outcome": outcome})
                await leased.finished(step, ended)
            else:  # of a former plan
                await leased.commit(attempts=[ended])
            if outcome.kind is OutcomeKind.UNKNOWN:
                await self._lose(leased, outcome, name)
                return
        doubt = await doubts.settle()
        if doubt is not None:
            await self._lose(leased, doubt, leased.reset.stopped_at)
            return
        await leased.commit(
            trigger=Trigger.CANCELLED,
            cause=Reason.CANCELLED_BY_REQUEST,
            waiting_for=None,
            cancel_requested=False,
        )

    async def _lose(self, leased: LeasedReset, outcome: Outcome, step: StepName | None) -> None:
        await leased.commit(
            trigger=Trigger.LOSE,
            cause=outcome.cause,
            detail=outcome.detail,
            hint=outcome.hint,
            stopped_at=step,
        )

    async def _let_go(self, leased: LeasedReset, pause: Pause | None) -> None:
        """Give the lease back, saying when to look again."""
        wake_at = None
        waiting = leased.reset.waiting_for
        if pause is not None:
            now = self._clock.now()
            wake_at = now + min(timedelta(seconds=pause.seconds), LONGEST_SLEEP)
            waiting = pause.waiting.model_copy(
                update={"since": waiting_since(leased, pause.waiting.reason, now)}
            )
        try:
            await leased.commit(
                release_lease=True,
                wake_at=wake_at,
                waiting_for=waiting,
                tell_again=pause is not None and _waits_for_another(leased, pause.waiting),
            )
        except LeaseLostError:
            log.warning("driver.lease-lost")
        except PortError as error:
            log.warning("driver.lease-left-to-expire", detail=error.detail)


def _waits_for_another(leased: LeasedReset, waiting: Waiting) -> bool:
    """Whether a queued reset waits for something or somebody that its last status did not name."""
    if leased.reset.state is not ResetState.QUEUED:
        return False
    before = leased.reset.waiting_for
    if before is None:
        return True
    return (before.reason, before.resources, before.held_by) != (
        waiting.reason,
        waiting.resources,
        waiting.held_by,
    )
