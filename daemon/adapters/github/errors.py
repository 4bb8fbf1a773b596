"""PyGithub's errors as those of the port."""

from __future__ import annotations

import math
import re
import time
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from github import (
    BadAttributeException,
    GithubException,
    RateLimitExceededException,
    UnknownObjectException,
)

from daemon.adapters.github.connection import RedirectedError
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from daemon.redaction import redact
from schemas.reasons import Reason

_CONFLICT = 409
_TOO_MANY_REQUESTS = 429
_UNAUTHORIZED = 401
_FORBIDDEN = 403
_SERVER_ERRORS = range(500, 600)
_UNTYPED = "UNTYPED"
_PASSING = {"SERVICE_UNAVAILABLE", "INTERNAL", "INTERNAL_ERROR", "LOADING", "TIMEOUT", "STALE_DATA", _UNTYPED}
"""Types of GraphQL errors that pass. After STALE_DATA the refs are read again, which shows who moved them."""
_LACKING = {"FORBIDDEN", "INSUFFICIENT_SCOPES"}
_LIMITED = {"RATE_LIMITED", "RATE_LIMIT", "RATE_LIMIT_EXCEEDED"}
_LIMIT_TEXTS = re.compile(r"secondary rate limit|rate limit exceeded|abuse detection", re.IGNORECASE)
_MAX_DELAY_SECONDS = 3600.0
"""GitHub's window of limits is an hour."""
_MAX_TEXT_LENGTH = 300
_NO_ANSWER = "Nothing, or look whether RESETD_GITHUB_API_URL can be reached from here; it is tried again."
_RENAMED = (
    "Somebody renamed it. Look who uses it now, and name the right one in the catalog's `repositories`."
)
_CERTIFICATES = "Name the file of your authority's certificates in REQUESTS_CA_BUNDLE; it is read again."
_NO_GITHUB = "Does RESETD_GITHUB_API_URL lead to GitHub's API itself, and to no page of a proxy?"


def translate(error: Exception, subject: str, *, secrets: tuple[str, ...]) -> PortError:
    """Make the port's error for whatever a client raised; `subject` names the repository.

    The type of a GraphQL error counts before the status, and the status before the text.
    """
    detail = f"{subject}: {error_text(error, secrets)}"
    if isinstance(error, requests.exceptions.SSLError):
        return TemporaryError(Reason.REPOSITORY_UNREACHABLE, detail, hint=_CERTIFICATES)
    if isinstance(error, requests.RequestException | OSError):
        hint = _CERTIFICATES if "CA certificate" in str(error) else _NO_ANSWER
        return TemporaryError(Reason.REPOSITORY_UNREACHABLE, detail, hint=hint)
    if isinstance(error, RedirectedError) and error.leads_to_a_repository:
        return PermanentError(Reason.REPOSITORY_MISMATCH, detail, hint=_RENAMED)
    if not isinstance(error, GithubException) or isinstance(error, BadAttributeException | RedirectedError):
        return PermanentError(Reason.REPOSITORY_UNIDENTIFIED, detail, hint=_NO_GITHUB)
    kinds = _graphql_kinds(error)
    if is_limit(error):
        return TemporaryError(
            Reason.REPOSITORY_UNREACHABLE,
            detail,
            hint="GitHub's rate limit is used up; it is tried again when GitHub allows.",
            delay=delay_of(error),
        )
    if kinds & _PASSING or (not kinds and error.status in _SERVER_ERRORS):
        return TemporaryError(Reason.REPOSITORY_UNREACHABLE, detail, hint=_NO_ANSWER)
    if error.status == _UNAUTHORIZED:
        return TemporaryError(
            Reason.REPOSITORY_UNREACHABLE,
            detail,
            hint="Check RESETD_GITHUB_TOKEN (its file is read again), or the GITHUB_APP_* settings.",
        )
    if kinds & _LACKING or (not kinds and error.status == _FORBIDDEN and _says(error)):
        return PermanentError(
            Reason.REPOSITORY_FORBIDDEN,
            detail,
            hint="Give the account the right that GitHub names (contents: write), then resume.",
        )
    missing = isinstance(error, UnknownObjectException) or error.status == _CONFLICT
    if "NOT_FOUND" in kinds or (not kinds and missing):
        return PermanentError(
            Reason.REPOSITORY_UNIDENTIFIED,
            detail,
            hint="Does it exist, does it have a commit, and may the token see it?",
        )
    said = kinds or _says(error)
    hint = "Look what GitHub names, mend it or ask for the reset without git." if said else _NO_GITHUB
    return PermanentError(Reason.REPOSITORY_REFUSED, detail, hint=hint)


def is_limit(error: GithubException) -> bool:
    """Whether GitHub only asks to come later: a rate limit, primary or secondary, by type, status, headers or text."""
    kinds = _graphql_kinds(error)
    if kinds & _LIMITED:
        return True
    if kinds - {"FORBIDDEN", _UNTYPED}:
        return False
    if isinstance(error, RateLimitExceededException) or error.status == _TOO_MANY_REQUESTS:
        return True
    if error.status == _FORBIDDEN or kinds:
        return _asked_to_wait(error) or bool(_LIMIT_TEXTS.search(_text(error)))
    return False


def error_text(error: Exception, secrets: tuple[str, ...]) -> str:
    """Return GitHub's own words, or the kind of a network error, for people and without secrets."""
    if isinstance(error, requests.RequestException | OSError):
        return f"GitHub does not answer ({type(error).__name__})"
    if not isinstance(error, GithubException) or isinstance(error, BadAttributeException):
        return f"what answers is not understood as GitHub's ({type(error).__name__})"
    if isinstance(error, RedirectedError):
        return f"GitHub leads to {error.location or 'elsewhere'} ({error.status}), where nothing is asked for"
    text = _text(error) or type(error).__name__
    for secret in secrets:
        text = text.replace(secret, "***")
    return f"GitHub says {redact(' '.join(text.split()))[:_MAX_TEXT_LENGTH]!r} ({error.status})"


def delay_of(error: GithubException) -> float | None:
    """Return the seconds that GitHub asks to wait, an hour at most; None where it does not say."""
    headers = _headers(error)
    after = headers.get("retry-after", "")
    seconds = _number(after)
    if seconds is None and after:
        try:
            seconds = parsedate_to_datetime(after).timestamp() - time.time()
        except (ValueError, OverflowError):
            seconds = None
    if seconds is None and (headers.get("x-ratelimit-remaining", "0") == "0"):
        reset = _number(headers.get("x-ratelimit-reset", ""))
        seconds = None if reset is None else reset - time.time()
    return None if seconds is None else min(max(seconds, 1.0), _MAX_DELAY_SECONDS)


def _graphql_kinds(error: GithubException) -> set[str]:
    """The types of the errors that GraphQL answers with, mostly in a 200; `_UNTYPED` for GitHub's own mishap.

    PyGithub makes an error with the status 400 of them.
    """
    listed = error.data.get("errors") if isinstance(error.data, dict) else None
    if not isinstance(listed, list) or error.data.get("message"):
        return set()
    return {_kind(item) for item in listed if isinstance(item, dict)}


def _kind(item: dict[str, Any]) -> str:
    """A question that is wrong has no type either, but `extensions`: an older server does not know a field."""
    if item.get("type"):
        return str(item["type"]).upper()
    return "WRONG_QUESTION" if item.get("extensions") else _UNTYPED


def _says(error: GithubException) -> bool:
    """Whether the error has a message, as GitHub's have. A proxy's page has none."""
    return isinstance(error.data, dict) and bool(error.data.get("message"))


def _text(error: GithubException) -> str:
    data = error.data if isinstance(error.data, dict) else {}
    listed = data.get("errors")
    errors = listed if isinstance(listed, list) else []
    texts = [item.get("message") for item in errors if isinstance(item, dict)]
    return "; ".join(str(text) for text in [data.get("message"), *texts] if text)


def _asked_to_wait(error: GithubException) -> bool:
    headers = _headers(error)
    return "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"


def _headers(error: GithubException) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in (error.headers or {}).items()}


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
