"""The address of the state database, as people write it and as the drivers need it."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from daemon.ports.errors import PermanentError
from schemas.reasons import Reason

_DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql", "postgres": "postgresql"}


def parse(database_url: str) -> URL:
    """Read an address; the answer names the database, `sqlite` or `postgresql`, and no driver.

    Raises:
        PermanentError: the address is neither. The message does not repeat it, for it may hold a password.
    """
    hint = "write sqlite:////absolute/path.db or postgresql://user@host:port/name"
    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError) as error:
        raise PermanentError(
            Reason.UNAVAILABLE, "the state database's address can't be read", hint=hint
        ) from error
    kind = _DRIVERS.get(url.get_backend_name())
    if kind is None or (kind == "sqlite" and url.database in (None, "", ":memory:")):
        raise PermanentError(
            Reason.UNAVAILABLE, "the state database is neither a SQLite file nor PostgreSQL", hint=hint
        )
    return url.set(drivername=kind)


def asynchronous(url: URL) -> URL:
    """Name the driver that the daemon uses."""
    return url.set(drivername="sqlite+aiosqlite" if is_embedded(url) else "postgresql+psycopg")


def synchronous(url: URL) -> URL:
    """Name the driver that migrations use."""
    return url.set(drivername="sqlite+pysqlite" if is_embedded(url) else "postgresql+psycopg")


def is_embedded(url: URL) -> bool:
    """Tell whether the database is a SQLite file."""
    return url.get_backend_name() == "sqlite"


def file_of(url: URL) -> Path:
    """Return the path of the SQLite file."""
    return Path(url.database or "")


def is_missing_file(database_url: str) -> bool:
    """Tell whether the database is a SQLite file that is not there: a session would make it.

    Raises:
        PermanentError: as `parse`.
    """
    url = parse(database_url)
    return is_embedded(url) and not file_of(url).exists()
