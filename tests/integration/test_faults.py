"""Faults of the running platform hit the daemon, are counted, and leave nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.faults import Fault, FaultKind, Group
from sandbox.platform import Platform
from schemas.publish import ResetRequested
from tests.integration.harness import running

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


@pytest.mark.timeout(240)
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
