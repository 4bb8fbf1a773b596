"""Records that could not be read."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from daemon.api.authentication import WHOAMI, Caller, require
from daemon.api.camel_case import camel_case
from daemon.api.context import Context
from daemon.api.problems import ProblemError
from daemon.redaction import redact_value
from schemas.api import Role
from schemas.reasons import Reason

router = APIRouter(tags=["inventory"])


@router.get("/dead-letters")
async def list_dead_letters(
    context: Context, caller: Caller, limit: Annotated[int, Query(ge=1, le=500)] = 50
) -> list[Any]:
    """List records that could not be read, newest first and without their content.

    Nobody knows which environment such a record is about. So the token has to be for all environments.
    """
    require(caller, Role.VIEWER)
    if not caller.sees_all:
        raise ProblemError(Reason.FORBIDDEN, f"{caller.subject} does not see all environments", hint=WHOAMI)
    return [redact_value(camel_case(row)) for row in await context.store.dead_letters(limit=limit)]
