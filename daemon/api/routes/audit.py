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


@router.get("/audit")
async def read_audit(
    context: Context,
    caller: Caller,
    environment: str | None = None,
    actor: str | None = None,
    since: Time | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> tuple[AuditEntry, ...]:
    """List who asked for what, when and why, and what came of it, newest first. Refused calls are listed, too."""
    require(caller, Role.VIEWER, environment)
    found = await context.store.audit(environment=environment, actor=actor, since=since, limit=limit)
    return tuple(entry for entry in found if caller.sees(entry.environment or "*"))
