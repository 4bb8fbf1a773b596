"""Sessions of the daemon in databases of pods, and the port's errors for what the client raises in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from daemon.adapters.postgres.errors import connection_error
from daemon.adapters.postgres.hosts import check_resolves_elsewhere
from daemon.adapters.postgres.urls import KEEPALIVE_OPTIONS, Address

_CONNECT_TIMEOUT_SECONDS = 10


async def connect(where: Address, *, autocommit: bool = False) -> AsyncConnection[TupleRow]:
    """Begin a session under the daemon's name.

    Raises:
        PermanentError: `database-local-to-pod`.
        psycopg.Error: see `as_port_errors`.
    """
    if where.hostaddr is None:
        await check_resolves_elsewhere(where.host)
    return await AsyncConnection.connect(
        where.conninfo(connect_timeout=_CONNECT_TIMEOUT_SECONDS, **KEEPALIVE_OPTIONS),
        password=where.password or None,
        autocommit=autocommit,
        # Prepared statements outlive a transaction, which a pooler does not.
        prepare_threshold=None,
    )


@contextmanager
def as_port_errors(where: Address) -> Iterator[None]:
    """Turn the client's errors into the port's, without the password."""
    try:
        yield
    except psycopg.Error as error:
        cause = None if where.password and where.password in str(error) else error
        raise connection_error(where, str(error), error.sqlstate) from cause
