"""Lists for operators: locks, backups, dead letters; and who one is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic.alias_generators import to_camel

from daemon.api import reset_bodies
from daemon.api.authentication import WHOAMI, Caller, require
from daemon.api.context import Context
from daemon.api.problems import ProblemError
from daemon.api.reset_lookup import find, owners
from daemon.redaction import redact_value
from schemas.api import LockBody, Role, WhoAmI
from schemas.audit import AuditEntry
from schemas.reasons import Reason
from schemas.wire import ResetId, Time

router = APIRouter(tags=["inventory"])


@router.get("/locks")
async def list_locks(context: Context, caller: Caller) -> tuple[LockBody, ...]:
    """Locks that are held or asked for, by resource and ticket: by whom, since when, and behind whom."""
    require(caller, Role.VIEWER)
    rows = await context.store.locks()
    return reset_bodies.locks(rows, await owners(context, caller, rows))


@router.get("/audit")
async def read_audit(
    context: Context,
    caller: Caller,
    environment: str | None = None,
    actor: str | None = None,
    since: Time | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> tuple[AuditEntry, ...]:
    """Who asked for what, when and why, and what came of it, newest first; refused tries, too."""
    require(caller, Role.VIEWER, environment)
    found = await context.store.audit(environment=environment, actor=actor, since=since, limit=limit)
    return tuple(entry for entry in found if caller.sees(entry.environment or "*"))


@router.get("/backups")
async def list_backups(context: Context, caller: Caller, reset: str | None = None) -> list[dict[str, Any]]:
    """Recorded backups, newest first, with the reset that took each."""
    require(caller, Role.VIEWER)
    chosen: ResetId | None = (await find(context, caller, reset)).id if reset else None
    rows = await context.store.backups(reset_id=chosen)
    shown: dict[str, str | None] = {}
    for reset_id in {str(row["reset_id"]) for row in rows}:
        taker = await context.store.find(reset_id)
        visible = taker is not None and caller.sees(taker.environment)
        shown[reset_id] = f"{taker.environment}/{taker.number}" if taker and visible else None
    return [_camel(row) | {"reset": shown[row["reset_id"]]} for row in rows if shown[row["reset_id"]]]


@router.get("/dead-letters")
async def list_dead_letters(
    context: Context, caller: Caller, limit: Annotated[int, Query(ge=1, le=500)] = 50
) -> list[Any]:
    """Records that could not be read, newest first; without their content.

    Which environment they were about is not known: they are for those who see all environments.
    """
    require(caller, Role.VIEWER)
    if not caller.sees_all:
        raise ProblemError(Reason.FORBIDDEN, f"{caller.subject} does not see all environments", hint=WHOAMI)
    return [redact_value(_camel(row)) for row in await context.store.dead_letters(limit=limit)]


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


def _camel(row: Mapping[str, Any]) -> dict[str, Any]:
    return {to_camel(name): value for name, value in row.items()}
