"""Lists for operators: locks, backups, dead letters; and who one is."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from daemon.api import views
from daemon.api.auth import Caller, require
from daemon.api.context import Context
from daemon.api.references import find
from daemon.redaction import redact_value
from schemas.api import LockBody, Role, WhoAmI
from schemas.wire import ResetId

router = APIRouter(tags=["inventory"])


@router.get("/locks")
async def list_locks(context: Context, caller: Caller) -> tuple[LockBody, ...]:
    """Locks that are held or asked for, by resource and ticket."""
    require(caller, Role.VIEWER)
    return tuple(views.lock(row) for row in await context.store.locks() if caller.sees(row.environment))


@router.get("/backups")
async def list_backups(context: Context, caller: Caller, reset: str | None = None) -> list[dict[str, Any]]:
    """Recorded backups, newest first, with the reset that took each."""
    require(caller, Role.VIEWER)
    chosen: ResetId | None = (await find(context, caller, reset)).id if reset else None
    rows = [dict(row) for row in await context.store.backups(reset_id=chosen)]
    return [row for row in rows if "environment" not in row or caller.sees(str(row["environment"]))]


@router.get("/dead-letters")
async def list_dead_letters(
    context: Context, caller: Caller, limit: Annotated[int, Query(ge=1, le=500)] = 50
) -> list[Any]:
    """Records that could not be read, newest first; without their content."""
    require(caller, Role.VIEWER)
    return [redact_value(dict(row)) for row in await context.store.dead_letters(limit=limit)]


@router.get("/whoami")
async def who_am_i(caller: Caller) -> WhoAmI:
    """The token that was presented."""
    token = caller.token
    return WhoAmI(
        subject=token.subject,
        name=token.name,
        roles=token.roles,
        environments=token.environments,
        expires_at=token.expires_at,
    )
