"""Freezes: while one is in force no reset crosses its first destructive step."""

from __future__ import annotations

import structlog
from fastapi import APIRouter

from daemon.api.authentication import WHOAMI, Caller
from daemon.api.context import ApiContext, Context
from daemon.api.known_environments import check_environment
from daemon.api.problems import ProblemError
from daemon.api.restraints import audit_refused_restraint, end_of, entry_of
from schemas.api import FreezeAsked, FreezeBody, Role, UnfreezeAsked
from schemas.audit import AuditAction
from schemas.freezes import Freeze, KeptFreeze
from schemas.reasons import Reason
from schemas.wire import kind_of

_log = structlog.stdlib.get_logger(__name__)
router = APIRouter(tags=["restraints"])


@router.post("/freeze", status_code=201)
async def freeze(sent: FreezeAsked, context: Context, caller: Caller) -> FreezeBody:
    """Let no reset cross its first destructive step until `expiresAt`: of one environment, or of all.

    Needs `operator` or `admin` in the environment; for all of them `admin` for every environment. It is also about
    resets of others that touch what the environment uses. What has crossed that step goes on.
    """
    action = AuditAction.FREEZE
    async with audit_refused_restraint(context, caller, action, sent.environment, sent.reason):
        _require(context, caller, sent.environment)
        if sent.environment is not None:
            await check_environment(context, sent.environment)
        now = context.clock.now()
        given = Freeze(
            id=str(context.new_id()),
            environment=sent.environment,
            reason=sent.reason,
            given_by=caller.subject,
            given_at=now,
            expires_at=end_of(sent.expires_at, now),
        )
        await context.refuse_restored_state()
        facts = {"freeze": given.id, "expiresAt": given.expires_at.isoformat()}
        await context.store.freeze(
            given, entry_of(caller, action, given.environment, given.reason, now, facts=facts)
        )
    await _log.ainfo(
        "freeze.given",
        freeze=given.id,
        scope=given.scope,
        by=given.given_by,
        until=given.expires_at.isoformat(),
    )
    return _body(KeptFreeze(**dict(given)), in_force=True)


@router.post("/unfreeze")
async def unfreeze(sent: UnfreezeAsked, context: Context, caller: Caller) -> tuple[FreezeBody, ...]:
    """End the freezes of exactly this environment, or those of all, before their time. Needs the rights of `freeze`.

    A freeze of all environments goes on where only one environment's is ended.
    """
    action = AuditAction.UNFREEZE
    async with audit_refused_restraint(context, caller, action, sent.environment, sent.reason):
        _require(context, caller, sent.environment)
        now = context.clock.now()
        await context.refuse_restored_state()
        ended = await context.store.unfreeze(
            sent.environment, entry_of(caller, action, sent.environment, sent.reason, now)
        )
        if not ended:
            detail = f"no freeze of {sent.environment or 'all environments'} is in force"
            raise ProblemError(Reason.NOT_FROZEN, detail, hint="`resetd freeze --list` shows those that are.")
    for each in ended:
        await _log.ainfo("freeze.ended", freeze=each.id, scope=each.scope, by=caller.subject)
    over = {"ended_at": now, "ended_by": caller.subject}
    return tuple(_body(KeptFreeze(**dict(each), **over), in_force=False) for each in ended)


@router.get("/freezes")
async def list_freezes(context: Context, caller: Caller, *, ended: bool = False) -> tuple[FreezeBody, ...]:
    """List freezes, newest first; with `ended` also those that are over."""
    in_force = {each.freeze.id for each in await context.store.freezes() if each.remaining > 0}
    bodies = (_body(each, in_force=each.id in in_force) for each in await context.store.kept_freezes())
    return tuple(
        body
        for body in bodies
        if (ended or body.in_force) and (body.environment is None or caller.sees(body.environment))
    )


def _require(context: ApiContext, caller: Caller, environment: str | None) -> None:
    if environment is None:
        if not (caller.may(Role.ADMIN) and caller.sees_all):
            detail = f"{caller.subject} has not the role admin in every environment"
            raise ProblemError(Reason.FORBIDDEN, detail, hint=WHOAMI)
        return
    if not (caller.may(Role.OPERATOR, environment) or caller.may(Role.ADMIN, environment)):
        detail = f"{caller.subject} has neither the role operator nor admin in {environment}"
        raise ProblemError(Reason.FORBIDDEN, detail, hint=WHOAMI)
    if kind_of(environment) not in context.catalog.kinds:
        detail = f"{environment} is of no kind of the catalog"
        raise ProblemError(
            Reason.UNKNOWN_KIND, detail, hint="`resetd environments` lists those of the cluster."
        )


def _body(kept: KeptFreeze, *, in_force: bool) -> FreezeBody:
    return FreezeBody(**kept.model_dump(), in_force=in_force)
