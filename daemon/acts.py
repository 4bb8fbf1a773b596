"""What the lease holder does with appended acts: judged once more, then each applied in one commit.

The commit that applies an act also says that it was read, so an act takes effect once, whatever is killed when.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping

import structlog

from daemon.doubts import Doubts
from daemon.held import Held
from daemon.ports.clock import Clock
from daemon.ports.store import Store
from schemas.reasons import Reason
from schemas.resets import Act, ActKind, Approval, Attempt, Outcome, OutcomeKind, Step, StepState
from statemachines.acts import judge
from statemachines.lifecycle import Trigger
from statemachines.resuming import to_repeat

log = structlog.get_logger()

LOOK_EVERY = 0.5
"""Seconds between looks at acts while commands run."""
LOOKS_A_SECOND = 100
"""Of a daemon for all of its resets: a thousand would ask the database for nothing else."""


class Acts:
    """Applies acts to a held reset."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._watched = 0
        """Resets at work in this process."""

    async def cancel_asked(self, held: Held) -> None:
        """Returns once somebody asks for the reset to be cancelled."""
        self._watched += 1
        acts = tuple(act for act in held.unread if act.id > held.reset.acts_seen)
        try:
            while not any(act.kind is ActKind.CANCEL for act in acts):
                pause = max(LOOK_EVERY, self._watched / LOOKS_A_SECOND)
                # Spread: a thousand that were claimed together would look together for ever.
                await self._clock.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - guards nothing
                acts = await held.read_acts()
        finally:
            self._watched -= 1

    async def apply(self, held: Held, doubts: Doubts) -> None:
        """Apply all that nobody has applied yet, in the order in which they were appended.

        Raises:
            LeaseLostError: another holder has it.
        """
        for act in await held.read_acts():
            later = await self._store.superseded_by(held.reset.id)
            refusal = judge(act, held.reset, held.plan, tuple(held.steps.values()), superseded_by=later)
            if refusal is not None:
                log.info("act.refused", act=act.kind.value, actor=act.actor, reason=refusal.reason.value)
                await held.commit(acts_seen=act.id)
                continue
            if act.kind is ActKind.RESOLVE and act.step is not None:
                stop = act.outcome is not OutcomeKind.SUCCEEDED
                doubt = await doubts.settle_step(act.step, stop=stop)
                if doubt is not None:
                    log.info("act.refused", act=act.kind.value, actor=act.actor, reason=doubt.detail)
                    detail = f"{act.step} can't be resolved yet: {doubt.detail}"
                    await held.commit(acts_seen=act.id, detail=detail, hint=doubt.hint, tell_again=True)
                    continue
            log.info("act.applied", act=act.kind.value, actor=act.actor)
            await self._how(act)(held, act)

    def _how(self, act: Act) -> Callable[[Held, Act], Awaitable[None]]:
        hows: Mapping[ActKind, Callable[[Held, Act], Awaitable[None]]] = {
            ActKind.APPROVE: self._approve,
            ActKind.DENY: self._deny,
            ActKind.CANCEL: self._cancel,
            ActKind.RESUME: self._resume,
            ActKind.SKIP: self._skip,
            ActKind.RESOLVE: self._resolve,
        }
        return hows.get(act.kind, self._pass_over)

    async def _approve(self, held: Held, act: Act) -> None:
        approval = Approval(actor=act.actor, plan_hash=act.plan_hash or "", at=act.at)
        await held.commit(acts_seen=act.id, approvals=(*held.reset.approvals, approval))

    async def _deny(self, held: Held, act: Act) -> None:
        await held.commit(
            acts_seen=act.id,
            trigger=Trigger.DENY,
            cause=Reason.DENIED,
            detail=_by(act),
            waiting_for=None,
            wake_at=None,
        )

    async def _cancel(self, held: Held, act: Act) -> None:
        await held.commit(
            acts_seen=act.id,
            trigger=Trigger.CANCEL,
            cancel_requested=True,
            stopped_in=held.reset.stopped_in or held.reset.state,
            cause=Reason.CANCELLED_BY_REQUEST,
            detail=_by(act),
            hint=None,
            waiting_for=None,
        )

    async def _resume(self, held: Held, act: Act) -> None:
        replan = act.replan or held.plan is None
        chosen = (
            [held.steps[name] for name in to_repeat(held.plan, held.steps, act.step)] if held.plan else []
        )
        await held.commit(
            acts_seen=act.id,
            trigger=Trigger.REPLAN if replan else Trigger.RESUME,
            steps=[again(step) for step in chosen],
            cause=None,
            detail=None,
            hint=None,
            stopped_in=None,
            stopped_at=None,
            cancel_requested=False,
            waiting_for=None,
            wake_at=None,
        )

    async def _skip(self, held: Held, act: Act) -> None:
        if act.step is None:
            return
        step = held.steps[act.step].model_copy(update={"state": StepState.SKIPPED, "not_before": None})
        await held.commit(acts_seen=act.id, steps=[step], step_event=(step, None))

    async def _resolve(self, held: Held, act: Act) -> None:
        if act.step is None or act.outcome is None:
            return
        succeeded = act.outcome is OutcomeKind.SUCCEEDED
        outcome = Outcome(
            kind=act.outcome,
            cause=None if succeeded else Reason.COMMAND_FAILED,
            detail=f"resolved {_by(act)}",
            facts={"resolvedBy": act.actor},
        )
        step = held.steps[act.step].model_copy(
            update={"state": StepState.SUCCEEDED if succeeded else StepState.FAILED, "outcome": outcome}
        )
        attempt = self._closed(held, step, outcome)
        rest = [one for one in held.steps.values() if one.name != step.name]
        attempts = [attempt] if attempt else []
        if any(one.state is StepState.UNKNOWN for one in rest):
            # Locks are let go and steps tried again only once nothing is in doubt any more.
            await held.commit(acts_seen=act.id, steps=[step], attempts=attempts, step_event=(step, attempt))
            return
        failed = next((one for one in (step, *rest) if one.state is StepState.FAILED), None)
        told = failed.outcome if failed is not None else None
        await held.commit(
            acts_seen=act.id,
            steps=[step],
            attempts=attempts,
            step_event=(step, attempt),
            trigger=Trigger.RESUME if failed is None else Trigger.FAIL,
            cause=told.cause if told else None,
            detail=told.detail if told else None,
            hint=None if failed is None else "`resetd resume ID` runs the step again.",
            stopped_in=None if failed is None else held.reset.stopped_in,
            stopped_at=None if failed is None else failed.name,
            waiting_for=None,
        )

    def _closed(self, held: Held, step: Step, outcome: Outcome) -> Attempt | None:
        attempt = held.open_attempts.get(step.name)
        if attempt is None:
            return None
        return attempt.model_copy(update={"finished_at": self._clock.now(), "outcome": outcome})

    async def _pass_over(self, held: Held, act: Act) -> None:
        await held.commit(acts_seen=act.id)


def again(step: Step) -> Step:
    """The step as one that is to be run again, with all of its automatic tries."""
    return step.model_copy(
        update={"state": StepState.PENDING, "not_before": None, "attempts_before": step.attempts}
    )


def _by(act: Act) -> str:
    return f"by {act.actor}: {act.reason}" if act.reason else f"by {act.actor}"
