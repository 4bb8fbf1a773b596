"""Limits the size of request bodies, also of chunked ones, which declare no size."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daemon.api.problems import ProblemError, respond
from schemas.reasons import Reason

GREATEST_BODY = 256 * 1024
"""Bytes."""


class BodyLimit:
    """ASGI middleware that answers 413 as soon as it knows that a body is too large."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the whole body and pass the request on, or answer 413."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not declared.isdigit() or int(declared) > GREATEST_BODY:
            await self._refuse(scope, receive, send)
            return
        # A chunked body declares no size. So bodies are read here, and the application gets them in one piece.
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > GREATEST_BODY:
                await self._refuse(scope, receive, send)
                return
        handed = False

        async def again() -> Message:
            nonlocal handed
            if handed:
                return await receive()
            handed = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, again, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = ProblemError(Reason.TOO_LARGE, f"at most {GREATEST_BODY} bytes are read")
        await respond(Request(scope), error, {"Connection": "close"})(scope, receive, send)
