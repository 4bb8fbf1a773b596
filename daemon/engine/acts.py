"""What the lease holder does with appended acts: each is checked once more and answered in one commit.

The commit that applies or refuses an act also records that it was read, and writes who, when and why into the audit. So
an act takes effect once, and its answer is kept, whatever is killed when.
"""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace

import structlog

from daemon.engine.commands.unresolved import UnresolvedAttempts
from daemon.engine.consents import Consents
from daemon.engine.leased_reset import LeasedReset
from daemon.ports.clock import Clock
from daemon.ports.errors import TemporaryError
from daemon.ports.store.store import Store
from schemas.catalog.catalog import Catalog
from schemas.reasons import Reason
from schemas.resets import Act, ActKind, Outcome, OutcomeKind, StepState
from schemas.wire import kind_of
from statemachines.act_effects import ResetEffect, effect_of
from statemachines.acts import ANSWERS, check_act, sequence_of_stop
from statemachines.history.audit import act_entry
from statemachines.planning.protection import is_protected_kind
from statemachines.refusals import Refusal, refuse
from statemachines.reset_update import ResetUpdate
from statemachines.steps.accepts import all_who_accepted

log = structlog.get_logger()

ACTS_INTERVAL = 0.5
"""Seconds between two looks for a cancel while commands run."""
ACT_READS_PER_SECOND = 100
"""Such looks of one daemon for all of its resets: a thousand resets would ask the database for little else."""


class Acts:
    """Applies acts to leased resets. One for each daemon; its catalog says which kinds are protected."""

    def __init__(
        self, store: Store, clock: Clock, catalog: Catalog, consents: Consents | None = None
    ) -> None:
        self._consents = consents or Consents()
        self._catalog = catalog
        self._store = store
        self._clock = clock
        self._watched = 0
        """Resets of this process whose commands run."""

    async def cancel_asked(self, leased: LeasedReset) -> None:
        """Return once somebody asks for the reset to be cancelled."""
        self._watched += 1
        acts = tuple(act for act in leased.unread if act.id > leased.reset.acts_seen)
        try:
            while not any(act.kind is ActKind.CANCEL for act in acts):
                pause = max(ACTS_INTERVAL, self._watched / ACT_READS_PER_SECOND)
                # Spread: a thousand that were claimed together would look together for ever.
                await self._clock.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - guards nothing
                with suppress(TemporaryError):  # what runs goes on without the database, too
                    acts = await leased.read_acts()
        finally:
            self._watched -= 1

    async def apply(self, leased: LeasedReset, unresolved: UnresolvedAttempts) -> None:
        """Answer all acts that await an answer, in the order in which they were appended.

        Raises:
            LeaseLostError: another process may hold the reset.
        """
        for act in await leased.read_acts():
            refusal, effect = await self._answer(leased, act, unresolved)
            repeated = effect.repeated if act.kind is ActKind.RESUME else ()
            entry = act_entry(
                act, leased.reset, refusal, at=self._clock.now(), again=repeated, accepts=effect.accepts
            )
            await leased.commit(
                replace(effect.update, acts_seen=act.id),
                trigger=effect.trigger,
                steps=effect.steps,
                attempts=effect.attempts,
                step_event=effect.step_event,
                tell_again=effect.tell_again,
                audit=(entry,),
                taken=effect.taken,
            )
            said = {"act": act.kind.value, "actor": act.actor}
            if refusal is None:
                log.info("act.applied", **said)
            else:
                log.info("act.refused", reason=refusal.reason.value, **said)

    async def _answer(
        self, leased: LeasedReset, act: Act, unresolved: UnresolvedAttempts
    ) -> tuple[Refusal | None, ResetEffect]:
        """Why the act is refused, where it is, and what it changes."""
        refusal = await self._refusal(leased, act)
        if refusal is not None:
            return refusal, ResetEffect()
        unknown = await self._unknown_before(act, leased, unresolved)
        if unknown is not None:
            what = f"{act.kind.value} {act.step}" if act.step else act.kind.value
            detail = f"{what} has to wait: {unknown.detail}"
            told = ResetEffect(update=ResetUpdate(detail=detail, hint=unknown.hint), tell_again=True)
            return refuse(Reason.OUTCOME_UNKNOWN, detail), told
        snapshot = leased.snapshot()
        if act.kind is ActKind.ACCEPT:
            earlier = all_who_accepted(leased.steps.values())
            forfeited = self._consents.forfeited(earlier, leased.reset, leased.plan)
            snapshot = replace(snapshot, learned=await leased.learned(), forfeited=forfeited)
        return None, effect_of(act, snapshot, now=self._clock.now())

    async def _refusal(self, leased: LeasedReset, act: Act) -> Refusal | None:
        forbidden = self._consents.refusal(act, leased.reset, leased.plan)
        if forbidden is not None:
            return forbidden
        later = await self._store.superseded_by(leased.reset.id)
        stop_sequence = None
        if act.kind in ANSWERS:
            stop_sequence = sequence_of_stop(await self._store.history(leased.reset.id))
        steps = tuple(leased.steps.values())
        return check_act(
            act,
            leased.reset,
            leased.plan,
            steps,
            superseded_by=later,
            stop_sequence=stop_sequence,
            protected_kind=is_protected_kind(kind_of(leased.reset.environment), self._catalog),
        )

    async def _unknown_before(
        self, act: Act, leased: LeasedReset, unresolved: UnresolvedAttempts
    ) -> Outcome | None:
        """An outcome that has to be known before the act lets locks go or anything start; None: all are known."""
        if act.kind is ActKind.RESOLVE and act.step is not None:
            stop = act.outcome is not OutcomeKind.SUCCEEDED
            unknown = await unresolved.prove_step_gone(act.step, stop=stop)
            others = (step for step in leased.steps.values() if step.name != act.step)
            if unknown is not None or any(step.state is StepState.UNKNOWN for step in others):
                return unknown
            return await unresolved.prove_former_plan_gone()
        goes_on = act.kind in {ActKind.RESUME, ActKind.ACCEPT}
        return await unresolved.prove_former_plan_gone() if goes_on else None
