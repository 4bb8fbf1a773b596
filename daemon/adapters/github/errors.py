"""PyGithub's errors as those of the port."""

from __future__ import annotations

import time

import requests
from github import (
    BadAttributeException,
    BadCredentialsException,
    GithubException,
    RateLimitExceededException,
    UnknownObjectException,
)

from daemon.ports.errors import PermanentError, PortError, TemporaryError
from schemas.reasons import Reason

_CONFLICT = 409
_TOO_MANY_REQUESTS = 429
_FORBIDDEN = 403
_SERVER_ERRORS = range(500, 600)
_PASSING = {"SERVICE_UNAVAILABLE", "INTERNAL", "LOADING", "TIMEOUT", "STALE_DATA"}
"""Types of GraphQL errors that pass. After STALE_DATA the refs are read again, which shows who moved them."""
_LACKING = {"FORBIDDEN", "INSUFFICIENT_SCOPES"}
_MAX_TEXT_LENGTH = 300
_NO_GITHUB = "Does RESETD_GITHUB_API_URL lead to GitHub's API itself, and to no page of a proxy?"


def translate(error: Exception, subject: str, *, secrets: tuple[str, ...]) -> PortError:
    """Make the port's error for one of PyGithub or of the network; `subject` names the repository."""
    detail = f"{subject}: {error_text(error, secrets)}"
    if isinstance(error, requests.RequestException | OSError):
        return TemporaryError(Reason.REPOSITORY_UNREACHABLE, detail)
    if not isinstance(error, GithubException) or isinstance(error, BadAttributeException):
        return PermanentError(
            Reason.REPOSITORY_UNIDENTIFIED,
            detail,
            hint=_NO_GITHUB,
        )
    kinds = _graphql_kinds(error)
    delay = _delay(error)
    limited = isinstance(error, RateLimitExceededException) or error.status == _TOO_MANY_REQUESTS
    if limited or "RATE_LIMITED" in kinds or (error.status == _FORBIDDEN and delay is not None):
        return TemporaryError(
            Reason.REPOSITORY_UNREACHABLE,
            detail,
            hint="GitHub's rate limit is used up; it is tried again when GitHub allows.",
            delay=delay,
        )
    if error.status in _SERVER_ERRORS or kinds & _PASSING:
        return TemporaryError(Reason.REPOSITORY_UNREACHABLE, detail)
    if isinstance(error, BadCredentialsException):
        return PermanentError(
            Reason.REPOSITORY_REFUSED,
            detail,
            hint="Check RESETD_GITHUB_TOKEN, or the GITHUB_APP_* settings.",
        )
    if kinds & _LACKING:
        return PermanentError(
            Reason.REPOSITORY_REFUSED,
            detail,
            hint="Give the account the right that GitHub names (contents: write), then resume.",
        )
    if isinstance(error, UnknownObjectException) or error.status == _CONFLICT:
        return PermanentError(
            Reason.REPOSITORY_UNIDENTIFIED,
            detail,
            hint="Does it exist, does it have a commit, and may the token see it?",
        )
    hint = None if isinstance(error.data, dict) and error.data.get("message") else _NO_GITHUB
    return PermanentError(Reason.REPOSITORY_REFUSED, detail, hint=hint)


def error_text(error: Exception, secrets: tuple[str, ...]) -> str:
    """Return GitHub's own words, or the kind of a network error, for people and without secrets."""
    if isinstance(error, requests.RequestException | OSError):
        return f"GitHub does not answer ({type(error).__name__})"
    if not isinstance(error, GithubException) or isinstance(error, BadAttributeException):
        return f"what answers is not understood as GitHub's ({type(error).__name__})"
    data = error.data if isinstance(error.data, dict) else {}
    errors = data.get("errors") if isinstance(data.get("errors"), list) else []
    texts = [item.get("message") for item in errors or [] if isinstance(item, dict)]
    text = "; ".join(str(text) for text in [data.get("message"), *texts] if text) or type(error).__name__
    for secret in secrets:
        text = text.replace(secret, "***")
    return f"GitHub says {' '.join(text.split())[:_MAX_TEXT_LENGTH]!r} ({error.status})"


def _graphql_kinds(error: GithubException) -> set[str]:
    """The types of the errors that GraphQL answers with, mostly in a 200; `INTERNAL` for one without a type.

    PyGithub makes an error with the status 400 of them.
    """
    listed = error.data.get("errors") if isinstance(error.data, dict) else None
    if not isinstance(listed, list) or error.data.get("message"):
        return set()
    return {str(item.get("type") or "INTERNAL") for item in listed if isinstance(item, dict)}


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
