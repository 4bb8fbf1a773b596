"""Finds out who calls, and checks their rights. Every address below `/api` takes a `Caller`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from daemon.api.context import Context
from daemon.api.problems import ProblemError
from daemon.api.tokens import Caller as _Caller
from schemas.api import Role
from schemas.reasons import Reason

WHOAMI = "`resetd auth whoami` shows the token's roles and environments."
"""Hint of every answer that refuses a call because the token lacks a right."""

_bearer = HTTPBearer(auto_error=False, description="A token of the file RESETD_API_TOKENS")


async def _caller(
    context: Context, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
) -> _Caller:
    if credentials is None:
        raise ProblemError(
            Reason.UNAUTHENTICATED,
            "no token was sent",
            hint="Send `Authorization: Bearer TOKEN`; the command line takes it from RESETD_TOKEN.",
        )
    caller = context.tokens.caller(credentials.credentials, now=context.clock.now())
    if caller is None:
        raise ProblemError(Reason.UNAUTHENTICATED, "the token is unknown or has expired")
    return caller


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
