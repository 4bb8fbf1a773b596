"""What the lease holder does with appended acts: judged once more, then each answered in one commit.

The commit that applies or refuses an act also says that it was read, and puts who, when and why into the audit, so an
act takes effect once, and never unseen, whatever is killed when.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import structlog

from daemon.engine.commands.unresolved import Doubts
from daemon.engine.leased_reset import LeasedReset
from daemon.ports.clock import Clock
from daemon.ports.errors import TemporaryError
from daemon.ports.store.store import Store
from schemas.reasons import Reason
from schemas.resets import Act, ActKind, Approval, Attempt, Outcome, OutcomeKind, Step, StepState
from statemachines.acts import ANSWERS, check_act, plans_anew, sequence_of_stop
from statemachines.history import audit
from statemachines.lifecycle import Trigger
from statemachines.refusals import Refusal, refuse
from statemachines.steps.resuming import to_repeat

log = structlog.get_logger()

Effect = dict[str, Any]
"""What an act changes: arguments of `LeasedReset.commit`."""

LOOK_EVERY = 0.5
"""Seconds between looks at acts while commands run."""
LOOKS_A_SECOND = 100
"""Of a daemon for all of its resets: a thousand would ask the database for nothing else."""


class Acts:
    """Applies acts to a leased reset."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._watched = 0
        """Resets at work in this process."""
        self._effects: Mapping[ActKind, Callable[[LeasedReset, Act], Effect]] = {
            ActKind.APPROVE: self._approve,
            ActKind.DENY: self._deny,
            ActKind.CANCEL: self._cancel,
            ActKind.RESUME: self._resume,
            ActKind.SKIP: self._skip,
            ActKind.RESOLVE: self._resolve,
        }

    async def cancel_asked(self, leased: LeasedReset) -> None:
        """Returns once somebody asks for the reset to be cancelled."""
        self._watched += 1
        acts = tuple(act for act in leased.unread if act.id > leased.reset.acts_seen)
        try:
            while not any(act.kind is ActKind.CANCEL for act in acts):
                pause = max(LOOK_EVERY, self._watched / LOOKS_A_SECOND)
                # Spread: a thousand that were claimed together would look together for ever.
                await self._clock.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - guards nothing
                with suppress(TemporaryError):  # what runs goes on without the database, too
                    acts = await leased.read_acts()
        finally:
            self._watched -= 1

    async def apply(self, leased: LeasedReset, doubts: Doubts) -> None:
        """Answer all that nobody has answered yet, in the order in which they were appended.

        Raises:
            LeaseLostError: another holder has it.
        """
        for act in await leased.read_acts():
            refusal = await self._refusal(leased, act)
            effect: Effect = {}
            if refusal is None:
                doubt = await self._doubt(leased, act, doubts)
                if doubt is not None:
                    what = f"{act.kind.value} {act.step}" if act.step else act.kind.value
                    detail = f"{what} has to wait: {doubt.detail}"
                    refusal = refuse(Reason.OUTCOME_UNKNOWN, detail)
                    effect = {"detail": detail, "hint": doubt.hint, "tell_again": True}
            if refusal is None:
                effect = self._effects.get(act.kind, _nothing)(leased, act)
            repeated = [step.name for step in effect.get("steps", ()) if act.kind is ActKind.RESUME]
            entry = audit.act_entry(act, leased.reset, refusal, at=self._clock.now(), again=repeated)
            await leased.commit(acts_seen=act.id, audit=(entry,), **effect)
            said = {"act": act.kind.value, "actor": act.actor}
            if refusal is None:
                log.info("act.applied", **said)
            else:
                log.info("act.refused", reason=refusal.reason.value, **said)

    async def _refusal(self, leased: LeasedReset, act: Act) -> Refusal | None:
        later = await self._store.superseded_by(leased.reset.id)
        stopped = None
        if act.kind in ANSWERS:
            stopped = sequence_of_stop(await self._store.history(leased.reset.id))
        steps = tuple(leased.steps.values())
        return check_act(act, leased.reset, leased.plan, steps, superseded_by=later, stop_sequence=stopped)

    async def _doubt(self, leased: LeasedReset, act: Act, doubts: Doubts) -> Outcome | None:
        """What has to be known before the act may let locks go or anything start."""
        if act.kind is ActKind.RESOLVE and act.step is not None:
            stop = act.outcome is not OutcomeKind.SUCCEEDED
            doubt = await doubts.settle_step(act.step, stop=stop)
            others = (one for one in leased.steps.values() if one.name != act.step)
            if doubt is not None or any(one.state is StepState.UNKNOWN for one in others):
                return doubt
            return await doubts.settle_former()
        return await doubts.settle_former() if act.kind is ActKind.RESUME else None

    def _approve(self, leased: LeasedReset, act: Act) -> Effect:
        approval = Approval(actor=act.actor, plan_hash=act.plan_hash or "", at=act.at)
        return {"approvals": (*leased.reset.approvals, approval)}

    def _deny(self, _leased: LeasedReset, act: Act) -> Effect:
        return {
            "trigger": Trigger.DENY,
            "cause": Reason.DENIED,
            "detail": _by(act),
            "waiting_for": None,
            "wake_at": None,
        }

    def _cancel(self, leased: LeasedReset, act: Act) -> Effect:
        return {
            "trigger": Trigger.CANCEL,
            "cancel_requested": True,
            "stopped_in": leased.reset.stopped_in or leased.reset.state,
            "cause": Reason.CANCELLED_BY_REQUEST,
            "detail": _by(act),
            "hint": None,
            "waiting_for": None,
        }

    def _resume(self, leased: LeasedReset, act: Act) -> Effect:
        replan = plans_anew(act, leased.reset, leased.plan, tuple(leased.steps.values()))
        chosen = (
            [leased.steps[name] for name in to_repeat(leased.plan, leased.steps, act.step)]
            if leased.plan
            else []
        )
        return {
            "trigger": Trigger.REPLAN if replan else Trigger.RESUME,
            "steps": [again(step) for step in chosen],
            "cause": None,
            "detail": None,
            "hint": None,
            "stopped_in": None,
            "stopped_at": None,
            "cancel_requested": False,
            "waiting_for": None,
            "wake_at": None,
        }

    def _skip(self, leased: LeasedReset, act: Act) -> Effect:
        step = _named(leased, act).model_copy(update={"state": StepState.SKIPPED, "not_before": None})
        return {"steps": [step], "step_event": (step, None)}

    def _resolve(self, leased: LeasedReset, act: Act) -> Effect:
        """Its word about one step; the reset goes on or fails once nothing else about it is unknown."""
        succeeded = act.outcome is OutcomeKind.SUCCEEDED
        outcome = Outcome(
            kind=OutcomeKind.SUCCEEDED if succeeded else OutcomeKind.FAILED,
            cause=None if succeeded else Reason.COMMAND_FAILED,
            detail=f"resolved {_by(act)}",
            facts={"resolvedBy": act.actor},
        )
        step = _named(leased, act).model_copy(
            update={"state": StepState.SUCCEEDED if succeeded else StepState.FAILED, "outcome": outcome}
        )
        attempt = self._closed(leased, step, outcome)
        effect: Effect = {
            "steps": [step],
            "attempts": [attempt] if attempt else [],
            "step_event": (step, attempt),
        }
        rest = [one for one in leased.steps.values() if one.name != step.name]
        doubtful = next((one for one in rest if one.state is StepState.UNKNOWN), None)
        if doubtful is not None:
            # Locks are let go and steps tried again only once nothing is in doubt any more.
            return effect | {"stopped_at": doubtful.name}
        if leased.reset.cancel_requested:
            # Somebody had asked for the end of it: nothing goes on from here but that.
            return effect | {"trigger": Trigger.CANCEL, "stopped_at": None, "waiting_for": None}
        failed = next((one for one in (step, *rest) if one.state is StepState.FAILED), None)
        told = failed.outcome if failed is not None else None
        return effect | {
            "trigger": Trigger.RESUME if failed is None else Trigger.FAIL,
            "cause": told.cause if told else None,
            "detail": told.detail if told else None,
            "hint": None if failed is None else "`resetd resume ID` runs the step again.",
            "stopped_in": None if failed is None else leased.reset.stopped_in,
            "stopped_at": None if failed is None else failed.name,
            "waiting_for": None,
        }

    def _closed(self, leased: LeasedReset, step: Step, outcome: Outcome) -> Attempt | None:
        attempt = leased.open_attempts.get(step.name)
        if attempt is None:
            return None
        return attempt.model_copy(update={"finished_at": self._clock.now(), "outcome": outcome})


def _nothing(_leased: LeasedReset, _act: Act) -> Effect:
    """Of an act that this version takes down and does nothing about."""
    return {}


def _named(leased: LeasedReset, act: Act) -> Step:
    """The step that the act names: it was judged, so there is one."""
    if act.step is None:
        raise RuntimeError(f"{act.kind.value} without a step was not refused")
    return leased.steps[act.step]


def again(step: Step) -> Step:
    """The step as one that is to be run again, with all of its automatic tries."""
    return step.model_copy(
        update={"state": StepState.PENDING, "not_before": None, "attempts_before": step.attempts}
    )


def _by(act: Act) -> str:
    return f"by {act.actor}: {act.reason}" if act.reason else f"by {act.actor}"
