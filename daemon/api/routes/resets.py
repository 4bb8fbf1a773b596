"""Resets: ask for one, list them, read one."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from daemon.api import reset_bodies
from daemon.api.authentication import Caller, require
from daemon.api.context import ApiContext, Context
from daemon.api.problems import ProblemError, violation
from daemon.api.refusal_audit import audit_refused_request
from daemon.api.reset_lookup import RESET_PATH, find
from daemon.api.reset_request import reset_requested
from schemas.api import Page, ResetBody, Role
from schemas.intake import NewRequest
from schemas.reasons import Reason
from schemas.requests import ResetWanted
from schemas.resets import Channel, Reset, ResetState
from schemas.wire import TRACE_PARENT
from statemachines.intake.content_hash import content_hash

router = APIRouter(tags=["resets"])
_LONGEST_PAGE = 200
_ROUNDS = 20  # at most so many pages are searched for resets that the token may see


@router.post("/resets", status_code=202)
async def request_reset(
    wanted: ResetWanted,
    context: Context,
    caller: Caller,
    response: Response,
    idempotency_key: Annotated[str | None, Header()] = None,
    traceparent: Annotated[str | None, Header()] = None,
) -> ResetBody:
    """Ask for a reset, in the name of the token's subject."""
    async with audit_refused_request(context, caller, wanted.environment, wanted.reason):
        require(caller, Role.REQUESTER, wanted.environment)
        request = reset_requested(wanted, caller.subject, idempotency_key)
    await context.refuse_restored_state()
    admission = await context.store.admit(
        NewRequest(
            id=context.new_id(),
            request=request,
            channel=Channel.HTTP,
            source=None,
            event_id=None,
            content_hash=content_hash(request),
            trace_parent=traceparent if traceparent and TRACE_PARENT.fullmatch(traceparent) else None,
        ),
        now=context.clock.now(),
        limit_waiting=context.catalog.queue.waiting,
    )
    reset = admission.reset
    if admission.conflict:
        raise ProblemError(Reason.IDEMPOTENCY_CONFLICT, reset.detail, reset=reset.id)
    if admission.created and reset.state is ResetState.REJECTED and reset.cause is not None:
        raise ProblemError(reset.cause, reset.detail, hint=reset.hint, reset=reset.id)
    response.headers["Location"] = f"/api/v1/resets/{reset.id}"
    return await _body(context, reset, response)


@router.get("/resets")
async def list_resets(
    context: Context,
    caller: Caller,
    environment: str | None = None,
    state: Annotated[list[ResetState] | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=_LONGEST_PAGE)] = 50,
    cursor: str | None = None,
) -> Page:
    """List resets, newest first."""
    if environment is not None:
        require(caller, Role.VIEWER, environment)
    before = _place_of(cursor) if cursor else None
    found: list[Reset] = []
    more = True
    for _ in range(_ROUNDS):
        rows = await context.store.resets(
            environment=environment, states=state, limit=limit + 1, before=before
        )
        for row in rows:
            if len(found) == limit:
                break
            before = (row.created_at.isoformat(), row.id)
            if caller.sees(row.environment):
                found.append(row)
        else:
            more = len(rows) > limit
            if more and len(found) < limit:
                continue
        break
    last = _cursor_behind(before) if more and before else None
    return Page(items=tuple(reset_bodies.summary(row) for row in found), next_cursor=last)


@router.get(RESET_PATH)
async def read_reset(reference: str, context: Context, caller: Caller, response: Response) -> ResetBody:
    """Read one reset with its steps and attempts."""
    return await _body(context, await find(context, caller, reference), response)


async def _body(context: ApiContext, reset: Reset, response: Response) -> ResetBody:
    response.headers["ETag"] = reset_bodies.etag(reset)
    return reset_bodies.body(
        reset,
        await context.store.steps(reset.id),
        await context.store.attempts(reset.id),
        len(await context.store.unread_acts(reset.id, reset.acts_seen)),
    )


def _cursor_behind(place: tuple[str, str]) -> str:
    return base64.urlsafe_b64encode("|".join(place).encode()).decode().rstrip("=")


def _place_of(cursor: str) -> tuple[str, str]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        text = ""
    created_at, bar, reset_id = text.partition("|")
    if not (created_at and bar and reset_id):
        detail = "is none that this API gave; start without one"
        raise violation("?cursor", detail, summary="the cursor can't be read")
    return created_at, reset_id
