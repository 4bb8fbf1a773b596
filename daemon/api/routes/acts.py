"""Acts on a reset: approve, deny, cancel, resume, skip, resolve, accept, rollback, release.

An act is checked and appended; the process that holds the reset's lease reads it. So no call here changes a reset.
202 says that the act was recorded, and the reset's history says what came of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Header

from daemon.api import reset_bodies
from daemon.api.authentication import Caller, require
from daemon.api.context import ApiContext, Context
from daemon.api.problems import ProblemError, violation
from daemon.api.refusal_audit import audit_refused_act
from daemon.api.reset_lookup import RESET_PATH, find
from schemas.api import (
    AcceptBody,
    ActAccepted,
    ActBody,
    ApproveBody,
    ResolveBody,
    ResumeBody,
    Role,
    RollbackBody,
    SkipBody,
)
from schemas.plan import Plan
from schemas.reasons import Reason
from schemas.resets import Act, ActKind, Channel, Reset
from statemachines.acts import check_act, has_begun
from statemachines.consent import needs_consent, needs_name, rights_needed

_log = structlog.stdlib.get_logger(__name__)
router = APIRouter(tags=["acts"])
IfMatch = Annotated[str | None, Header()]
_ROLES = {
    ActKind.APPROVE: Role.APPROVER,
    ActKind.DENY: Role.APPROVER,
    ActKind.CANCEL: Role.OPERATOR,
    ActKind.RESUME: Role.OPERATOR,
    ActKind.SKIP: Role.OPERATOR,
    ActKind.RESOLVE: Role.OPERATOR,
    ActKind.ROLLBACK: Role.OPERATOR,
    ActKind.RELEASE: Role.OPERATOR,
    ActKind.ACCEPT: Role.OPERATOR,
}


@router.post(f"{RESET_PATH}/approve", status_code=202)
async def approve(
    reference: str, sent: ApproveBody, context: Context, caller: Caller, if_match: IfMatch = None
) -> ActAccepted:
    """Approve the plan with this hash. Nobody approves a request of their own.

    Needs the role `approver` in each environment of the plan's `approversIn`: the reset's own, and each by which
    something is protected that the plan touches. A plan that wipes needs the environment's name in `confirm`.
    """
    asked = _Asked(ActKind.APPROVE, sent, {"plan_hash": sent.plan_hash}, confirm=sent.confirm)
    return await _append(context, caller, reference, asked, if_match)


@router.post(f"{RESET_PATH}/deny", status_code=202)
async def deny(
    reference: str, sent: ActBody, context: Context, caller: Caller, if_match: IfMatch = None
) -> ActAccepted:
    """Deny a reset that waits for approval. Needs the role `approver`."""
    return await _append(context, caller, reference, _Asked(ActKind.DENY, sent), if_match)


@router.post(f"{RESET_PATH}/cancel", status_code=202)
async def cancel(
    reference: str, sent: ActBody, context: Context, caller: Caller, if_match: IfMatch = None
) -> ActAccepted:
    """Stop a reset. Needs the role `operator`, or `requester` for a reset of the caller's own, until its work begins.

    A reset is that of the caller who asked for it first, over HTTP. Who joined it has no right to end it.
    """
    return await _append(context, caller, reference, _Asked(ActKind.CANCEL, sent), if_match)


@router.post(f"{RESET_PATH}/resume", status_code=202)
async def resume(
    reference: str, sent: ResumeBody, context: Context, caller: Caller, if_match: IfMatch = None
) -> ActAccepted:
    """Resume a reset where it stopped, or from an earlier step. `replan` makes a new plan for what is left."""
    more = {"step": sent.from_, "replan": sent.replan, "force": sent.force, "sequence": sent.sequence}
    return await _append(context, caller, reference, _Asked(ActKind.RESUME, sent, more), if_match)


@router.post(f"{RESET_PATH}/skip", status_code=202)
async def skip(
    reference: str, sent: SkipBody, context: Context, caller: Caller, if_match: IfMatch = None
) -> ActAccepted:
    """Go on without a step that the catalog calls skippable."""
    asked = _Asked(ActKind.SKIP, sent, {"step": sent.step})
    return await _append(context, caller, reference, asked, if_match)


@router.post(f"{RESET_PATH}/resolve", status_code=202)
async def resolve(
    reference: str, sent: ResolveBody, context: Context, caller: Caller, if_match: IfMatch = None
) -> ActAccepted:
    """Say what became of a step whose outcome is unknown: `succeeded` or `failed`."""
    asked = _Asked(ActKind.RESOLVE, sent, {"step": sent.step, "outcome": sent.outcome})
    return await _append(context, caller, reference, asked, if_match)


@router.post(f"{RESET_PATH}/accept", status_code=202)
async def accept(
    reference: str, sent: AcceptBody, context: Context, caller: Caller, if_match: IfMatch = None
) -> ActAccepted:
    """Take what a learned check found as the new truth: the reset goes on behind its step, and runs nothing again.

    Needs the role `operator`. On protected resources it needs `approver` instead, in each environment of the plan's
    `approversIn`, and somebody who did not ask for the reset.
    Two such people have to accept the same where the reset was not asked for with a token. Until then it stays there.
    """
    asked = _Asked(ActKind.ACCEPT, sent, {"check_name": sent.check_name})
    return await _append(context, caller, reference, asked, if_match)


@router.post(f"{RESET_PATH}/rollback", status_code=202)
async def rollback(
    reference: str, sent: RollbackBody, context: Context, caller: Caller, if_match: IfMatch = None
) -> ActAccepted:
    """Put back what was backed up. Not available yet: the answer is `not-yet`."""
    asked = _Asked(ActKind.ROLLBACK, sent, {"force": sent.force})
    return await _append(context, caller, reference, asked, if_match)


@router.post(f"{RESET_PATH}/release", status_code=202)
async def release(
    reference: str, sent: ActBody, context: Context, caller: Caller, if_match: IfMatch = None
) -> ActAccepted:
    """Give back what a stopped reset keeps at rest: its services start on what may be half done."""
    return await _append(context, caller, reference, _Asked(ActKind.RELEASE, sent), if_match)


@dataclass(frozen=True)
class _Asked:
    """An act as a call asks for it."""

    kind: ActKind
    body: ActBody
    more: Mapping[str, Any] = field(default_factory=dict)
    """Fields that only this kind of act has."""
    confirm: str | None = None

    def on(self, reset: Reset, caller: Caller, at: datetime) -> Act:
        """The act on `reset`, as it is stored."""
        whole = Act(
            reset_id=reset.id,
            kind=self.kind,
            actor=caller.subject,
            channel=Channel.HTTP,
            reason=self.body.reason,
            at=at,
        )
        return whole.model_copy(update=self.more)


async def _append(
    context: ApiContext, caller: Caller, reference: str, asked: _Asked, if_match: str | None
) -> ActAccepted:
    """Append the act, or refuse it and record the refusal."""
    # Whoever may not see the reset leaves nothing in its history.
    reset = await find(context, caller, reference)
    act = asked.on(reset, caller, context.clock.now())
    if act.kind is ActKind.CANCEL and not caller.may(Role.OPERATOR, reset.environment):
        act = act.model_copy(update={"as_requester": True})
    async with audit_refused_act(context, caller, reset, act):
        # Read once: the rights are those that the plan asks for whose hash is compared.
        plan = await context.store.plan(reset.id)
        _permit(caller, reset, act.kind, plan)
        if asked.confirm is not None and asked.confirm != reset.environment:
            detail = f"is not the environment's name, {reset.environment}"
            raise violation("/confirm", detail, reset=reset.id)
        if if_match is not None and if_match not in {"*", reset_bodies.etag(reset)}:
            detail = f"it is at {reset_bodies.etag(reset)}, and {reset.state.value}"
            hint = "Read it again, then decide."
            raise ProblemError(Reason.PRECONDITION_FAILED, detail, reset=reset.id, hint=hint)
        if act.kind is ActKind.ROLLBACK:
            detail = f"{act.kind.value} comes with a later version"
            raise ProblemError(Reason.NOT_YET, detail, reset=reset.id)
        await _check(context, reset, act, plan)
        if act.kind is ActKind.APPROVE and asked.confirm is None and needs_name(plan, reset):
            detail = f"a wipe of what is protected is approved with the environment's name typed: {reset.environment}"
            raise violation("/confirm", detail, reset=reset.id)
    await context.refuse_restored_state()
    stored = await context.store.append_act(act)
    return ActAccepted(act=stored.id, reset=reset_bodies.summary(reset))


def _permit(caller: Caller, reset: Reset, kind: ActKind, plan: Plan | None) -> None:
    """Check that the caller's roles allow an act of this kind on the reset.

    A consent needs the role approver in the reset's environment and in each by which something is protected.

    Raises:
        ProblemError: `forbidden`.
    """
    own = reset.channel is Channel.HTTP and caller.subject == reset.request.requested_by
    mine = kind is ActKind.CANCEL and own and not has_begun(reset)
    if kind is ActKind.APPROVE or (kind is ActKind.ACCEPT and needs_consent(plan, reset)):
        for environment in rights_needed(plan, reset):
            require(caller, Role.APPROVER, environment)
        return
    role = Role.REQUESTER if mine else _ROLES[kind]
    require(caller, role, reset.environment)


async def _check(context: ApiContext, reset: Reset, act: Act, plan: Plan | None) -> None:
    """Check the act against the reset as it stands.

    Raises:
        ProblemError: the reason why the act is refused.
    """
    refusal = check_act(
        act,
        reset,
        plan,
        await context.store.steps(reset.id),
        superseded_by=await context.store.superseded_by(reset.id),
    )
    if refusal is not None:
        await _log.ainfo(
            "act.refused", reset=reset.id, act=act.kind.value, actor=act.actor, reason=refusal.reason.value
        )
        raise ProblemError(refusal.reason, refusal.detail, reset=reset.id, status=409)
