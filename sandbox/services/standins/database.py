"""A program's session on its service's database.

The client is psycopg2: it is loaded in a fraction of the time that psycopg 3 takes, and each launch pays for that.
"""

from __future__ import annotations

import select
from collections.abc import Sequence
from typing import NamedTuple, Self

import psycopg2
from psycopg2 import extensions, sql

_CONNECT_WITHIN = 5  # seconds
_TERMINATED = "57P01"


class Session:
    """An open session; leaving its `with` block closes it. A statement is a transaction of its own unless one is begun.

    Args:
        dsn: A connection string for libpq, which also reads PGAPPNAME.

    Raises:
        psycopg2.OperationalError: no session within 5 s; the text has the server's FATAL line when it refused.
    """

    def __init__(self, dsn: str) -> None:
        extensions.set_wait_callback(None)  # only libpq's own waiting keeps the time limit
        self._connection = psycopg2.connect(dsn, connect_timeout=_CONNECT_WITHIN)
        self._connection.autocommit = True
        extensions.set_wait_callback(
            wait
        )  # only this waiting keeps what the server says when it ends the session

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @property
    def closed(self) -> bool:
        """Whether it was closed, or found to be lost."""
        return bool(self._connection.closed)

    def execute(
        self, statement: str | bytes | sql.Composable, parameters: Sequence[object] | None = None
    ) -> extensions.cursor:
        """Run a statement, or a script as ONE simple query; without parameters a `%` is just a character.

        Raises:
            psycopg2.Error: the server refuses; without a `pgcode` the session is lost.
        """
        cursor = self._connection.cursor()
        try:
            cursor.execute(statement, parameters)
        except psycopg2.ProgrammingError as error:
            # To the server a script of comments alone is no error.
            if str(error) != "can't execute an empty query":
                raise
        return cursor


class Refusal(NamedTuple):
    """What the server said: a severity such as ERROR, an SQLSTATE, and a message."""

    severity: str
    code: str
    message: str


def refusal(error: psycopg2.Error) -> Refusal | None:
    """The server's words in an error of a statement; None when it had none, because it was killed."""
    if error.pgcode is not None:
        return Refusal(error.diag.severity or "", error.pgcode, error.diag.message_primary or "")
    # When the server ends a session, psycopg2 keeps the text alone. The sandbox ends sessions by 57P01 only.
    severity, _, rest = str(error).partition(":")
    return Refusal(severity, _TERMINATED, rest.partition("\n")[0].strip()) if severity == "FATAL" else None


def wait(connection: extensions.connection) -> None:
    """Wait until the database has answered; meanwhile Python's handlers of signals run."""
    while (state := connection.poll()) != extensions.POLL_OK:
        reads, writes = ([connection], []) if state == extensions.POLL_READ else ([], [connection])
        select.select(reads, writes, [])
