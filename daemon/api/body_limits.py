"""Limits the size of request bodies, also of chunked ones, which declare no size, and the time in which they come."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daemon.api.problems import ProblemError, respond
from schemas.reasons import Reason

GREATEST_BODY = 256 * 1024
"""Bytes."""
BODY_SECONDS = 30.0
"""Seconds in which a whole body has to come."""


class _TooLargeError(Exception):
    """The body has more bytes than are read."""


class BodyLimit:
    """ASGI middleware that answers 413 as soon as it knows that a body is too large, and 408 where it does not come."""

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
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await self._read(receive)
        except TimeoutError:
            detail = f"it has to come within {BODY_SECONDS:g} s"
            await self._refuse(scope, receive, send, ProblemError(Reason.TOO_SLOW, detail))
            return
        except _TooLargeError:
            await self._refuse(scope, receive, send)
            return
        if body is None:
            return
        handed = False

        async def again() -> Message:
            nonlocal handed
            if handed:
                return await receive()
            handed = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, again, send)

    async def _read(self, receive: Receive) -> bytes | None:
        """Read the whole body; None where the client went away.

        Raises:
            _TooLargeError: it is too large.
        """
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return None
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > GREATEST_BODY:
                raise _TooLargeError
        return bytes(body)

    async def _refuse(
        self, scope: Scope, receive: Receive, send: Send, error: ProblemError | None = None
    ) -> None:
        error = error or ProblemError(Reason.TOO_LARGE, f"at most {GREATEST_BODY} bytes are read")
        await respond(Request(scope), error, {"Connection": "close"})(scope, receive, send)
