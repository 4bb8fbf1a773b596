"""`planning`: facts are read, and a plan or a refusal follows from them."""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.engine.leased_reset import LeasedReset
from daemon.engine.planning import Planning
from daemon.engine.states.plan_adoption import adopt_plan
from daemon.engine.states.stopping import stop_failed
from daemon.engine.states.waiting import Pause, WaitingLimits, waiting_since
from daemon.ports.clock import Clock
from daemon.ports.errors import PermanentError, PortError
from daemon.ports.store.store import Store
from schemas.reasons import TEXTS, Reason
from schemas.resets import Channel, Reset, Waiting
from statemachines.consent import answerable
from statemachines.lifecycle import Trigger
from statemachines.refusals import Refusal
from statemachines.reset_update import ResetUpdate

QUIESCED_PAUSE = 5.0
"""Seconds until a reset looks again whose services another one keeps down."""


class PlanningState:
    """Leads to `planned`, `awaiting-approval`, `queued`, `rejected` or `failed`."""

    def __init__(
        self, leased: LeasedReset, planning: Planning, store: Store, clock: Clock, limits: WaitingLimits
    ) -> None:
        self._leased = leased
        self._planning = planning
        self._store = store
        self._clock = clock
        self._limits = limits

    async def run(self) -> Pause | None:
        """Plan. A pause where facts can't be read now."""
        leased = self._leased
        reset = leased.reset
        refusal = self._planning.refuse_new() if leased.plan is None else None
        if refusal is not None:
            await self._refuse(refusal)
            return None
        try:
            answer, protected = await self._planning.with_protected(
                reset.request, reset.channel, answerable(reset), holding=reset.id
            )
        except PortError as error:
            if isinstance(error, PermanentError):
                await stop_failed(leased, error.reason, error.detail, error.hint)
                return None
            return facts_unread(reset, error.detail, self._clock.now())
        await self._store.remember_protected(protected, now=self._clock.now())
        if isinstance(answer, Refusal):
            now = self._clock.now()
            if answer.temporary and any(each.reason is Reason.QUIESCED for each in answer.reasons):
                # Another reset is at work on its services: it takes as long as that takes, as with locks.
                return Pause(Waiting(reason="quiesced", detail=answer.detail), QUIESCED_PAUSE)
            may_pass = answer.temporary or _still_comes_up(reset, answer)
            if may_pass and now - waiting_since(reset, "facts", now) < facts_patience(reset, self._limits):
                return facts_unread(reset, answer.detail, now)
            await self._refuse(answer)
            return None
        await adopt_plan(leased, answer, self._clock, limits=self._limits)
        return None

    async def _refuse(self, refusal: Refusal) -> None:
        """Reject what a rule refuses. A reset in progress, or that only the world stops, fails and can be resumed."""
        if not refusal.by_rule or self._leased.in_progress:
            await stop_failed(self._leased, refusal.reason, refusal.detail)
            return
        await self._leased.commit(
            ResetUpdate(
                cause=refusal.reason, detail=refusal.detail, hint=TEXTS[refusal.reason], waiting_for=None
            ),
            trigger=Trigger.REJECT,
        )


def facts_unread(reset: Reset, detail: str, now: datetime) -> Pause:
    """The pause of a reset whose facts can't be read now: a quarter of the time that it has waited, 2 to 15 seconds.

    Each look opens sessions in databases and asks the cluster, so that what lasts is asked for less often.
    """
    waited = (now - waiting_since(reset, "facts", now)).total_seconds()
    return Pause(Waiting(reason="facts", detail=detail), min(max(waited / 4, 2.0), 15.0))


def facts_patience(reset: Reset, limits: WaitingLimits) -> timedelta:
    """How long the reset waits for facts."""
    return limits.provisioning if reset.channel is Channel.PROVISIONING else limits.facts


def _still_comes_up(reset: Reset, refusal: Refusal) -> bool:
    """Whether a provisioned environment may still be coming up: its event comes before its pods."""
    missing = refusal.reason is Reason.UNKNOWN_ENVIRONMENT or not refusal.by_rule
    return reset.channel is Channel.PROVISIONING and missing
