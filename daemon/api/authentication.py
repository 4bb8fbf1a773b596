"""Finds out who calls, and checks their rights. Every address below `/api` takes a `Caller`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from daemon.api.context import ApiContext, Context
from daemon.api.problems import ProblemError, respond
from daemon.api.token_file import TokensUnreadableError
from daemon.api.tokens import Caller as _Caller
from schemas.api import Role
from schemas.reasons import Reason

WHOAMI = "`resetd auth whoami` shows the token's roles and environments."
"""Hint of every answer that refuses a call because the token lacks a right."""

_bearer = HTTPBearer(auto_error=False, description="A token of the file RESETD_API_TOKENS")


async def _caller(
    context: Context, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
) -> _Caller:
    return _known(context, credentials.credentials if credentials else "")


def _known(context: ApiContext, token: str) -> _Caller:
    """The caller of a token.

    Raises:
        ProblemError: `unauthenticated`, `tokens-unreadable`.
    """
    if not token:
        raise ProblemError(
            Reason.UNAUTHENTICATED,
            "no token was sent",
            hint="Send `Authorization: Bearer TOKEN`; the command line takes it from RESETD_TOKEN.",
        )
    try:
        caller = context.tokens.caller(token, now=context.clock.now())
    except TokensUnreadableError as error:
        hint = "Mend the file; it is read again with the next call."
        raise ProblemError(Reason.TOKENS_UNREADABLE, str(error), hint=hint) from None
    if caller is None:
        raise ProblemError(Reason.UNAUTHENTICATED, "the token is unknown or has expired")
    return caller


class TokenBeforeBody:
    """ASGI middleware that answers 401 below `/api` before anything of the body is read."""

    def __init__(self, app: ASGIApp, context: ApiContext) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401 and close the connection."""
        if scope["type"] == "http" and scope["path"].startswith("/api/"):
            header = Headers(scope=scope).get("authorization", "")
            scheme, token = get_authorization_scheme_param(header)
            try:
                _known(self._context, token if scheme.lower() == "bearer" else "")
            except ProblemError as error:
                await respond(Request(scope), error, {"Connection": "close"})(scope, receive, send)
                return
        await self._app(scope, receive, send)


Caller = Annotated[_Caller, Depends(_caller)]


def require(caller: _Caller, role: Role, environment: str | None = None) -> None:
    """Check that the caller has the role: in `environment`, or in any where that is None.

    Raises:
        ProblemError: `forbidden`: the token lacks the role, or is not for the environment.
    """
    if not caller.may(role, environment):
        where = f" in {environment}" if environment else ""
        raise ProblemError(
            Reason.FORBIDDEN,
            f"{caller.subject} has not the role {role.value}{where}",
            hint=WHOAMI,
        )
