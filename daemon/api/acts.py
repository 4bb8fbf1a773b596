"""What people ask of a reset that is there: each act is judged, appended, and read by the reset's holder.

Nothing here changes a reset. 202 says that the act was taken down; what came of it is in the reset's history.
"""

from __future__ import annotations

from typing import Annotated

import structlog
from fastapi import APIRouter, Header

from daemon.api import views
from daemon.api.auth import Caller, require
from daemon.api.context import ApiContext, Context
from daemon.api.problems import ProblemError
from daemon.api.references import ONE, find
from schemas.api import (
    ActAccepted,
    ActBody,
    ApproveBody,
    Pointer,
    ResolveBody,
    ResumeBody,
    Role,
    RollbackBody,
    SkipBody,
)
from schemas.reasons import Reason
from schemas.resets import Act, ActKind, Channel, Reset
from statemachines.acts import judge

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
}


@router.post(f"{ONE}/approve", status_code=202)
async def approve(
    reference: str, sent: ApproveBody, context: Context, caller: Caller, if_match: IfMatch = None
) -> ActAccepted:
    """Agree to the plan of this hash. Never one's own request; role `approver`."""
    reset = await _mine(context, caller, reference, ActKind.APPROVE)
    if sent.confirm is not None and sent.confirm != reset.environment:
        error = Pointer(pointer="/confirm", detail=f"is not the environment's name, {reset.environment}")
        raise ProblemError(Reason.SCHEMA_VIOLATION, error.detail, errors=(error,), reset=reset.id)
    act = _act(context, caller, reset, ActKind.APPROVE, sent).model_copy(update={"plan_hash": sent.plan_hash})
    return await _append(context, reset, act, if_match)


@router.post(f"{ONE}/deny", status_code=202)
async def deny(
    reference: str, sent: ActBody, context: Context, caller: Caller, if_match: IfMatch = None
) -> ActAccepted:
    """Refuse what waits for approval; role `approver`."""
    return await _plain(context, caller, reference, ActKind.DENY, sent, if_match)


@router.post(f"{ONE}/cancel", status_code=202)
async def cancel(
    reference: str, sent: ActBody, context: Context, caller: Caller, if_match: IfMatch = None
) -> ActAccepted:
    """Stop it; role `operator`, or `requester` for what one asked for oneself over HTTP."""
    return await _plain(context, caller, reference, ActKind.CANCEL, sent, if_match)


@router.post(f"{ONE}/resume", status_code=202)
async def resume(
    reference: str, sent: ResumeBody, context: Context, caller: Caller, if_match: IfMatch = None
) -> ActAccepted:
    """Go on where it stopped, or from an earlier step; `replan` makes a new plan for what is left."""
    reset = await _mine(context, caller, reference, ActKind.RESUME)
    more = {"step": sent.from_, "replan": sent.replan, "sequence": sent.sequence}
    act = _act(context, caller, reset, ActKind.RESUME, sent).model_copy(update=more)
    return await _append(context, reset, act, if_match)


@router.post(f"{ONE}/skip", status_code=202)
async def skip(
    reference: str, sent: SkipBody, context: Context, caller: Caller, if_match: IfMatch = None
) -> ActAccepted:
    """Go on without a step that the catalog calls skippable."""
    reset = await _mine(context, caller, reference, ActKind.SKIP)
    act = _act(context, caller, reset, ActKind.SKIP, sent).model_copy(update={"step": sent.step})
    return await _append(context, reset, act, if_match)


@router.post(f"{ONE}/resolve", status_code=202)
async def resolve(
    reference: str, sent: ResolveBody, context: Context, caller: Caller, if_match: IfMatch = None
) -> ActAccepted:
    """Say what became of a step whose outcome is unknown: `succeeded` or `failed`."""
    reset = await _mine(context, caller, reference, ActKind.RESOLVE)
    more = {"step": sent.step, "outcome": sent.outcome}
    act = _act(context, caller, reset, ActKind.RESOLVE, sent).model_copy(update=more)
    return await _append(context, reset, act, if_match)


@router.post(f"{ONE}/rollback", status_code=202)
async def rollback(
    reference: str, sent: RollbackBody, context: Context, caller: Caller, if_match: IfMatch = None
) -> ActAccepted:
    """Put back what was backed up."""
    reset = await _mine(context, caller, reference, ActKind.ROLLBACK)
    act = _act(context, caller, reset, ActKind.ROLLBACK, sent).model_copy(update={"force": sent.force})
    return await _append(context, reset, act, if_match)


@router.post(f"{ONE}/release", status_code=202)
async def release(
    reference: str, sent: ActBody, context: Context, caller: Caller, if_match: IfMatch = None
) -> ActAccepted:
    """Give services that were left quiesced their replicas back."""
    return await _plain(context, caller, reference, ActKind.RELEASE, sent, if_match)


async def _plain(
    context: ApiContext, caller: Caller, reference: str, kind: ActKind, sent: ActBody, if_match: str | None
) -> ActAccepted:
    reset = await _mine(context, caller, reference, kind)
    return await _append(context, reset, _act(context, caller, reset, kind, sent), if_match)


async def _mine(context: ApiContext, caller: Caller, reference: str, kind: ActKind) -> Reset:
    """The reset, where the caller may do this to it."""
    reset = await find(context, caller, reference)
    own = reset.channel is Channel.HTTP and caller.subject in reset.requested_by
    if kind is ActKind.CANCEL and own:
        require(caller, Role.REQUESTER, reset.environment)
    else:
        require(caller, _ROLES[kind], reset.environment)
    return reset


def _act(context: ApiContext, caller: Caller, reset: Reset, kind: ActKind, sent: ActBody) -> Act:
    return Act(
        reset_id=reset.id,
        kind=kind,
        actor=caller.subject,
        channel=Channel.HTTP,
        reason=sent.reason,
        at=context.clock.now(),
    )


async def _append(context: ApiContext, reset: Reset, act: Act, if_match: str | None) -> ActAccepted:
    if if_match is not None and if_match not in {"*", views.etag(reset)}:
        detail = f"it is at {views.etag(reset)}, and {reset.state.value}"
        raise ProblemError(
            Reason.PRECONDITION_FAILED, detail, reset=reset.id, hint="Read it again, then decide."
        )
    if act.kind in {ActKind.ROLLBACK, ActKind.RELEASE}:
        raise ProblemError(Reason.NOT_YET, f"{act.kind.value} comes with a later version", reset=reset.id)
    await _judge(context, reset, act)
    stored = await context.store.append_act(act)
    return ActAccepted(act=stored.id, reset=views.summary(reset))


async def _judge(context: ApiContext, reset: Reset, act: Act) -> None:
    refusal = judge(
        act,
        reset,
        await context.store.plan(reset.id),
        await context.store.steps(reset.id),
        superseded_by=await context.store.superseded_by(reset.id),
    )
    if refusal is not None:
        await _log.ainfo(
            "act.refused", reset=reset.id, act=act.kind.value, actor=act.actor, reason=refusal.reason.value
        )
        raise ProblemError(refusal.reason, refusal.detail, reset=reset.id, status=409)
