"""Backups that are recorded."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from daemon.api.authentication import Caller, require
from daemon.api.camel_case import camel_case
from daemon.api.context import Context
from daemon.api.reset_lookup import find
from schemas.api import Role
from schemas.wire import ResetId

router = APIRouter(tags=["inventory"])


@router.get("/backups")
async def list_backups(context: Context, caller: Caller, reset: str | None = None) -> list[dict[str, Any]]:
    """List recorded backups, newest first. Each names the reset that took it."""
    require(caller, Role.VIEWER)
    chosen: ResetId | None = (await find(context, caller, reset)).id if reset else None
    rows = await context.store.backups(reset_id=chosen)
    shown: dict[str, str | None] = {}
    for reset_id in {str(row["reset_id"]) for row in rows}:
        taker = await context.store.find(reset_id)
        visible = taker is not None and caller.sees(taker.environment)
        shown[reset_id] = f"{taker.environment}/{taker.number}" if taker and visible else None
    return [camel_case(row) | {"reset": shown[row["reset_id"]]} for row in rows if shown[row["reset_id"]]]
