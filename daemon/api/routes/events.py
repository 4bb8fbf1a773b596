"""The history of a reset, as a list or as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response, StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from daemon.api.authentication import Caller
from daemon.api.context import ApiContext, Context
from daemon.api.problems import violation
from daemon.api.reset_lookup import RESET_PATH, find
from schemas.resets import HistoryEntry
from schemas.wire import ResetId

router = APIRouter(tags=["resets"])
EVENT_STREAM = "text/event-stream"
_HISTORY_POLL_SECONDS = 0.3  # seconds between looks at the store
_KEEP_ALIVE = 15.0  # seconds of silence after which proxies hear that somebody is there
_LARGEST = 2**31 - 1  # of a sequence in the databases' columns


@router.get(
    f"{RESET_PATH}/events",
    response_model=list[HistoryEntry],
    responses={200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}}}}},
)
async def read_events(
    reference: str,
    context: Context,
    caller: Caller,
    http: Request,
    after: Annotated[int, Query(ge=0, le=_LARGEST)] = 0,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response | tuple[HistoryEntry, ...]:
    """The history, by sequence. As `text/event-stream` it goes on until the client disconnects."""
    reset = await find(context, caller, reference)
    seen = _sequence(last_event_id) if last_event_id else after
    if EVENT_STREAM in http.headers.get("accept", ""):
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        pieces = context.streams.stream(
            caller.subject, _events(context, reset.id, seen), lambda: context.knows(caller)
        )
        return StreamingResponse(pieces, media_type=EVENT_STREAM, headers=headers)
    return await context.store.history(reset.id, after=seen)


def _sequence(last_event_id: str) -> int:
    """Read the header that an EventSource sends by itself when it connects again."""
    if len(last_event_id) < len(str(_LARGEST)) and last_event_id.isdecimal():
        return int(last_event_id)
    raise violation("Last-Event-ID", "is no number of an event")


async def _events(context: ApiContext, reset_id: ResetId, seen: int) -> AsyncIterator[bytes]:
    silence = 0.0
    yield KEEPALIVE_COMMENT
    while not context.closing.is_set():
        for entry in await context.store.history(reset_id, after=seen):
            seen, silence = entry.sequence, 0.0
            event = entry.type.removeprefix("com.fuse.environment.reset.").removesuffix(".v1")
            text = entry.model_dump_json(by_alias=True)
            yield format_sse_event(data_str=text, event=event, id=str(entry.sequence))
        yield b""
        await context.clock.sleep(_HISTORY_POLL_SECONDS)
        silence += _HISTORY_POLL_SECONDS
        if silence >= _KEEP_ALIVE:
            silence = 0.0
            yield KEEPALIVE_COMMENT
