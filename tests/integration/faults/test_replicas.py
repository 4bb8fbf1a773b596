"""Two daemons on one PostgreSQL: either goes on where the other stopped, and one that wakes up late does nothing."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from sandbox.daemon_process import DaemonProcess
from sandbox.platform.platform import Platform
from sandbox.services.standins.controls import Control
from schemas.publish import Mode, ResetRequested
from tests.integration.people.asking import ENVIRONMENT, SEEDED, SOON, until_running
from tests.integration.stand.harness import Harness, running
from tests.integration.stand.state import postgres_state
from tests.integration.stand.waiting import wait_for

SEQUENCE, WORKFLOW = "sequence-builder-api", "workflow-api"
LEASE = 2.0
"""Seconds, so that a lease is over before the seed is."""


@dataclass(frozen=True)
class Row:
    """A reset as the state database has it."""

    owner: str | None
    fence: int
    version: int
    state: str


@dataclass(frozen=True)
class Pair:
    """Two daemons with the same topics, group, state and backups."""

    harness: Harness
    other: DaemonProcess
    state: str

    @property
    def daemons(self) -> tuple[DaemonProcess, DaemonProcess]:
        return self.harness.daemon, self.other

    def row(self) -> Row:
        """Of the one reset that there is."""
        with psycopg.connect(self.state) as connection:
            found = connection.execute("SELECT lease_owner, fence, version, state FROM resets").fetchone()
        assert found is not None
        return Row(*found)

    def holder(self) -> tuple[DaemonProcess, DaemonProcess]:
        """Who holds the reset's lease, and the other one."""
        owner = wait_for(lambda: self.row().owner, "somebody holds the lease", within=SOON)
        one, other = self.daemons
        return (one, other) if owner == boot_id(one) else (other, one)


def boot_id(daemon: DaemonProcess) -> str:
    """Of its last start, by its log."""
    started = [line for line in daemon.log.read_text().splitlines() if '"daemon.started"' in line]
    return str(json.loads(started[-1])["owner"])


@contextmanager
def pair(platform: Platform, directory: Path) -> Iterator[Pair]:
    """Both, started."""
    with postgres_state(platform) as state:
        settings = {
            "RESETD_DATABASE_URL": state,
            "RESETD_BACKUP_URL": (directory / "backups").as_uri(),
            "RESETD_LEASE_TTL": f"{LEASE}s",
        }
        with running(platform, directory / "one", settings=settings) as harness:
            other = DaemonProcess(directory / "other", harness.daemon.environment)
            try:
                other.start()
                other.wait_ready()
                yield Pair(harness, other, state)
            finally:
                other.kill()


def ask(both: Pair) -> str:
    """A seed of two services, the first of them long."""
    platform = both.harness.platform
    platform.control(ENVIRONMENT, SEQUENCE, seed=Control(seconds=4 * LEASE))
    wanted = ResetRequested(
        environment=ENVIRONMENT, requested_by="tests", mode=Mode.SEED, services=(SEQUENCE, WORKFLOW)
    )
    both.harness.publisher.publish(wanted)
    reference = f"{ENVIRONMENT}/1"
    wait_for(lambda: both.harness.resets(ENVIRONMENT), "the event was taken in", within=SOON)
    until_running(both.harness, reference, SEEDED[SEQUENCE])
    return reference


def until_done(both: Pair) -> None:
    """By the state database: either daemon may be gone."""
    wait_for(lambda: both.row().state == "done", "the reset is done", within=SOON)


@pytest.mark.timeout(360)
class TestTwoDaemonsOnOneDatabase:
    def test_when_one_is_killed_the_other_finds_its_command_and_goes_on(
        self, platform: Platform, tmp_path: Path
    ) -> None:
        with pair(platform, tmp_path) as both:
            ask(both)
            before = both.row()
            holder, other = both.holder()
            holder.kill()
            until_done(both)
            after = both.row()
            assert after.fence > before.fence
            (reset,) = other.get(f"/api/v1/resets?environment={ENVIRONMENT}")["items"]
            assert set(both.harness.launches(reset["id"]).values()) == {1}
            assert not both.harness.twice()
            told = both.harness.status(reset["id"], "done")
            assert sorted({one["sequence"] for one in told}) == list(range(1, told[-1]["sequence"] + 1))

    def test_one_that_was_stopped_past_its_lease_wakes_up_and_neither_writes_nor_launches(
        self, platform: Platform, tmp_path: Path
    ) -> None:
        with pair(platform, tmp_path) as both:
            ask(both)
            holder, other = both.holder()
            assert holder.pid is not None
            os.kill(holder.pid, signal.SIGSTOP)
            try:
                until_done(both)
                (reset,) = other.get(f"/api/v1/resets?environment={ENVIRONMENT}")["items"]
                done, launches = both.row(), both.harness.launches(reset["id"])
            finally:
                os.kill(holder.pid, signal.SIGCONT)
            wait_for(lambda: "lease-lost" in holder.log.read_text(), "it notices", within=SOON)
            assert holder.stop() == 0
            assert both.row() == done
            assert both.harness.launches(reset["id"]) == launches
            assert set(launches.values()) == {1}
            assert not both.harness.twice()
