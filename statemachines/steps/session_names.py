"""The name by which the database sessions of an attempt are recognised, where its tools set one."""

from __future__ import annotations

from hashlib import sha256

from schemas.wire import AttemptId


def session_name(attempt: AttemptId) -> str:
    """Return the `application_name` of the sessions that libpq and node-postgres open for the attempt.

    It has 47 bytes; PostgreSQL keeps 63.
    """
    return f"resetd:{sha256(attempt.encode()).hexdigest()[:40]}"
