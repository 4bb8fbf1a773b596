"""The name by which the database sessions of an attempt are recognised, where its tools set one."""

from __future__ import annotations

from hashlib import sha256

from schemas.wire import AttemptId

_PREFIX = "resetd:"


def session_name(attempt: AttemptId) -> str:
    """Return the `application_name` of the sessions that libpq and node-postgres open for the attempt.

    It has 47 bytes; PostgreSQL keeps 63.
    """
    return f"{_PREFIX}{sha256(attempt.encode()).hexdigest()[:40]}"


def of_any_attempt(application_name: str) -> bool:
    """Whether `session_name` may have made the name."""
    return application_name.startswith(_PREFIX)
