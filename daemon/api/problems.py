"""Turns every error of the API into a problem (RFC 9457) that shows nothing of the daemon's inside."""

from __future__ import annotations

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from daemon.ports.errors import PermanentError, PortError, TemporaryError
from daemon.redaction import redact
from schemas.api import Pointer, Problem
from schemas.reasons import TEXTS, Reason
from schemas.wire import ResetId

MEDIA_TYPE = "application/problem+json"
_log = structlog.stdlib.get_logger(__name__)

_STATUS: dict[Reason, int] = {
    Reason.MALFORMED_JSON: 400,
    Reason.UNAUTHENTICATED: 401,
    Reason.FORBIDDEN: 403,
    Reason.NOT_FOUND: 404,
    Reason.UNKNOWN_RESET: 404,
    Reason.UNKNOWN_PROTECTED: 404,
    Reason.METHOD_NOT_ALLOWED: 405,
    Reason.PRECONDITION_FAILED: 412,
    Reason.TOO_LARGE: 413,
    Reason.TOO_SLOW: 408,
    Reason.TOO_MANY_STREAMS: 429,
    Reason.SCHEMA_VIOLATION: 422,
    Reason.IDEMPOTENCY_CONFLICT: 422,
    Reason.UNKNOWN_ENVIRONMENT: 422,
    Reason.UNKNOWN_KIND: 422,
    Reason.UNKNOWN_OPTION: 422,
    Reason.UNKNOWN_SERVICE: 422,
    Reason.UNKNOWN_STEP: 422,
    Reason.MOCK_IN_PRODUCTION: 422,
    Reason.CORE_WIPE_WITHOUT_LOS_CORE: 422,
    Reason.CORE_WITHOUT_SERVICE: 422,
    Reason.INTEGRATIONS_WITHOUT_SERVICE: 422,
    Reason.OPTION_WITHOUT_SERVICE: 422,
    Reason.NOTHING_TO_DO: 422,
    Reason.INTERNAL: 500,
    Reason.UNAVAILABLE: 503,
    Reason.TOKENS_UNREADABLE: 503,
}
_BY_STATUS = {
    400: Reason.MALFORMED_JSON,
    404: Reason.NOT_FOUND,
    405: Reason.METHOD_NOT_ALLOWED,
    413: Reason.TOO_LARGE,
}


class ProblemError(Exception):
    """Ends a call of the API with a problem as its answer."""

    def __init__(
        self,
        reason: Reason,
        detail: str | None = None,
        *,
        hint: str | None = None,
        reset: ResetId | None = None,
        status: int | None = None,
        errors: tuple[Pointer, ...] = (),
    ) -> None:
        super().__init__(reason.value)
        # A reason without a status of its own says that the call conflicts with the present state.
        self.status = status or _STATUS.get(reason, 409)
        self.problem = Problem(
            type=f"/problems/{reason.value}",
            title=TEXTS[reason],
            status=self.status,
            code=reason,
            detail=redact(detail) if detail else None,
            hint=redact(hint) if hint else None,
            reset=reset,
            errors=errors,
        )


def violation(
    pointer: str,
    detail: str,
    *,
    summary: str | None = None,
    reset: ResetId | None = None,
    status: int | None = None,
) -> ProblemError:
    """Make the problem `schema-violation` for one field. `summary` is its detail for people; None: `detail` again."""
    error = Pointer(pointer=pointer, detail=detail)
    return ProblemError(
        Reason.SCHEMA_VIOLATION, summary or detail, errors=(error,), reset=reset, status=status
    )


def install(app: FastAPI) -> None:
    """Register handlers that answer every error of the application with a problem."""
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(PortError, _port_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _internal)


def respond(request: Request, error: ProblemError, headers: dict[str, str] | None = None) -> Response:
    """Build the response for a problem. Its `instance` is the path that was called."""
    problem = error.problem.model_copy(update={"instance": request.url.path})
    content = problem.model_dump(mode="json", by_alias=True, exclude_none=True)
    if not problem.errors:
        content.pop("errors")
    added = dict(headers or {})
    if error.status == 401:  # noqa: PLR2004 - RFC 9110: a 401 names its scheme
        added["WWW-Authenticate"] = 'Bearer realm="resetd"'
    return JSONResponse(content, error.status, headers=added, media_type=MEDIA_TYPE)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return respond(request, error)


async def _port_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, PortError)
    temporary = isinstance(error, TemporaryError)
    status = 503 if temporary else 502 if isinstance(error, PermanentError) else 500
    if error.reason is Reason.UNKNOWN_RESET:
        # It was pruned after the call had found it.
        status = _STATUS[error.reason]
    headers = (
        {"Retry-After": str(max(1, round(error.delay or 1)))} if isinstance(error, TemporaryError) else None
    )
    return respond(request, ProblemError(error.reason, error.detail, hint=error.hint, status=status), headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(fault["type"] == "json_invalid" for fault in found):
        return respond(request, ProblemError(Reason.MALFORMED_JSON))
    errors = tuple(
        Pointer(pointer=_pointer(fault["loc"]), detail=_message(fault["loc"], fault["msg"]))
        for fault in found
    )
    detail = "; ".join(f"{error.pointer or 'body'}: {error.detail}" for error in errors[:10])
    return respond(request, ProblemError(Reason.SCHEMA_VIOLATION, detail, errors=errors))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    reason = _BY_STATUS.get(error.status_code, Reason.INTERNAL)
    return respond(request, ProblemError(reason, status=error.status_code), dict(error.headers or {}))


async def _internal(request: Request, error: Exception) -> Response:
    await _log.aerror(
        "a call failed", path=request.url.path, method=request.method, error=type(error).__name__
    )
    return respond(request, ProblemError(Reason.INTERNAL))


def _pointer(place: tuple[str | int, ...]) -> str:
    where, *rest = place
    if where == "body":
        return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in rest)
    return f"?{rest[0]}" if where == "query" and rest else ".".join(str(part) for part in rest)


def _message(place: tuple[str | int, ...], message: str) -> str:
    if place[-1] == "requestedBy":
        return "who asks is the token's subject; leave it out"
    return message.removeprefix("Value error, ")
