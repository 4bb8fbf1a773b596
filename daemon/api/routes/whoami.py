"""Who calls."""

from __future__ import annotations

from fastapi import APIRouter

from daemon.api.authentication import Caller
from schemas.api import WhoAmI

router = APIRouter(tags=["inventory"])


@router.get("/whoami")
async def who_am_i(caller: Caller) -> WhoAmI:
    """Show the token of this call: whose it is, and what it allows."""
    token = caller.token
    return WhoAmI(
        subject=token.subject,
        name=token.name,
        roles=token.roles,
        environments=token.environments,
        expires_at=token.expires_at,
    )
