"""What is left of refused requests whose own rows are pruned."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from daemon.api.authentication import Caller, require
from daemon.api.context import Context
from schemas.api import Role
from schemas.retention import Refusal

router = APIRouter(tags=["inventory"])
_ALL = 1000


@router.get("/refusals")
async def list_refusals(
    context: Context, caller: Caller, limit: Annotated[int, Query(ge=1, le=_ALL)] = 100
) -> tuple[Refusal, ...]:
    """List the environments for which requests were refused and forgotten, the last refusal first.

    A refused request has a reset of its own until it is pruned: minutes where there is no such environment.
    """
    require(caller, Role.VIEWER)
    found = await context.store.refusals(limit=_ALL)
    return tuple([refusal for refusal in found if caller.sees(refusal.environment)][:limit])
