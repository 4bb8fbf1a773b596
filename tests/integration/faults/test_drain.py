"""Starting and stopping: the daemon drains in seconds, refuses a wrong start in one line, and keeps every secret."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql

from sandbox.daemon_process import DaemonProcess
from sandbox.events import read_until
from sandbox.platform.platform import Platform
from sandbox.postgres import ADDRESS, POD_HOST
from sandbox.services.standins.controls import Control
from tests.integration.people.asking import (
    ENVIRONMENT,
    SEEDED,
    SOON,
    act,
    ask,
    launched,
    resetd,
    until_attempted,
    until_running,
)
from tests.integration.stand.harness import Harness, running
from tests.integration.stand.outages import without_database
from tests.integration.stand.state import postgres_state
from tests.integration.stand.waiting import wait_for

SEQUENCE, UI = "sequence-builder-api", "ui-builder-api"
DRAINED_WITHIN = 8.0
"""Seconds, on a machine that other tests load, too."""
PECULIAR = "pa:ss/wo@rd#%?&=+ü$1"
"""What a person or a generator may choose as a password."""


def test_a_stop_in_the_middle_of_a_seed_leaves_it_running_and_the_next_start_finds_it(
    platform: Platform, tmp_path: Path
) -> None:
    with running(platform, tmp_path) as harness:
        began = time.monotonic()
        assert harness.daemon.stop() == 0
        assert time.monotonic() - began < DRAINED_WITHIN
        harness.start()
        platform.control(ENVIRONMENT, SEQUENCE, seed=Control(seconds=12.0))
        reference = ask(harness, SEQUENCE)
        seed = until_running(harness, reference, SEEDED[SEQUENCE])
        began = time.monotonic()
        assert harness.daemon.stop() == 0
        assert time.monotonic() - began < DRAINED_WITHIN
        left = next(one for one in platform.journal_reader().launches if one.id == seed.id)
        assert left.running
        harness.start()
        harness.wait_state(reference, "done")
        assert launched(harness, reference, SEEDED[SEQUENCE]) == [1]
        assert "Traceback" not in harness.daemon.log.read_text()


def test_a_second_daemon_on_the_same_state_and_one_whose_port_is_taken_are_refused(
    platform: Platform, tmp_path: Path
) -> None:
    with running(platform, tmp_path / "first") as harness:
        second = DaemonProcess(tmp_path / "first", platform.environment())
        second.log = tmp_path / "second.log"
        code, said = ended(second)
        assert (code, "state" in said) == (1, True), said
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            other = DaemonProcess(tmp_path / "other", platform.environment())
            port = str(taken.getsockname()[1])
            code, said = ended(other, RESETD_API_PORT=port)
        assert (code, port in said) == (1, True), said
        assert harness.daemon.get("/api/v1/resets")["items"] == []


def ended(daemon: DaemonProcess, **environment: str) -> tuple[int, str]:
    """How a daemon that can't start ended: its exit code, and what it said; never by a traceback."""
    daemon.start(**environment)
    try:
        code = daemon.wait_ended(within=SOON)
    finally:
        daemon.kill()
    said = daemon.log.read_text()
    assert "Traceback" not in said, said
    return code, said


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"RESETD_LEASE_TTL": "soon"}, "RESETD_LEASE_TTL: "),
        ({"RESETD_API_PORT": "http"}, "RESETD_API_PORT: "),
        ({"RESETD_DATABASE_URL": f"mysql://root:{quote(PECULIAR, safe='')}@db/x"}, "RESETD_DATABASE_URL: "),
        ({"RESETD_CATALOG": "{catalog}"}, "{catalog}:{line}: services[0].steps.refresh[0].timeout"),
        ({"RESETD_BACKUP_URL": "ftp://store"}, "RESETD_BACKUP_URL: "),
    ],
)
def test_a_wrong_setting_or_catalog_is_refused_at_start_by_its_place(
    platform: Platform, tmp_path: Path, wrong: dict[str, str], expected: str
) -> None:
    catalog = tmp_path / "catalog.yaml"
    lines = Path("daemon/config/catalogs/fuse-platform.yaml").read_text().splitlines()
    (at, *_) = [number for number, line in enumerate(lines) if 'argv: [sh, -c, "npm run db:deploy"]' in line]
    lines.insert(at, "          timeout: forever")
    catalog.write_text("\n".join(lines))
    filled = {name: value.format(catalog=catalog) for name, value in wrong.items()}
    code, said = ended(DaemonProcess(tmp_path / "state", platform.environment()), **filled)
    assert code == 2, said
    assert expected.format(catalog=catalog, line=at + 1) in said, said
    assert PECULIAR not in said
    assert quote(PECULIAR, safe="") not in said


@contextlib.contextmanager
def peculiar_password(platform: Platform, service: str) -> Iterator[str]:
    """The service's pods log in with that password; its URL as they have it. At the end all is as it was."""
    server = platform.databases.servers["qa"]
    role = f"odd_{uuid.uuid4().hex[:8]}"
    url = platform.postgres_url(ENVIRONMENT, service).replace(f"@{ADDRESS}:", f"@{POD_HOST}:")
    odd = url.replace(url.partition("://")[2].partition("@")[0], f"{role}:{quote(PECULIAR, safe='')}")
    with psycopg.connect(server.superuser_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN IN ROLE fuse PASSWORD {}").format(
                sql.Identifier(role), sql.Literal(PECULIAR)
            )
        )
    asyncio.run(platform.cluster.hold_health(ENVIRONMENT, "Healthy"))
    try:
        set_url(platform, service, odd)
        yield odd
    finally:
        set_url(platform, service, url)
        asyncio.run(platform.cluster.let_health_go(ENVIRONMENT))
        asyncio.run(platform.until_ready([ENVIRONMENT]))


def set_url(platform: Platform, service: str, url: str) -> None:
    """Roll the service out with that DATABASE_URL."""
    path = f"/apis/apps/v1/namespaces/{ENVIRONMENT}/deployments/{service}"
    deployment = asyncio.run(platform.cluster.call("GET", path))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    for variable in container["env"]:
        if variable["name"] == "DATABASE_URL":
            variable["value"] = url
    body = {"spec": {"template": {"spec": {"containers": [container]}}}}
    asyncio.run(platform.cluster.call("PATCH", path, body))
    asyncio.run(platform.until_ready([ENVIRONMENT]))


def test_no_password_shows_anywhere_whatever_is_printed_refused_or_away(
    platform: Platform, tmp_path: Path
) -> None:
    with (
        postgres_state(platform, f"state-{PECULIAR}") as state,
        peculiar_password(platform, SEQUENCE) as url,
        running(platform, tmp_path, settings={"RESETD_DATABASE_URL": state}) as harness,
    ):
        printed = f"can't connect to {url}: password={PECULIAR} refused"
        platform.control(ENVIRONMENT, SEQUENCE, seed=Control(fail=printed))
        reference = ask(harness, SEQUENCE)
        failed = harness.wait_state(reference, "failed")
        assert "can't connect to postgresql://" in failed["detail"]
        platform.control(ENVIRONMENT, SEQUENCE, seed=Control(seconds=3.0))
        act(harness, reference, "resume")
        seed = until_running(harness, reference, SEEDED[SEQUENCE]).attempt
        with without_database(platform, "qa"):
            # The daemon's own state is on that server as well: it waits, and does not end.
            wait_for(lambda: "supervisor.paused" in harness.daemon.log.read_text(), "it notices", within=SOON)
            assert harness.daemon.pid is not None
            wait_for(
                lambda: (
                    not any(
                        each.running for each in platform.journal_reader().launches if each.attempt == seed
                    )
                ),
                "the seed ends while its database is away",
                within=SOON,
            )
        until_attempted(harness, reference, SEEDED[SEQUENCE], 2)
        # The environment's database is on that server, too, which is not the one that was dumped any more.
        assert harness.wait_state(reference, "failed")["cause"] == "database-mismatch"
        outputs = everything_said(harness, reference)
        assert harness.daemon.stop() == 0
    secrets = {
        PECULIAR,
        quote(PECULIAR, safe=""),
        platform.databases.passwords["qa"],
        platform.github.token,
        (tmp_path / "operator-token").read_text().strip(),
    }
    outputs["daemon.log"] = harness.daemon.log.read_text()
    for file in (*tmp_path.rglob("logs/**/*.log"), *tmp_path.rglob("backups/**/*.json")):
        outputs[str(file)] = file.read_text(errors="replace")
    assert any(name.endswith(".log") and SEEDED[SEQUENCE] in name for name in outputs)
    shown = [(name, secret) for name, text in outputs.items() for secret in secrets if secret in text]
    assert not shown


def everything_said(harness: Harness, reference: str) -> dict[str, str]:
    """All that the daemon answers, publishes and stores about that reset, by where."""
    outputs: dict[str, str] = {}
    for arguments in ("config", "config -o json", f"doctor {ENVIRONMENT}", f"logs {reference}"):
        asked = resetd(harness, *arguments.split())
        outputs[arguments] = asked.stdout + asked.stderr
    paths = ("", "/plan", "/events", "/log")
    with harness.daemon.client() as client:
        for path in (*(f"/api/v1/resets/{reference}{one}" for one in paths), "/api/v1/backups", "/metrics"):
            answer = client.get(path)
            assert answer.is_success, (path, answer.text)
            outputs[path] = answer.text
    told = read_until(
        harness.platform.bootstrap,
        harness.topics["status"],
        lambda seen: any(b'"done"' in (one.value or b"") for one in seen),
        within=SOON,
    )
    outputs["status"] = json.dumps([[str(one.value), str(one.headers)] for one in told])
    state = harness.daemon.environment["RESETD_DATABASE_URL"]
    with psycopg.connect(state) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (table,) in tables:
            rows = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))).fetchall()
            outputs[f"table {table}"] = str(rows)
    return outputs


def test_a_second_signal_does_not_break_the_drain(platform: Platform, tmp_path: Path) -> None:
    with running(platform, tmp_path) as harness:
        assert harness.daemon.pid is not None
        os.kill(harness.daemon.pid, signal.SIGINT)
        assert harness.daemon.stop() == 0
