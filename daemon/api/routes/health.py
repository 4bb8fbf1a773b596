"""Addresses that need no token: liveness, readiness, metrics, and what a problem means."""

from __future__ import annotations

import asyncio
import contextlib
import html
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.responses import HTMLResponse, JSONResponse, Response

from daemon.api.context import Context
from daemon.api.problems import ProblemError
from daemon.engine.high_water import BehindError
from daemon.metrics import CONTENT_TYPE
from daemon.ports.errors import PortError
from schemas.reasons import TEXTS, Reason
from schemas.resets import ResetState
from statemachines.lifecycle import TERMINAL

router = APIRouter(tags=["health"])
_NOT_OVER = tuple(state for state in ResetState if state not in TERMINAL)
_MOST_COUNTED = 1000
_PROBE_SECONDS = 3.0  # seconds: a probe's usual limit is not much more


@router.get("/livez")
@router.get("/healthz", include_in_schema=False)
async def live() -> dict[str, str]:
    """Answer 200 while the event loop runs."""
    return {"status": "ok"}


@router.get("/readyz")
async def ready(context: Context) -> JSONResponse:
    """Answer 200 when all that resets need answers. Else answer 503 and say which part does not.

    `degraded` is 200 as well: what is in flight goes on. With `configuration` acts are taken, but no new reset starts;
    with `tokens` the last tokens that could be read count for a minute, and then nobody is let in.
    """
    checks = {"state": context.store.ping, **context.ready}
    failed: dict[str, str] = {}
    for name, check in checks.items():
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                await check()
        except Exception as error:  # noqa: BLE001 - whatever it is, this part is not ready
            failed[name] = error.detail if isinstance(error, BehindError) else type(error).__name__
    if context.closing.is_set():
        failed["daemon"] = "draining"
    parts = {name: failed.get(name, "ok") for name in [*checks, *(set(failed) - set(checks))]}
    refused = context.planning.refuse_new()
    if refused is not None:
        parts["configuration"] = refused.detail
    unreadable = context.tokens.wrong()
    if unreadable is not None:
        parts["tokens"] = unreadable
    degraded = refused is not None or unreadable is not None
    status = "failed" if failed else "degraded" if degraded else "ok"
    return JSONResponse({"status": status, "checks": parts}, 503 if failed else 200)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(context: Context) -> Response:
    """Metrics in the text format of Prometheus."""
    with contextlib.suppress(PortError):  # while the database is away, the other metrics are still wanted
        found = await context.store.resets(states=_NOT_OVER, limit=_MOST_COUNTED)
        context.metrics.count_resets((reset.state for reset in found), _NOT_OVER)
        context.metrics.outbox.set(await context.store.count_unpublished())
    return Response(context.metrics.exposition(), headers={"Content-Type": CONTENT_TYPE})


@router.get("/problems/{code}", response_model=dict[str, str])
async def problem(code: str, accept: Annotated[str, Header()] = "") -> Response:
    """Explain a reason, as a page for browsers and else as JSON."""
    if code not in {reason.value for reason in Reason}:
        raise ProblemError(Reason.NOT_FOUND, "there is no such reason")
    text = TEXTS[Reason(code)]
    if "text/html" in accept:
        title = f"<title>{code}</title>"
        return HTMLResponse(
            f"<!doctype html><meta charset=utf-8>{title}<h1>{code}</h1><p>{html.escape(text)}</p>"
        )
    return JSONResponse({"code": code, "text": text})
