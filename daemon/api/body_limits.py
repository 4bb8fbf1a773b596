"""Bodies have a greatest size, whatever their headers say."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daemon.api.problems import ProblemError, respond
from schemas.reasons import Reason

GREATEST_BODY = 256 * 1024


class BodyLimit:
    """ASGI middleware: answers 413 as soon as a body is known to be too large."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is small enough."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not declared.isdigit() or int(declared) > GREATEST_BODY:
            await self._refuse(scope, receive, send)
            return
        # Chunked bodies say nothing of their size: they are read here, and handed on whole.
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
