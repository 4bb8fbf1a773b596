"""What the disk allows: commits of one row of 1 KiB on one connection, set up as what it is compared with."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from time import perf_counter

import psycopg

from daemon.adapters.store.connections.engine import CHECKPOINT_PAGES

ROW = bytes(1024)


def on_sqlite(url: str, seconds: float) -> float:
    """Commits each second of the standard library's driver, set up as the store's connections are."""
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    for statement in (
        "PRAGMA journal_mode=WAL",
        "PRAGMA synchronous=FULL",
        f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}",
        "CREATE TABLE IF NOT EXISTS record (id INTEGER PRIMARY KEY, body BLOB)",
    ):
        connection.execute(statement)

    def commit() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO record (body) VALUES (?)", (ROW,))
        connection.execute("COMMIT")

    try:
        return _rate(commit, seconds)
    finally:
        connection.close()


def on_postgresql(url: str, seconds: float) -> float:
    """Commits each second of psycopg, each statement its own transaction."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS record (id BIGSERIAL PRIMARY KEY, body BYTEA)")
        return _rate(lambda: connection.execute("INSERT INTO record (body) VALUES (%b)", (ROW,)), seconds)


def _rate(commit: Callable[[], object], seconds: float) -> float:
    commits, began = 0, perf_counter()
    while perf_counter() - began < seconds:
        commit()
        commits += 1
    return commits / (perf_counter() - began)
