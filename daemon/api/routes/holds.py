"""Holds: a person takes the locks of an environment until a moment."""

from __future__ import annotations

import structlog
from fastapi import APIRouter

from daemon.api.authentication import WHOAMI, Caller, require
from daemon.api.context import ApiContext, Context
from daemon.api.known_environments import check_environment
from daemon.api.problems import ProblemError
from daemon.api.restraints import audit_refused_restraint, end_of, entry_of
from daemon.ports.errors import PortError
from daemon.ports.store.restraints import HoldAnswer
from schemas.api import HoldAsked, HoldBody, Role, UnholdAsked
from schemas.audit import AuditAction
from schemas.holds import Hold, KeptHold
from schemas.reasons import Reason
from schemas.wire import ResetId
from statemachines.consent import person
from statemachines.holds import sentence
from statemachines.planning.used import Used

_log = structlog.stdlib.get_logger(__name__)
router = APIRouter(tags=["restraints"])


@router.post("/environments/{name}/hold", status_code=201)
async def hold(name: str, sent: HoldAsked, context: Context, caller: Caller) -> HoldBody:
    """Take the locks of an environment for the caller, until `expiresAt`. Needs the role `operator`.

    Other resets of it, and of what it uses, wait in `queued`; plans are still answered. While a reset is at work there
    it is refused, or waits for that with `after`. Who holds it already gives it a new end.
    """
    action = AuditAction.HOLD
    async with audit_refused_restraint(context, caller, action, name, sent.reason):
        require(caller, Role.OPERATOR, name)
        await check_environment(context, name)
        now = context.clock.now()
        end = end_of(sent.expires_at, now)
        seen = await _used(context, name)
        asked = Hold(
            id=str(context.new_id()),
            environment=name,
            keys=seen.keys,
            reason=sent.reason,
            holder=caller.subject,
            asked_at=now,
            expires_at=end,
        )
        await context.refuse_restored_state()
        facts = {"expiresAt": end.isoformat(), "after": sent.after}
        entry = entry_of(caller, action, name, sent.reason, now, facts=facts)
        answer = await context.store.hold(asked, entry, after=sent.after)
        given = await _given(context, caller, name, answer)
    await _log.ainfo(
        "hold.given",
        hold=given.id,
        environment=name,
        holder=given.holder,
        until=given.expires_at.isoformat(),
        granted=given.granted_at is not None,
    )
    body = given.model_dump()
    at_work = await _visible(context, caller, answer.at_work)
    return HoldBody(**body, in_force=True, at_work=at_work, unread=seen.unread)


@router.post("/environments/{name}/unhold")
async def unhold(name: str, sent: UnholdAsked, context: Context, caller: Caller) -> HoldBody:
    """End a hold before its time: by who has it, or by an operator of the environment."""
    action = AuditAction.UNHOLD
    async with audit_refused_restraint(context, caller, action, name, sent.reason):
        require(caller, Role.VIEWER, name)
        found = await hold_of(context, name)
        mine = found is not None and person(found.holder) == person(caller.subject)
        if not mine and not caller.may(Role.OPERATOR, name):
            detail = f"{caller.subject} neither holds {name} nor has the role operator there"
            raise ProblemError(Reason.FORBIDDEN, detail, hint=WHOAMI)
        now = context.clock.now()
        await context.refuse_restored_state()
        ended = None
        if found is not None:
            facts = {"hold": found.id, "holder": found.holder}
            entry = entry_of(caller, action, name, sent.reason, now, facts=facts)
            ended = await context.store.unhold(found.id, entry)
        if ended is None:
            raise ProblemError(Reason.NOT_HELD, f"nobody holds {name}")
    await _log.ainfo("hold.ended", hold=ended.id, environment=name, holder=ended.holder, by=caller.subject)
    return HoldBody(**ended.model_dump(), in_force=False)


@router.get("/holds")
async def list_holds(context: Context, caller: Caller, *, ended: bool = False) -> tuple[HoldBody, ...]:
    """List holds, newest first; with `ended` also those that are over."""
    standing = {each.hold.id: each for each in await context.store.holds() if each.remaining > 0}
    bodies = []
    for kept in await context.store.kept_holds():
        now = standing.get(kept.id) if kept.ended_at is None else None
        if caller.sees(kept.environment) and (ended or now is not None):
            at_work = await _visible(context, caller, now.at_work if now is not None else ())
            bodies.append(HoldBody(**kept.model_dump(), in_force=now is not None, at_work=at_work))
    return tuple(bodies)


async def _visible(context: ApiContext, caller: Caller, resets: tuple[ResetId, ...]) -> tuple[ResetId, ...]:
    found = [await context.store.find(each) for each in resets]
    return tuple(each.id for each in found if each is not None and caller.sees(each.environment))


async def hold_of(context: ApiContext, name: str) -> KeptHold | None:
    """Find the hold in force of exactly this environment."""
    standing = await context.store.holds()
    mine = (each for each in standing if each.remaining > 0 and each.hold.ended_at is None)
    return next((each.hold for each in mine if each.hold.environment == name), None)


async def _used(context: ApiContext, name: str) -> Used:
    """What the environment uses, as it is seen now and as its last plan had it: pods may be down just now."""
    latest = await context.store.find(f"{name}/@latest")
    plan = await context.store.plan(latest.id) if latest is not None else None
    known = {resource.key for resource in plan.resources} if plan is not None else set()
    try:
        seen = await context.planning.resources(name)
    except PortError as error:
        seen = Used((), (error.detail,))
    return Used(tuple(sorted({*seen.keys, *known})), seen.unread)


async def _given(context: ApiContext, caller: Caller, name: str, answer: HoldAnswer) -> KeptHold:
    if answer.given is not None:
        return answer.given
    if answer.held is not None:
        seen = caller.sees(answer.held.environment)
        detail = sentence(answer.held) if seen else f"somebody holds what {name} uses"
        raise ProblemError(Reason.ENVIRONMENT_HELD, detail)
    found = [await context.store.find(each) for each in answer.at_work]
    names = [f"{each.environment}/{each.number}" for each in found if each and caller.sees(each.environment)]
    detail = f"{', '.join(names) or 'a reset of another environment'} is at work on what {name} uses"
    raise ProblemError(Reason.RESET_AT_WORK, detail, hint="With --after you get it once that is over.")
