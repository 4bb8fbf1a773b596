"""Errors of the database drivers as the two families that the engine knows, without addresses or passwords."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from daemon.ports.errors import PermanentError, TemporaryError
from schemas.reasons import Reason

_OF_THE_VALUES = (DataError, IntegrityError, ProgrammingError)
"""What the values of a statement brought about (PEP 249; the last one where the driver can't even send them)."""
_WRONG_TABLES = "42"
"""PostgreSQL's class of errors for tables, columns and rights that are not there."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise TemporaryError for a database that does not answer, PermanentError for one without our tables.

    What the database has against the values themselves comes out as it is.
    """
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise _family(error) from error
    except sqlite3.OperationalError as error:
        raise TemporaryError(Reason.UNAVAILABLE, "the state database does not answer") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise TemporaryError(
                Reason.UNAVAILABLE, f"the state database went away ({_name(error)})"
            ) from error
        if getattr(error.orig, "sqlstate", None) == "42P01":
            raise _no_tables() from error
        if (getattr(error.orig, "sqlstate", None) or "").startswith(_WRONG_TABLES):
            raise PermanentError(
                Reason.UNAVAILABLE,
                f"the state database does not know the statement ({_name(error)})",
                hint="run `resetd db upgrade`; does the account have all rights on its tables?",
            ) from error
        if isinstance(error, _OF_THE_VALUES):
            raise
        # A server that has become a standby, say, or a damaged file: nothing that was to be written is to blame.
        raise _family(error) from error
    except (PoolTimeoutError, TimeoutError, OSError) as error:
        raise TemporaryError(
            Reason.UNAVAILABLE, f"the state database does not answer in time ({type(error).__name__})"
        ) from error


def _family(error: DBAPIError) -> TemporaryError | PermanentError:
    original = error.orig
    if isinstance(original, sqlite3.Error) and "no such table" in str(original):
        return _no_tables()
    return TemporaryError(Reason.UNAVAILABLE, f"the state database does not answer ({_name(error)})")


def _no_tables() -> PermanentError:
    return PermanentError(
        Reason.UNAVAILABLE, "the state database has no tables of resetd", hint="run `resetd db upgrade`"
    )


def _name(error: DBAPIError) -> str:
    """The driver's class and code: its text may name hosts and users."""
    original = error.orig
    code = getattr(original, "sqlite_errorname", None) or getattr(original, "sqlstate", None)
    return f"{type(original).__name__} {code}" if code else type(original).__name__
