"""PyGithub's errors as the port's."""

from __future__ import annotations

import time

from github import (
    BadCredentialsException,
    GithubException,
    RateLimitExceededException,
    UnknownObjectException,
)

from daemon.ports.errors import PermanentError, PortError, TemporaryError
from schemas.reasons import Reason

_CONFLICT = 409
_TOO_MANY = 429
_SERVER_ERRORS = range(500, 600)
_LONGEST_TEXT = 300


def translate(error: Exception, subject: str, *, secrets: tuple[str, ...]) -> PortError:
    """The port's error for one of PyGithub or of the network; `subject` names the repository."""
    detail = f"{subject}: {said(error, secrets)}"
    if not isinstance(error, GithubException):
        return TemporaryError(Reason.REPOSITORY_UNREACHABLE, detail)
    if isinstance(error, RateLimitExceededException) or error.status == _TOO_MANY:
        return TemporaryError(
            Reason.REPOSITORY_UNREACHABLE,
            detail,
            hint="GitHub's rate limit is used up; it is tried again when GitHub allows.",
            delay=_delay(error),
        )
    if error.status in _SERVER_ERRORS:
        return TemporaryError(Reason.REPOSITORY_UNREACHABLE, detail)
    if isinstance(error, BadCredentialsException):
        return PermanentError(
            Reason.REPOSITORY_REFUSED,
            detail,
            hint="Check RESETD_GITHUB_TOKEN, or the GITHUB_APP_* settings.",
        )
    if isinstance(error, UnknownObjectException) or error.status == _CONFLICT:
        return PermanentError(
            Reason.REPOSITORY_UNIDENTIFIED,
            detail,
            hint="Does it exist, does it have a commit, and may the token see it?",
        )
    return PermanentError(Reason.REPOSITORY_REFUSED, detail)


def said(error: Exception, secrets: tuple[str, ...]) -> str:
    """What GitHub said, or the network error's kind, for people; without secrets."""
    if not isinstance(error, GithubException):
        return f"GitHub does not answer ({type(error).__name__})"
    data = error.data if isinstance(error.data, dict) else {}
    errors = data.get("errors") if isinstance(data.get("errors"), list) else []
    texts = [one.get("message") for one in errors or [] if isinstance(one, dict)]
    text = "; ".join(str(one) for one in [data.get("message"), *texts] if one) or type(error).__name__
    for secret in secrets:
        text = text.replace(secret, "***")
    return f"GitHub says {' '.join(text.split())[:_LONGEST_TEXT]!r} ({error.status})"


def _delay(error: GithubException) -> float | None:
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    try:
        if "retry-after" in headers:
            return float(headers["retry-after"])
        if headers.get("x-ratelimit-remaining") == "0":
            return max(float(headers["x-ratelimit-reset"]) - time.time(), 1.0)
    except (KeyError, ValueError):
        pass
    return None
