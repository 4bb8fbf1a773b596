"""Plans: what a reset would do now, and the plan of a reset."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from daemon.api.authentication import Caller, require
from daemon.api.context import Context
from daemon.api.guide_commands import script
from daemon.api.problems import ProblemError
from daemon.api.reset_lookup import RESET_PATH, find
from daemon.api.reset_request import reset_requested
from schemas.api import Role
from schemas.plan import Plan
from schemas.reasons import Reason
from schemas.requests import ResetWanted
from schemas.resets import Channel

router = APIRouter(tags=["resets"])
SCRIPT_TYPE = "text/x-shellscript"


@router.get(f"{RESET_PATH}/plan")
async def read_plan(reference: str, context: Context, caller: Caller) -> Plan:
    """The plan of the reset that is in force."""
    reset = await find(context, caller, reference)
    plan = await context.store.plan(reset.id)
    if plan is None:
        raise ProblemError(
            Reason.NOT_FOUND, f"{reference} has no plan (it is {reset.state.value})", reset=reset.id
        )
    return plan


@router.post(
    "/plans",
    responses={200: {"model": Plan, "content": {SCRIPT_TYPE: {"schema": {"type": "string"}}}}},
    response_model=None,
)
async def make_plan(wanted: ResetWanted, context: Context, caller: Caller, http: Request) -> Plan | Response:
    """Plan what a reset would do now. Nothing is changed in any environment, and no reset is made.

    What protected environments are seen to use is remembered, as whenever a plan is made.

    With `Accept: text/x-shellscript` the plan is written as the guide's kubectl commands, for a person to type.
    """
    require(caller, Role.REQUESTER, wanted.environment)
    answer = await context.planning.plan(reset_requested(wanted, caller.subject, None), Channel.HTTP)
    if not isinstance(answer, Plan):
        raise ProblemError(answer.reason, answer.detail, status=503 if answer.temporary else None)
    if SCRIPT_TYPE in http.headers.get("accept", ""):
        return Response(script(answer, context.catalog), media_type=f"{SCRIPT_TYPE}; charset=utf-8")
    return answer
