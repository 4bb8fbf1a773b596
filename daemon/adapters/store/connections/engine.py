"""Connections to the state database, set up so that commits stay and every wait has an end."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from pydantic_core import to_json
from sqlalchemy import URL, Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from daemon.adapters.store.connections.addresses import asynchronous, file_of, is_embedded, parse
from daemon.ports.errors import PermanentError

BUSY_SECONDS = 10.0
"""Seconds that SQLite waits for another process's write."""

CHECKPOINT_PAGES = 8000
"""Pages of 4 KiB in SQLite's write-ahead log at which they are written into the file."""

_POSTGRES_OPTIONS = (
    "-c timezone=UTC -c statement_timeout=20000 -c lock_timeout=15000 "
    "-c idle_in_transaction_session_timeout=30000 -c synchronous_commit=on"
)


def as_json(value: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    """Write a column's JSON. pydantic's encoder is several times as quick as the standard library's."""
    return to_json(value, inf_nan_mode="constants").decode()


def make_engine(url: URL, url_file: Path | None = None) -> AsyncEngine:
    """Make an engine, which connects when it is first used.

    `url_file` is where the URL was read from. Others rotate the role and the password in it: each new connection takes
    those that are in it then. A file that is away or no URL for a moment is being rotated: those of `url` are taken.
    """
    if is_embedded(url):
        return _sqlite(url)
    engine = create_async_engine(
        asynchronous(url),
        pool_size=8,
        max_overflow=8,
        pool_timeout=15,
        pool_pre_ping=True,
        hide_parameters=True,
        json_serializer=as_json,
        connect_args={
            "connect_timeout": 5,
            "tcp_user_timeout": 10000,
            "application_name": "resetd",
            "options": _POSTGRES_OPTIONS,
        },
    )
    if url_file is not None:
        event.listen(engine.sync_engine, "do_connect", partial(_with_rotated, url_file))
    return engine


def _with_rotated(
    url_file: Path, _dialect: object, _record: object, _arguments: object, named: dict[str, Any]
) -> None:
    with suppress(OSError, UnicodeDecodeError, PermanentError):
        now = parse(url_file.read_text(encoding="utf-8").strip())
        if now.username and now.password:
            named.update(user=now.username, password=now.password)


def _sqlite(url: URL) -> AsyncEngine:
    file_of(url).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(
        asynchronous(url),
        pool_size=5,  # one of them stays with the writer of shared commits
        max_overflow=0,
        pool_timeout=15,
        hide_parameters=True,
        json_serializer=as_json,
        connect_args={"timeout": BUSY_SECONDS, "isolation_level": None},
    )
    event.listen(engine.sync_engine, "connect", _configure)
    event.listen(engine.sync_engine, "begin", begin)
    return engine


def _configure(connection: Any, _record: Any) -> None:  # noqa: ANN401 - the driver's own types
    cursor = connection.cursor()
    # The write-ahead log is a property of the file (`migrations.upgrade`).
    # FULL: what was answered has to stay, and in WAL mode NORMAL may lose the last commits with the power.
    # A checkpoint writes each page once, however often the page changed since the last one. At the default of 1,000
    # pages (4 MiB) a checkpoint would come every few shared commits.
    for pragma in ("synchronous=FULL", "foreign_keys=ON", f"wal_autocheckpoint={CHECKPOINT_PAGES}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def begin(connection: Connection) -> None:
    """Begin a transaction on SQLite; the connection's option `reads_only` says of which kind."""
    # A deferred transaction that reads and then writes loses updates or fails: one that will write says so.
    reads_only = connection.get_execution_options().get("reads_only", False)
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")
