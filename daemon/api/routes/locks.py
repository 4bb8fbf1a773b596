"""Locks that are held or asked for."""

from __future__ import annotations

from fastapi import APIRouter

from daemon.api import reset_bodies
from daemon.api.authentication import Caller, require
from daemon.api.context import Context
from daemon.api.reset_lookup import owners
from schemas.api import LockBody, Role

router = APIRouter(tags=["inventory"])


@router.get("/locks")
async def list_locks(context: Context, caller: Caller) -> tuple[LockBody, ...]:
    """Locks that are held or asked for, by resource and ticket: by whom, since when, and behind whom."""
    require(caller, Role.VIEWER)
    rows = await context.store.locks()
    return reset_bodies.locks(rows, await owners(context, caller, rows))
