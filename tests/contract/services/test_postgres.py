"""The servers: identities of their own, a role without power, and gone with who started them."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from sandbox.fleet import environment
from sandbox.postgres import Fleet, binaries, start_fleet

if TYPE_CHECKING:
    from pathlib import Path


def _connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url.partition("?")[0], autocommit=True)


def test_each_server_has_its_own_system_identifier_which_a_plain_role_may_read(
    fleet: Fleet, tmp_path: Path
) -> None:
    other = start_fleet(tmp_path, [environment("acme-sandbox")])
    try:
        identifiers = set()
        for url in (fleet.url("qa/los-sandbox"), other.url("acme/los-sandbox")):
            with _connect(url) as connection:
                row = connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone()
                assert row is not None
                identifiers.add(row[0])
        assert len(identifiers) == 2
    finally:
        other.stop()
    assert not any(tmp_path.glob("acme"))


def test_the_services_role_has_no_power_over_the_server(fleet: Fleet) -> None:
    with _connect(fleet.url("qa/integrations")) as connection:
        row = connection.execute(
            "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        assert row == (False, False, False)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute('ALTER DATABASE "integrations" RENAME TO "other"')


def test_a_restart_keeps_port_and_data_and_cuts_sessions(fleet: Fleet) -> None:
    url = fleet.url("qa/ui-builder")
    with _connect(url) as connection:
        connection.execute("CREATE TABLE kept (id int)")
        fleet.servers["qa"].restart()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with _connect(url) as connection:
        connection.execute("DROP TABLE kept")


def test_urls_are_in_prisma_s_style_for_every_service_and_variable(fleet: Fleet) -> None:
    urls = fleet.urls()["qa-sandbox"]
    assert len(urls) == 6
    assert sorted(urls["data-builder-api"]) == ["CORE_DATABASE_URL", "DATABASE_URL"]
    assert urls["data-builder-api"]["CORE_DATABASE_URL"] == urls["los-core-api"]["DATABASE_URL"]
    port = fleet.servers["qa"].port
    assert urls["los-core-api"]["DATABASE_URL"] == (
        f"postgresql://fuse:{fleet.passwords['qa']}@127.0.0.1:{port}/los-sandbox?schema=public"
    )


def test_pg_dump_of_the_same_version_dumps_it(fleet: Fleet) -> None:
    url = fleet.url("qa/workflow-builder").partition("?")[0]
    dumped = subprocess.run([binaries() / "pg_dump", "-Fc", url], capture_output=True, check=True)
    assert dumped.stdout.startswith(b"PGDMP")


def test_a_server_stops_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from sandbox.postgres import start\n"
        f"server = start(Path({str(tmp_path)!r}), 'qa')\n"
        "print((server.data / 'postmaster.pid').read_text().split()[0], flush=True); sys.stdin.read()"
    )
    starter = subprocess.Popen(
        [sys.executable, "-I", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    postmaster = os.pidfd_open(int(starter.stdout.readline()))
    try:
        starter.send_signal(signal.SIGKILL)
        starter.communicate(timeout=30)
        assert select.select([postmaster], [], [], 30)[0], "PostgreSQL outlived its sandbox"
        data = tmp_path / "qa"
        deadline = time.monotonic() + 30
        while data.is_symlink() and data.exists():  # moved where its account may enter: not to be left there
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        os.close(postmaster)
