"""How the database sessions of an attempt are told from others, where its tools let them be told."""

from __future__ import annotations

from hashlib import sha256

from schemas.wire import AttemptId


def session_name(attempt: AttemptId) -> str:
    """The `application_name` of sessions that libpq and node-postgres open for it; 47 of PostgreSQL's 63 bytes."""
    return f"resetd:{sha256(attempt.encode()).hexdigest()[:40]}"
