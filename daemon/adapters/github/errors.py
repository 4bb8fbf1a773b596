"""PyGithub's errors as those of the port."""

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
_TOO_MANY_REQUESTS = 429
_SERVER_ERRORS = range(500, 600)
_MAX_TEXT_LENGTH = 300


def translate(error: Exception, subject: str, *, secrets: tuple[str, ...]) -> PortError:
    """Make the port's error for one of PyGithub or of the network; `subject` names the repository."""
    detail = f"{subject}: {error_text(error, secrets)}"
    if not isinstance(error, GithubException):
        return TemporaryError(Reason.REPOSITORY_UNREACHABLE, detail)
    if isinstance(error, RateLimitExceededException) or error.status == _TOO_MANY_REQUESTS:
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


def error_text(error: Exception, secrets: tuple[str, ...]) -> str:
    """Return GitHub's own words, or the kind of a network error, for people and without secrets."""
    if not isinstance(error, GithubException):
        return f"GitHub does not answer ({type(error).__name__})"
    data = error.data if isinstance(error.data, dict) else {}
    errors = data.get("errors") if isinstance(data.get("errors"), list) else []
    texts = [item.get("message") for item in errors or [] if isinstance(item, dict)]
    text = "; ".join(str(text) for text in [data.get("message"), *texts] if text) or type(error).__name__
    for secret in secrets:
        text = text.replace(secret, "***")
    return f"GitHub says {' '.join(text.split())[:_MAX_TEXT_LENGTH]!r} ({error.status})"


def _delay(error: GithubException) -> float | None:
    """Return the seconds that GitHub asks to wait, if it does."""
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    try:
        if "retry-after" in headers:
            return float(headers["retry-after"])
        if headers.get("x-ratelimit-remaining") == "0":
            return max(float(headers["x-ratelimit-reset"]) - time.time(), 1.0)
    except (KeyError, ValueError):
        pass
    return None
