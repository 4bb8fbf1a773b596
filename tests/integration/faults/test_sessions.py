"""A cancelled command leaves nothing at work in its database, although its processes are gone before its statement."""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg
import pytest

from sandbox.platform.platform import Platform
from tests.integration.people.asking import ENVIRONMENT, SEEDED, ask, attempts
from tests.integration.stand.harness import RESET_WITHIN, running
from tests.integration.stand.shipped_catalog import shipped_catalog, write_catalog
from tests.integration.stand.waiting import wait_for

SEQUENCE = "sequence-builder-api"
AT_WORK = (
    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%%pg_sleep(%s)%%' AND pid <> pg_backend_pid()"
)


@pytest.mark.parametrize(
    ("prefix", "seconds"),
    [
        pytest.param("", 3000, id="whose sessions carry its name: they are ended"),
        pytest.param("PGAPPNAME=engine", 15, id="whose sessions nobody can tell: they are waited for"),
    ],
)
def test_a_cancelled_command(platform: Platform, tmp_path: Path, prefix: str, seconds: int) -> None:
    program = (
        "import os, psycopg; url = os.environ['DATABASE_URL'].partition('?')[0]; "
        f"psycopg.connect(url, autocommit=True).execute('SELECT pg_sleep({seconds})')"
    )
    command = f'{prefix} exec {sys.executable} -c "{program}"'
    settings = {"RESETD_CATALOG": str(catalog(tmp_path, command))}
    with (
        psycopg.connect(
            platform.postgres_url(ENVIRONMENT, SEQUENCE).partition("?")[0], autocommit=True
        ) as own,
        running(platform, tmp_path / "daemon", settings=settings) as harness,
    ):

        def at_work() -> int:
            row = own.execute(AT_WORK % seconds).fetchone()
            return int(row[0]) if row else 0

        reference = ask(harness, SEQUENCE)

        def started() -> int:
            told = harness.reset(reference)
            assert told["state"] != "failed", told["detail"]
            return at_work()

        wait_for(started, "its statement is at work", within=RESET_WITHIN)
        assert harness.act(reference, "cancel").status_code == 202
        harness.wait_state(reference, "cancelled")
        assert at_work() == 0
        assert attempts(harness, reference, SEEDED[SEQUENCE])[0]["outcome"]["kind"] == "interrupted"


def catalog(directory: Path, command: str) -> Path:
    """The shipped catalog with another seed."""
    held = shipped_catalog()
    service = next(one for one in held["services"] if one["name"] == SEQUENCE)
    for one in service["steps"]["seed"]:
        if one["name"] == "seed":
            one["argv"] = ["sh", "-c", command]
    return write_catalog(directory, held)
