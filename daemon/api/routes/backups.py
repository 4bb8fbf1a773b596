"""Backups that are recorded: what they hold, their proof again, and which of them may go."""

from __future__ import annotations

import json
from collections.abc import Mapping
from time import monotonic
from typing import Any

from fastapi import APIRouter

from daemon.api.authentication import Caller, require
from daemon.api.camel_case import camel_case
from daemon.api.context import ApiContext, Context
from daemon.api.problems import ProblemError
from daemon.api.reset_lookup import find
from daemon.ports.errors import PermanentError
from schemas.api import PruneBody, Role
from schemas.reasons import Reason
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


@router.get("/backups/{backup}")
async def show_backup(backup: int, context: Context, caller: Caller) -> dict[str, Any]:
    """Show one, with its manifest: null where the store has none any more."""
    row, environment = await _found(context, caller, backup)
    require(caller, Role.VIEWER, environment)
    document = await context.keeper.manifest(row["path"])
    return camel_case(row) | {"environment": environment, "manifest": _parsed(document)}


@router.post("/backups/{backup}/verify")
async def verify_backup(backup: int, context: Context, caller: Caller) -> dict[str, Any]:
    """Read a dump through once more, and compare size, SHA-256 and rows with what its manifest says.

    Needs the role `operator` in its environment. Nothing is changed. A dump that is not what it was is 409
    `backup-unproven`.
    """
    row, environment = await _found(context, caller, backup)
    require(caller, Role.OPERATOR, environment)
    began = monotonic()
    try:
        proven = await context.keeper.verify(row)
    except PermanentError as error:
        # The dump is at fault and not what the daemon needs to answer.
        raise ProblemError(error.reason, error.detail, hint=error.hint, status=409) from error
    return {
        "id": backup,
        "path": proven.path,
        "proven": proven.proven,
        "sizeBytes": proven.size_bytes,
        "sha256": proven.sha256,
        "verifiedAt": context.clock.now(),
        "seconds": round(monotonic() - began, 3),
    }


@router.post("/backups/prune")
async def prune_backups(sent: PruneBody, context: Context, caller: Caller) -> list[dict[str, Any]]:
    """Remove now what the retention lets go, and name it; with `dryRun` nothing is removed. Needs the role `admin`."""
    require(caller, Role.ADMIN)
    going = await context.keeper.prune(dry_run=sent.dry_run)
    return [
        {
            "path": dump.path,
            "resource": dump.resource,
            "resetId": dump.reset_id,
            "takenAt": dump.taken_at,
            "removed": not sent.dry_run,
        }
        for dump in going
    ]


async def _found(context: ApiContext, caller: Caller, backup: int) -> tuple[Mapping[str, Any], str]:
    """The recorded backup, and the environment of the reset that took it."""
    for row in await context.store.backups():
        if row["id"] == backup:
            taker = await context.store.find(row["reset_id"])
            if taker is not None and caller.sees(taker.environment):
                return row, taker.environment
    raise ProblemError(
        Reason.NOT_FOUND, f"no backup {backup}", hint="`resetd backups list -o wide` names them."
    )


def _parsed(document: bytes | None) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(document) if document is not None else None
    except ValueError:
        return None
