"""The address of the state database, as people write it and as the drivers want it."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from daemon.ports.errors import PermanentError
from schemas.reasons import Reason

_DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql", "postgres": "postgresql"}


def parse(database_url: str) -> URL:
    """The address without a driver: `sqlite` or `postgresql`.

    Raises:
        PermanentError: it is neither; the message does not repeat it, for it may hold a password.
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
    """For the daemon."""
    return url.set(drivername="sqlite+aiosqlite" if is_embedded(url) else "postgresql+psycopg")


def synchronous(url: URL) -> URL:
    """For migrations."""
    return url.set(drivername="sqlite+pysqlite" if is_embedded(url) else "postgresql+psycopg")


def is_embedded(url: URL) -> bool:
    """Whether it is a SQLite file."""
    return url.get_backend_name() == "sqlite"


def file_of(url: URL) -> Path:
    """The SQLite file."""
    return Path(url.database or "")
