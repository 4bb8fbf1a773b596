"""The short form of `make torture`: a few rounds of a fixed seed, a death at every commit, and daemons that differ."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox.platform.platform import Platform
from sandbox.platform.snapshots import taken
from schemas.requests import Mode
from tests.integration.stand.starts import forks
from tests.torture.exhaustive import Exhaustive
from tests.torture.session import Session

ENVIRONMENT = "qa-sandbox"
SEED = "short"
ROUNDS = range(16, 24)


@pytest.mark.timeout(1200)
def test_kills_stops_and_cuts_at_seeded_moments_lose_nothing_and_launch_nothing_twice(
    platform: Platform, tmp_path: Path
) -> None:
    with taken(platform, ENVIRONMENT):
        session = Session(platform, forks(), tmp_path, environments=(ENVIRONMENT,))
        figures = session.run(SEED, ROUNDS)
    assert figures.well, figures.lines()
    assert figures.rounds == len(ROUNDS)
    assert figures.kills >= len(ROUNDS)
    assert figures.launches
    assert all(figures.seen.values()), figures.seen
    owners = [owner for log in tmp_path.glob("block-*/*/daemon.log") for owner in started(log)]
    assert len(set(owners)) == len(owners) >= figures.kills


@pytest.mark.timeout(1200)
def test_a_daemon_that_dies_before_and_after_each_commit_of_a_reset_does_it_as_one_that_does_not(
    platform: Platform, tmp_path: Path
) -> None:
    services = ("sequence-builder-api",)
    figures = Exhaustive(platform, forks(), tmp_path, mode=Mode.WIPE, services=services).chained()
    assert figures.well, figures.lines()
    assert figures.kills > 2 * 15


def started(log: Path) -> list[str]:
    """The boot ids of the daemons that wrote this log."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line["owner"] for line in lines if line["event"] == "daemon.started"]
