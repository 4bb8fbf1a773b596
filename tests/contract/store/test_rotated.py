"""The state database's role and password are read again from the file that others rotate."""

from __future__ import annotations

import secrets
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from daemon.adapters.store import open_store
from daemon.ports.errors import TemporaryError
from sandbox.postgres.server import Server
from tests.contract.store.conftest import TOPICS, execute


async def test_a_rotated_password_is_taken_by_the_next_connection(
    server: Server, postgres_url: str, tmp_path: Path
) -> None:
    role = f"resetd_{secrets.token_hex(4)}"
    place = f"{urlsplit(postgres_url).hostname}:{urlsplit(postgres_url).port}/state"
    end_sessions = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'"  # noqa: S608 - a name of this test's own
    execute(server.superuser_url, f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD 'former'")
    file = tmp_path / "url"
    file.write_text(f"postgresql://{role}:former@{place}\n")
    async with open_store(file.read_text().strip(), TOPICS, url_file=file) as store:
        await store.state_id()
        execute(server.superuser_url, f"ALTER ROLE {role} PASSWORD 'later'", end_sessions)
        with pytest.raises(TemporaryError):
            await store.protected()
        file.write_text(f"postgresql://{role}:later@{place}\n")
        assert await store.protected() == ()
        # Between two writes a file may be empty or away, and the sessions that are there go on.
        file.write_text("")
        assert await store.protected() == ()
        file.write_text("no address")
        assert await store.protected() == ()
    execute(server.superuser_url, end_sessions, f"DROP ROLE {role}")
