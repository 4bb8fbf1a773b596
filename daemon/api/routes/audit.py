"""The audit: who asked for what, and what came of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from daemon.api.authentication import Caller, require
from daemon.api.context import Context
from schemas.api import Role
from schemas.audit import AuditEntry
from schemas.wire import Time

router = APIRouter(tags=["inventory"])
_PAGE = 1000
_ROUNDS = 20  # at most so many pages are searched for lines that the token may see


@router.get("/audit")
async def read_audit(
    context: Context,
    caller: Caller,
    environment: str | None = None,
    actor: str | None = None,
    since: Time | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> tuple[AuditEntry, ...]:
    """List who asked for what, when and why, and what came of it, newest first. Refused calls are listed, too.

    Lines of environments that the token is not for are left out. Where it is for few of many, name one by
    `environment`: without it only the newest lines of all are searched, 20,000 at most.
    """
    require(caller, Role.VIEWER, environment)
    found: list[AuditEntry] = []
    before: AuditEntry | None = None
    page = limit if caller.sees_all else _PAGE
    for _ in range(_ROUNDS):
        lines = await context.store.audit(
            environment=environment, actor=actor, since=since, before=before, limit=page
        )
        found += [line for line in lines if caller.sees(line.environment or "*")]
        if len(found) >= limit or len(lines) < page:
            break
        before = lines[-1]
    return tuple(found[:limit])
