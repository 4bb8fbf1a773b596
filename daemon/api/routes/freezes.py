"""Freezes: while one is in force no reset crosses its first destructive step."""

from __future__ import annotations

import structlog
from fastapi import APIRouter

from daemon.api.authentication import WHOAMI, Caller
from daemon.api.context import ApiContext, Context
from daemon.api.known_environments import check_environment
from daemon.api.problems import ProblemError
from daemon.api.restraints import audit_refused_restraint, end_of, entry_of
from schemas.api import FreezeAsked, FreezeBody, Pausing, Role, UnfreezeAsked
from schemas.audit import AuditAction
from schemas.freezes import Freeze, KeptFreeze
from schemas.reasons import Reason
from schemas.wire import kind_of
from statemachines.freezes import concerned, has_crossed, pauses, stopping
from statemachines.lifecycle import WORKING
from statemachines.planning.quiescing import quiesced_objects

_log = structlog.stdlib.get_logger(__name__)
router = APIRouter(tags=["restraints"])
_MOST_AT_WORK = 1000
"""Resets at work that are looked at for those which a freeze pauses."""


@router.post("/freeze", status_code=201)
async def freeze(sent: FreezeAsked, context: Context, caller: Caller) -> FreezeBody:
    """Let no reset cross its first destructive step until `expiresAt`: of one environment, or of all.

    Needs `operator` or `admin` in the environment; for all of them `admin` for every environment. It is also about
    resets of others that touch what the environment uses. What has crossed that step goes on, or with `now` pauses
    between steps until the freeze ends: `pauses` names those resets, and what stays down with them. `dryRun` only says
    that.
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
            now=sent.now,
            reason=sent.reason,
            given_by=caller.subject,
            given_at=now,
            expires_at=end_of(sent.expires_at, now),
        )
        await context.refuse_restored_state()
        pausing = await _pausing(context, caller, given) if given.now else ()
        if sent.dry_run:
            return _body(KeptFreeze(**dict(given)), in_force=False, pausing=pausing)
        facts = {"freeze": given.id, "expiresAt": given.expires_at.isoformat(), "now": given.now}
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
    return _body(KeptFreeze(**dict(given)), in_force=True, pausing=pausing)


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


async def _pausing(context: ApiContext, caller: Caller, freeze: Freeze) -> tuple[Pausing, ...]:
    found = []
    for reset in await context.store.resets(states=WORKING, limit=_MOST_AT_WORK):
        plan = await context.store.plan(reset.id)
        steps = {step.name: step for step in await context.store.steps(reset.id)}
        about = stopping([freeze], concerned(reset.environment, plan)) is not None
        if about and has_crossed(reset) and pauses(plan, steps) and caller.sees(reset.environment):
            down = tuple(str(each) for each in quiesced_objects(plan.steps)) if plan is not None else ()
            name = f"{reset.environment}/{reset.number}"
            found.append(Pausing(reset_id=reset.id, reference=name, state=reset.state, down=down))
    return tuple(found)


def _body(kept: KeptFreeze, *, in_force: bool, pausing: tuple[Pausing, ...] = ()) -> FreezeBody:
    return FreezeBody(**kept.model_dump(), in_force=in_force, pauses=pausing)
