"""A PostgreSQL database for the daemon's own state, on a server of the platform's."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import psycopg
from psycopg import sql

from sandbox.platform.platform import Platform


@contextmanager
def postgres_state(platform: Platform, password: str = "state-password") -> Iterator[str]:
    """The URL of an empty database with a role of its own; both end with the platform."""
    server = platform.databases.servers["qa"]
    name = f"state_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server.superuser_url, autocommit=True) as connection:
        role = sql.Identifier(name)
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(password)))
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(role, role))
    yield f"postgresql://{name}:{quote(password, safe='')}@127.0.0.1:{server.port}/{name}"
