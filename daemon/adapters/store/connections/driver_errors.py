"""The database drivers' errors as the two families of the ports, without addresses or passwords."""

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

_VALUE_ERRORS = (DataError, IntegrityError, ProgrammingError)
"""Errors that a statement's values cause (PEP 249). Drivers raise the last one where they can't send a value."""
_SCHEMA_ERROR_CLASS = "42"
"""PostgreSQL's class of SQLSTATEs for tables, columns and rights that are not there."""


@contextmanager
def translated() -> Iterator[None]:
    """Translate the drivers' errors to those of the ports.

    An error that a statement's values cause comes out as it is: `_VALUE_ERRORS`.

    Raises:
        TemporaryError: the database does not answer.
        PermanentError: the database lacks our tables, or the account the rights to them.
    """
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise _port_error(error) from error
    except sqlite3.OperationalError as error:
        raise TemporaryError(Reason.UNAVAILABLE, "the state database does not answer") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise TemporaryError(
                Reason.UNAVAILABLE, f"the state database went away ({_name(error)})"
            ) from error
        if getattr(error.orig, "sqlstate", None) == "42P01":
            raise _no_tables() from error
        if (getattr(error.orig, "sqlstate", None) or "").startswith(_SCHEMA_ERROR_CLASS):
            raise PermanentError(
                Reason.UNAVAILABLE,
                f"the state database does not know the statement ({_name(error)})",
                hint="run `resetd db upgrade`; does the account have all rights on its tables?",
            ) from error
        if isinstance(error, _VALUE_ERRORS):
            raise
        # A server that has become a standby, for example, or a damaged file: the written values are not at fault.
        raise _port_error(error) from error
    except (PoolTimeoutError, TimeoutError, OSError) as error:
        raise TemporaryError(
            Reason.UNAVAILABLE, f"the state database does not answer in time ({type(error).__name__})"
        ) from error


def _port_error(error: DBAPIError) -> TemporaryError | PermanentError:
    original = error.orig
    if isinstance(original, sqlite3.Error) and "no such table" in str(original):
        return _no_tables()
    return TemporaryError(Reason.UNAVAILABLE, f"the state database does not answer ({_name(error)})")


def _no_tables() -> PermanentError:
    return PermanentError(
        Reason.UNAVAILABLE, "the state database has no tables of resetd", hint="run `resetd db upgrade`"
    )


def _name(error: DBAPIError) -> str:
    """Name an error by the driver's class and code. Its text may name hosts and users."""
    original = error.orig
    code = getattr(original, "sqlite_errorname", None) or getattr(original, "sqlstate", None)
    return f"{type(original).__name__} {code}" if code else type(original).__name__
