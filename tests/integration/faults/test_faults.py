"""Faults of the running platform hit the daemon, are counted, and leave nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.faults import Fault, FaultKind, Group
from sandbox.platform.platform import Platform
from schemas.publish import ResetRequested
from tests.integration.people.asking import SOON, ask
from tests.integration.stand.harness import Harness, running
from tests.integration.stand.waiting import wait_for

ENVIRONMENT = "qa-sandbox"
SERVICE = "workflow-api"
OVERCOME = (
    FaultKind.EXEC_CUT_BEFORE_STATUS,
    FaultKind.EXEC_CUT_AFTER_START,
    FaultKind.EXEC_SPLIT,
    FaultKind.EXEC_503,
    FaultKind.LABEL_SELECTS_JOB,
    FaultKind.LABEL_SELECTS_SECOND_DEPLOYMENT,
    FaultKind.KAFKA_SESSION_EXPIRED,
    FaultKind.KAFKA_DUPLICATE_DELIVERY,
    FaultKind.GITHUB_5XX,
)


@pytest.mark.timeout(480)
async def test_a_reset_overcomes_what_goes_wrong_around_it_and_runs_once(
    platform: Platform, tmp_path: Path
) -> None:
    faults = platform.faults
    before = await faults.hits()
    with running(platform, tmp_path / "daemon") as harness:
        topics = harness.topics["requests"], harness.topics["environments"]
        await faults.concern(Group(harness.daemon.environment["RESETD_KAFKA_GROUP_ID"], topics))
        for kind in OVERCOME:
            await faults.arm(Fault(kind, ENVIRONMENT))
        try:
            wanted = ResetRequested(
                environment=ENVIRONMENT,
                services=[SERVICE],
                mode="refresh",
                git=True,
                requested_by="tests",
            )
            harness.publisher.publish(wanted)
            reset = harness.wait_state(f"{ENVIRONMENT}/1", "done", within=180)
        finally:
            await faults.clear()
        assert len(harness.resets(ENVIRONMENT)) == 1, "the event that came twice is one reset"
        assert max(harness.launches(reset["id"]).values()) == 1
    hits = await faults.hits()
    assert {kind: hits.get(kind, 0) - before.get(kind, 0) for kind in OVERCOME} == dict.fromkeys(OVERCOME, 1)


@pytest.mark.timeout(480)
async def test_a_launch_that_begins_after_its_attempt_was_given_up_runs_nothing(
    platform: Platform, tmp_path: Path
) -> None:
    with running(platform, tmp_path / "daemon") as harness:
        reset = await held_back(platform, harness)
        harness.act(reset, "cancel", reason="tests")
        harness.wait_state(reset, "cancelled")
        assert platform.faults.lasts(FaultKind.EXEC_BEGINS_LATE), "it has not begun yet"
        await begun(platform)
        (attempt,) = [one for one in harness.reset(reset)["attempts"] if one["control"]]
        assert attempt["outcome"]["facts"]["launched"] is False
        assert not harness.launches(harness.reset(reset)["id"])


@pytest.mark.timeout(480)
async def test_a_launch_that_begins_after_it_was_delivered_again_runs_nothing(
    platform: Platform, tmp_path: Path
) -> None:
    with running(platform, tmp_path / "daemon") as harness:
        reset = await held_back(platform, harness)
        harness.daemon.kill()
        harness.daemon.start()
        harness.daemon.wait_ready()
        harness.wait_state(reset, "done")
        await begun(platform)
        launches = harness.launches(harness.reset(reset)["id"])
        assert launches
        assert max(launches.values()) == 1


async def held_back(platform: Platform, harness: Harness) -> str:
    """A reset whose only launch so far was accepted, and begins once the faults are cleared."""
    await platform.faults.arm(Fault(FaultKind.EXEC_BEGINS_LATE, ENVIRONMENT, SERVICE, seconds=120))
    reset = ask(harness, SERVICE)
    wait_for(lambda: platform.faults.lasts(FaultKind.EXEC_BEGINS_LATE), "a launch is held back", within=SOON)
    return reset


async def begun(platform: Platform) -> None:
    """The launch that was held back has begun and ended; it would have claimed its attempt."""
    await platform.faults.clear()
