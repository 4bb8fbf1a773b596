"""The schema of the state database: upgraded, and compared with the models (Alembic, `daemon/migrations`).

These calls block: from an event loop use `asyncio.to_thread`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, text

import daemon
from daemon.adapters.store.connections.addresses import file_of, is_embedded, parse, synchronous
from daemon.adapters.store.connections.driver_errors import translated
from schemas.tables import Row

_UPGRADE_LOCK = 0x7265736574640001
"""`pg_advisory_xact_lock`: replicas that start together upgrade one after the other."""


def upgrade(database_url: str) -> None:
    """Bring the schema to the newest revision. Repeating it is harmless.

    Raises:
        TemporaryError: the database does not answer.
    """
    _write_ahead(database_url)
    with _connected(database_url) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
        command.upgrade(_config(connection), "head")


def current(database_url: str) -> str | None:
    """Return the database's revision, or None for an empty database."""
    with _connected(database_url) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def check(database_url: str) -> tuple[str, ...]:
    """Say what is wrong with the schema; empty when it is at the newest revision and equal to the models."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    with _connected(database_url) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = context.get_current_revision()
        if found != head:
            return (
                f"the schema is at {found or 'nothing'}, this resetd needs {head}: run `resetd db upgrade`",
            )
        return tuple(
            f"models and schema differ: {difference}"
            for difference in compare_metadata(context, Row.metadata)
        )


def _write_ahead(database_url: str) -> None:
    """Give a SQLite file its write-ahead log, for good. Two connections that both did it first might fail."""
    url = parse(database_url)
    if is_embedded(url):
        file_of(url).parent.mkdir(parents=True, exist_ok=True)
        with translated(), closing(sqlite3.connect(file_of(url), timeout=10)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(daemon.__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


@contextmanager
def _connected(database_url: str) -> Iterator[Connection]:
    url = parse(database_url)
    if is_embedded(url):
        file_of(url).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(synchronous(url), poolclass=NullPool, hide_parameters=True)
    try:
        with translated(), engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()
