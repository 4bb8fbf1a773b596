"""Compares the environment that is reset with what the markers in a database say."""

from __future__ import annotations

from daemon.ports.databases import Identity
from daemon.ports.errors import PermanentError
from schemas.reasons import Reason


def check_marker(identity: Identity, environment: str) -> None:
    """Check that a database which is marked is marked as the environment's. One without a marker passes.

    Raises:
        PermanentError: `database-mismatch`.
    """
    if identity.marked and environment not in identity.marked:
        raise PermanentError(
            Reason.DATABASE_MISMATCH,
            f"the marker in {identity.name} says that it is the database of {', '.join(identity.marked)}, "
            f"not of {environment}",
            hint="Correct the URL variable of the service, or the table `identity` in the schema `resetd` there.",
        )
