"""`queued`: the moment that was asked for, ArgoCD's word, all locks at once, and the facts once more."""

from __future__ import annotations

from daemon.engine.consents import Consents
from daemon.engine.kept_down import kept_down
from daemon.engine.leased_reset import LeasedReset
from daemon.engine.planning import Planning
from daemon.engine.restraints import Restraints
from daemon.engine.states.asking import ask_again
from daemon.engine.states.holding_back import LOOK_AGAIN, waits_for_freeze, waits_for_window
from daemon.engine.states.plan_adoption import adopt_plan
from daemon.engine.states.planning import QUIESCED_PAUSE, facts_patience, facts_unread
from daemon.engine.states.stopping import stop_failed
from daemon.engine.states.waiting import Pause, WaitingLimits, waiting_since
from daemon.ports.clock import Clock
from daemon.ports.deployments import Deployments
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from daemon.ports.store.store import Store
from schemas.plan import Plan
from schemas.reasons import Reason
from schemas.resets import Waiting
from statemachines.consent import answerable, expired, lacks_consent, never_agreed
from statemachines.freezes import concerned, has_crossed
from statemachines.holds import sentence
from statemachines.lifecycle import Trigger
from statemachines.planning.own_work import as_agreed
from statemachines.refusals import Refusal
from statemachines.reset_update import ResetUpdate
from statemachines.steps.launch_rights import left_to_destroy

_NOTHING_AWAITED = ResetUpdate(waiting_for=None)


class QueueState:
    """Leads to work once all locks are held and the facts still are those of the plan that was agreed to."""

    def __init__(
        self,
        leased: LeasedReset,
        planning: Planning,
        consents: Consents,
        restraints: Restraints,
        deployments: Deployments,
        store: Store,
        clock: Clock,
        limits: WaitingLimits,
    ) -> None:
        self._leased = leased
        self._planning = planning
        self._consents = consents
        self._restraints = restraints
        self._deployments = deployments
        self._store = store
        self._clock = clock
        self._limits = limits

    async def run(self) -> Pause | None:
        """Check one condition after the other. A pause for the first that does not hold yet."""
        try:
            return await self._check_conditions()
        except PermanentError as error:
            await stop_failed(self._leased, error.reason, error.detail, error.hint)
            return None

    async def _check_conditions(self) -> Pause | None:
        leased, reset = self._leased, self._leased.reset
        now = self._clock.now()
        not_before = reset.request.not_before
        if not_before is not None and now < not_before:
            waiting = Waiting(reason="not-before", detail="the request says when", until=not_before)
            return Pause(waiting, (not_before - now).total_seconds())
        if leased.plan is None:
            raise RuntimeError("a queued reset has a plan")
        destroys = bool(left_to_destroy(leased.plan, leased.steps))
        void = destroys and await self._consents.drop_void(leased)
        reset = leased.reset
        if never_agreed(reset) or (destroys and lacks_consent(reset)):
            # The reset was resumed from a stop: nobody had agreed to this plan yet, or their consent was spent. Or who
            # agreed may not any more.
            await ask_again(leased, now, self._limits, reason=Reason.CONSENT_VOID if void else None)
            return None
        if destroys and not has_crossed(reset):
            freeze = await self._restraints.stopping(concerned(reset.environment, leased.plan))
            if freeze is not None:
                return Pause(waits_for_freeze(freeze), LOOK_AGAIN)
            window = self._limits.bound(reset, leased.plan, now)
            if window is not None and not window.is_open:
                return Pause(waits_for_window(window.opening), (window.opening.opens - now).total_seconds())
        if not leased.in_progress:
            settled, pause = await self._is_settled()
            if not settled:
                return pause
        if (pause := await self._wait_for_locks(leased.plan)) is not None:
            return pause
        return await self._check_under_locks(leased.plan, destroys=destroys)

    async def _wait_for_locks(self, plan: Plan) -> Pause | None:
        """Take all locks. A pause while other resets or a person have what the plan touches."""
        leased = self._leased
        keys = [resource.key for resource in plan.resources]
        environments = concerned(leased.reset.environment, plan)
        hold = await self._restraints.outlasting(environments, keys)
        if hold is None:
            answer = await self._store.lock(leased.lease, keys, concerns=environments)
            if answer.granted:
                return None
            if answer.hold is None:
                waiting = Waiting(
                    reason="locks",
                    detail="other resets hold or wait for the same resources",
                    resources=answer.resources,
                    held_by=answer.held_by,
                )
                return Pause(waiting, 1.0)
            hold = answer.hold
        resources = tuple(key for key in keys if key in hold.keys)
        waiting = Waiting(reason="hold", detail=sentence(hold), resources=resources, until=hold.expires_at)
        return Pause(waiting, LOOK_AGAIN)

    async def _check_under_locks(self, plan: Plan, *, destroys: bool) -> Pause | None:
        """Check once more what may have changed while the reset waited for its locks."""
        leased, reset, now = self._leased, self._leased.reset, self._clock.now()
        if leased.in_progress and (later := await self._store.superseded_by(reset.id)) is not None:
            await stop_failed(leased, Reason.SUPERSEDED, f"{later} has touched one of its resources since")
            return None
        if destroys and expired(reset, now):
            await ask_again(leased, now, self._limits, reason=Reason.APPROVAL_EXPIRED)
            return None
        return await self._check_facts_again(plan)

    async def _is_settled(self) -> tuple[bool, Pause | None]:
        """Whether ArgoCD has nothing against the reset; else the pause, or None where the reset was stopped."""
        reset, now = self._leased.reset, self._clock.now()
        gate = await self._deployments.gate(reset.environment)
        if others := [each for each in gate.held_by if each != reset.id]:
            what = f"the automated sync of {reset.environment} is held by"
            return False, await self._wait_for_rest(await kept_down(self._store, what, others))
        # What it holds itself was left by an attempt that nobody knows of: ArgoCD sees what rests as out of sync.
        if gate.open or gate.held_by:
            return True, None
        if now - waiting_since(reset, "argocd", now) > self._limits.settled:
            hint = f"`argocd app get {reset.environment}` says what is wrong; then `resetd resume`."
            await stop_failed(self._leased, Reason.NOT_SYNCED, gate.reason, hint)
            return False, None
        return False, Pause(Waiting(reason="argocd", detail=gate.reason), 1.0)

    async def _check_facts_again(self, agreed: Plan) -> Pause | None:
        """Read the facts once more: from now on no other reset can change them."""
        leased, reset = self._leased, self._leased.reset
        if leased.open_attempts:
            # The reset has kept its locks, and what may run under them is taken up before anything else is asked.
            await leased.commit(_NOTHING_AWAITED, trigger=Trigger.LOCKED)
            return None
        try:
            answer, protected = await self._planning.with_protected(
                reset.request,
                reset.channel,
                answerable(reset),
                lambda facts: as_agreed(facts, agreed, leased.steps),
                holding=reset.id,
            )
        except TemporaryError as error:
            return await self._wait_for_facts(error.reason, error.detail)
        await self._store.remember_protected(protected, now=self._clock.now())
        if isinstance(answer, Plan) and answer.hash == agreed.hash:
            await leased.commit(_NOTHING_AWAITED, trigger=Trigger.LOCKED)
            return None
        if isinstance(answer, Refusal) and answer.temporary:
            quiesced = any(each.reason is Reason.QUIESCED for each in answer.reasons)
            return await self._wait_for_facts(Reason.QUIESCED if quiesced else answer.reason, answer.detail)
        if isinstance(answer, Refusal) or leased.in_progress:
            detail = answer.detail if isinstance(answer, Refusal) else "the facts under the plan changed"
            reason = answer.reason if isinstance(answer, Refusal) else Reason.PLAN_CHANGED
            hint = "`resetd resume ID --replan` makes a new plan for what is left."
            await stop_failed(leased, reason, detail, hint)
            return None
        await adopt_plan(leased, answer, self._clock, limits=self._limits, replanned=True)
        return None

    async def _wait_for_rest(self, kept: PortError) -> Pause | None:
        """Wait as planning does for what other resets keep at rest, where it passes."""
        if isinstance(kept, PermanentError):
            await stop_failed(self._leased, kept.reason, kept.detail, kept.hint)
            return None
        return _quiesced(kept.detail)

    async def _wait_for_facts(self, reason: Reason, detail: str) -> Pause | None:
        """Wait for facts that can't be read now; the reset holds its locks, so it stops after a while.

        Where another reset at work keeps a service down, it lets its locks go, and takes as long as that takes.
        """
        if reason is Reason.QUIESCED:
            return _quiesced(detail)
        now = self._clock.now()
        reset = self._leased.reset
        if now - waiting_since(reset, "facts", now) < facts_patience(reset, self._limits):
            return facts_unread(reset, detail, now)
        await stop_failed(self._leased, reason, detail)
        return None


def _quiesced(detail: str) -> Pause:
    """The pause of a reset that waits for another one, which may itself wait for its locks."""
    return Pause(Waiting(reason="quiesced", detail=detail), QUIESCED_PAUSE, lets_locks_go=True)
