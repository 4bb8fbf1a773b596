"""Locks that are held or asked for."""

from __future__ import annotations

from fastapi import APIRouter

from daemon.api.authentication import Caller, require
from daemon.api.context import Context
from daemon.api.lock_bodies import lock_bodies
from schemas.api import LockBody, Role

router = APIRouter(tags=["inventory"])


@router.get("/locks")
async def list_locks(context: Context, caller: Caller) -> tuple[LockBody, ...]:
    """List locks by resource and ticket. Each says who holds it or asks for it, since when, and behind whom."""
    require(caller, Role.VIEWER)
    return await lock_bodies(context, caller, await context.store.locks())
