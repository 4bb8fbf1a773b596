"""What is done in each state before anything is touched: planning, waiting for consent, the queue.

A stage either moves the reset on, or answers a `Pause`: what it waits for, and when to look again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.engine.leased_reset import LeasedReset
from daemon.engine.planning import Planning
from daemon.ports.clock import Clock
from daemon.ports.deployments import Deployments
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from daemon.ports.store.store import Store
from schemas.plan import Plan
from schemas.reasons import TEXTS, Reason
from schemas.resets import Channel, StepState, Waiting
from statemachines.consent import consenting, lacks_consent
from statemachines.lifecycle import Trigger
from statemachines.refusals import Refusal
from statemachines.steps.resuming import carried_over
from statemachines.troubleshooting import hint_for


@dataclass(frozen=True)
class Pause:
    """What a reset waits for, and how long until the loop looks again (seconds)."""

    waiting: Waiting
    seconds: float


@dataclass(frozen=True)
class Limits:
    """How long things may take before a reset stops waiting for them."""

    approval_ttl: timedelta = timedelta(hours=24)
    facts: timedelta = timedelta(minutes=2)
    provisioning: timedelta = timedelta(minutes=30)
    settled: timedelta = timedelta(minutes=30)


class Stages:
    """The stages up to the first effect on the world."""

    def __init__(
        self, planning: Planning, deployments: Deployments, store: Store, clock: Clock, limits: Limits
    ) -> None:
        self._planning = planning
        self._deployments = deployments
        self._store = store
        self._clock = clock
        self._limits = limits

    async def plan(self, leased: LeasedReset) -> Pause | None:
        """From `planning` to `planned`, `awaiting-approval`, `queued` or `rejected`."""
        reset = leased.reset
        try:
            answer, protected = await self._planning.with_protected(reset.request, reset.channel)
        except PortError as error:
            if isinstance(error, PermanentError):
                await self._fail(leased, error.reason, error.detail, error.hint)
                return None
            return self._unsettled(error.detail)
        await self._store.remember_protected(protected, now=self._clock.now())
        if isinstance(answer, Refusal):
            now = self._clock.now()
            may_pass = answer.temporary or self._still_coming_up(leased, answer)
            if may_pass and now - waiting_since(leased, "facts", now) < self._patience(leased):
                return self._unsettled(answer.detail)
            await self._refuse(leased, answer)
            return None
        await self._adopt(leased, answer)
        return None

    async def await_approval(self, leased: LeasedReset) -> Pause | None:
        """From `awaiting-approval` on once enough people agreed to this very plan, or nobody did in time."""
        reset = leased.reset
        given = consenting(reset)
        if not lacks_consent(reset):
            await leased.commit(trigger=Trigger.APPROVED, waiting_for=None)
            return None
        expires = reset.approval_expires_at
        if expires is not None and self._clock.now() >= expires:
            await leased.commit(
                trigger=Trigger.EXPIRED, cause=Reason.APPROVAL_EXPIRED, detail=None, waiting_for=None
            )
            return None
        left = (expires - self._clock.now()).total_seconds() if expires else 3600.0
        detail = f"{len(given)} of {reset.approvals_required} approvals given"
        return Pause(Waiting(reason="approval", detail=detail, until=expires), left)

    async def queue(self, leased: LeasedReset) -> Pause | None:
        """From `queued` on: the moment asked for, ArgoCD's word, all locks at once, and the facts once more."""
        try:
            return await self._queue(leased)
        except PermanentError as error:
            await self._fail(leased, error.reason, error.detail, error.hint)
            return None

    async def _queue(self, leased: LeasedReset) -> Pause | None:
        reset = leased.reset
        now = self._clock.now()
        not_before = reset.request.not_before
        if not_before is not None and now < not_before:
            waiting = Waiting(reason="not-before", detail="the request says when", until=not_before)
            return Pause(waiting, (not_before - now).total_seconds())
        if leased.plan is None:
            raise RuntimeError("a queued reset has a plan")
        if lacks_consent(reset):
            # Resumed from a stop in which nobody had agreed to this plan yet.
            expires = now + self._limits.approval_ttl
            await leased.commit(trigger=Trigger.NEEDS_APPROVAL, approval_expires_at=expires, waiting_for=None)
            return None
        if not _in_progress(leased):
            gate = await self._deployments.gate(reset.environment)
            if not gate.open:
                if now - waiting_since(leased, "argocd", now) > self._limits.settled:
                    hint = f"`argocd app get {reset.environment}` says what is wrong; then `resetd resume`."
                    await self._fail(leased, Reason.NOT_SYNCED, gate.reason, hint)
                    return None
                return Pause(Waiting(reason="argocd", detail=gate.reason), 1.0)
        keys = [one.key for one in leased.plan.resources]
        answer = await self._store.lock(leased.lease, keys)
        if not answer.granted:
            waiting = Waiting(
                reason="locks",
                detail="other resets hold or wait for the same resources",
                resources=answer.resources,
                held_by=answer.held_by,
            )
            return Pause(waiting, 1.0)
        if _in_progress(leased) and (later := await self._store.superseded_by(reset.id)) is not None:
            await self._fail(
                leased, Reason.SUPERSEDED, f"{later} has touched one of its resources since", None
            )
            return None
        return await self._check_again(leased, leased.plan)

    async def _check_again(self, leased: LeasedReset, agreed: Plan) -> Pause | None:
        """The facts once more, now that nobody else of ours can change them."""
        reset = leased.reset
        if leased.open_attempts:
            # It never let its locks go, and what may run under them is taken up before anything else is asked.
            await leased.commit(trigger=Trigger.LOCKED, waiting_for=None)
            return None
        try:
            answer, protected = await self._planning.with_protected(reset.request, reset.channel)
        except TemporaryError as error:
            return await self._unread(leased, error.reason, error.detail)
        await self._store.remember_protected(protected, now=self._clock.now())
        if isinstance(answer, Plan) and answer.hash == agreed.hash:
            await leased.commit(trigger=Trigger.LOCKED, waiting_for=None)
            return None
        if isinstance(answer, Refusal) and answer.temporary:
            return await self._unread(leased, answer.reason, answer.detail)
        if isinstance(answer, Refusal) or _in_progress(leased):
            detail = answer.detail if isinstance(answer, Refusal) else "the facts under the plan changed"
            reason = answer.reason if isinstance(answer, Refusal) else Reason.PLAN_CHANGED
            hint = "`resetd resume ID --replan` makes a new plan for what is left."
            await self._fail(leased, reason, detail, hint)
            return None
        await self._adopt(leased, answer, replanned=True)
        return None

    async def _adopt(self, leased: LeasedReset, plan: Plan, *, replanned: bool = False) -> None:
        """Take a plan; the locks of another plan are let go, and consent to another plan is void."""
        used = await self._numbers_used(leased)
        steps = [
            carried_over(leased.plan, leased.steps, plan, index, used.get(planned.name, 0))
            for index, planned in enumerate(plan.steps)
        ]
        trigger = Trigger.REPLANNED if replanned else Trigger.PLANNED
        expires = None
        if leased.reset.request.dry_run:
            trigger = Trigger.DRY_RUN
        elif plan.approvals_required:
            trigger = Trigger.NEEDS_APPROVAL
            expires = self._clock.now() + self._limits.approval_ttl
        await leased.commit(
            trigger=trigger,
            plan=plan,
            steps=steps,
            plan_hash=plan.hash,
            approvals_required=plan.approvals_required,
            approvals=(),
            approval_expires_at=expires,
            waiting_for=None,
            release_locks=replanned,
        )

    async def _numbers_used(self, leased: LeasedReset) -> dict[str, int]:
        """Step -> the highest number of an attempt that it ever had here: an attempt's id is used once."""
        used: dict[str, int] = {}
        for attempt in await self._store.attempts(leased.reset.id):
            used[attempt.step] = max(used.get(attempt.step, 0), attempt.number)
        return used

    async def _refuse(self, leased: LeasedReset, refusal: Refusal) -> None:
        """A rule's refusal is final, unless something was done already or only the world stands in the way."""
        if not refusal.by_rule or _in_progress(leased):
            await self._fail(leased, refusal.reason, refusal.detail, None)
            return
        await leased.commit(
            trigger=Trigger.REJECT,
            cause=refusal.reason,
            detail=refusal.detail,
            hint=TEXTS[refusal.reason],
            waiting_for=None,
        )

    async def _fail(self, leased: LeasedReset, reason: Reason, detail: str, hint: str | None) -> None:
        await leased.commit(
            trigger=Trigger.FAIL,
            cause=reason,
            detail=detail,
            hint=hint or hint_for(reason, leased.reset.environment),
            stopped_in=leased.reset.state,
            waiting_for=None,
        )

    async def _unread(self, leased: LeasedReset, reason: Reason, detail: str) -> Pause | None:
        """Facts that can't be read now: waited for, but not for ever by one that holds its locks."""
        now = self._clock.now()
        if now - waiting_since(leased, "facts", now) < self._patience(leased):
            return self._unsettled(detail)
        await self._fail(leased, reason, detail, None)
        return None

    def _unsettled(self, detail: str) -> Pause:
        return Pause(Waiting(reason="facts", detail=detail), 2.0)

    def _still_coming_up(self, leased: LeasedReset, refusal: Refusal) -> bool:
        """Whether a provisioned environment may only not be there yet: its event comes before its pods."""
        missing = refusal.reason is Reason.UNKNOWN_ENVIRONMENT or not refusal.by_rule
        return leased.reset.channel is Channel.PROVISIONING and missing

    def _patience(self, leased: LeasedReset) -> timedelta:
        provisioning = leased.reset.channel is Channel.PROVISIONING
        return self._limits.provisioning if provisioning else self._limits.facts


def waiting_since(leased: LeasedReset, reason: str, now: datetime) -> datetime:
    """When the reset began to wait for that; now, where it waits for something else or nothing."""
    waiting = leased.reset.waiting_for
    if waiting is not None and waiting.reason == reason and waiting.since is not None:
        return waiting.since
    return now


def _in_progress(leased: LeasedReset) -> bool:
    """Whether some step was done already: this is a resumed reset."""
    return any(step.state is not StepState.PENDING for step in leased.steps.values())
