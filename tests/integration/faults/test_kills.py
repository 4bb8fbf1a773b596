"""The worst failure first: the daemon is killed (SIGKILL) at any moment, and nothing is launched twice or lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.fleet import SERVICES
from sandbox.platform.platform import Platform
from sandbox.services.standins.controls import Control
from schemas.publish import Mode, ResetRequested
from tests.integration.stand.harness import Harness, running
from tests.integration.stand.waiting import wait_for

ENVIRONMENT = "qa-sandbox"
STATES = (
    "planning",
    "queued",
    "quiescing",
    "backing-up",
    "migrating-core",
    "seeding",
    "resetting-git",
    "verifying",
    "releasing",
    "done",
)
SEEDS = {
    "data-builder-api": "db:seed:data-builder",
    "los-core-api": "seed:system",
    "los-integrations": "seed:reset",
    "sequence-builder-api": "seed",
    "ui-builder-api": "seed",
    "workflow-api": "seed",
}


def ask(harness: Harness, mode: Mode) -> None:
    harness.publisher.publish(ResetRequested(environment=ENVIRONMENT, requested_by="tests", mode=mode))


def one_reset(platform: Platform, directory: Path, mode: Mode) -> dict[str, object]:
    """Contents after a reset that nobody disturbed."""
    platform.dirty(ENVIRONMENT)
    with running(platform, directory) as harness:
        ask(harness, mode)
        harness.wait_state(f"{ENVIRONMENT}/1", "done")
    return dict(platform.contents(ENVIRONMENT))


@pytest.mark.timeout(800)
def test_a_reset_killed_in_every_state_and_every_seed_ends_as_one_that_was_not(
    platform: Platform, tmp_path: Path
) -> None:
    # A wipe holds every class of command; those of class `never` are where a second launch destroys most.
    mode = Mode.WIPE
    undisturbed = one_reset(platform, tmp_path / "undisturbed", mode)
    platform.dirty(ENVIRONMENT)
    for service, seed in SEEDS.items():
        platform.control(ENVIRONMENT, service, **{seed: Control(seconds=1.5)})
    kills = 0
    with running(platform, tmp_path / "killed") as harness:
        for state in STATES:
            (harness.crashes / f"after-{state}").touch()
        ask(harness, mode)
        waiting = list(SERVICES)
        while any(harness.crashes.iterdir()):

            def died_or_seeding() -> bool:
                return harness.daemon.pid is None or bool(waiting and seeding(harness, waiting[0]))

            wait_for(died_or_seeding, "the next kill", within=60)
            if harness.daemon.pid is not None:
                waiting.pop(0)
                harness.daemon.kill()
            kills += 1
            harness.daemon.start()
        harness.daemon.wait_ready()
        reset = harness.wait_state(f"{ENVIRONMENT}/1", "done")
        assert kills == len(STATES) + len(SERVICES)
        launches = harness.launches(reset["id"])
        assert set(launches.values()) == {1}
        assert not harness.twice()
        steps = harness.reset(f"{ENVIRONMENT}/1")["steps"]
        commands = {one.rsplit("/", 1)[0].partition("/")[2] for one in launches}
        # The daemon backs up, rewinds and verifies by itself; all others are commands.
        own = ("backup.", "git.", "verify.")
        assert commands == {one["name"] for one in steps if not one["name"].startswith(own)}
        told = harness.status(reset["id"], "done")
        assert sorted({one["sequence"] for one in told}) == list(range(1, told[-1]["sequence"] + 1))
        entered = [one["state"] for one in told if "step" not in one]
        assert [one for one in STATES if one not in entered] == []
    assert platform.contents(ENVIRONMENT) == undisturbed


def seeding(harness: Harness, service: str) -> bool:
    """Whether a seed of the service that a reset launched is running, by the witness."""
    return any(
        one.running and one.service == service and one.attempt and SEEDS[service] in one.argv
        for one in harness.platform.journal_reader().launches
    )
