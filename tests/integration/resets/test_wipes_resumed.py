"""A reset whose own wipe took what people agreed to lose goes on as it was agreed to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.platform.platform import Platform
from sandbox.services.standins.controls import Control
from tests.integration.people.asking import ENVIRONMENT, act, ask, launched
from tests.integration.resets.test_wipes import asked
from tests.integration.stand.harness import Harness, running
from tests.integration.stand.shipped_catalog import shipped_catalog, write_catalog

SEQUENCE = "sequence-builder-api"
WIPE, SEED = "seed.sequence-builder-api.reset", "seed.sequence-builder-api.seed"
LOST = "grants to PUBLIC"


@pytest.fixture
def harness(platform: Platform, tmp_path: Path) -> Iterator[Harness]:
    """A daemon whose catalog lets the grants of everybody be lost."""
    whole = shipped_catalog()
    (service,) = [one for one in whole["services"] if one["name"] == SEQUENCE]
    service["databases"][0]["knownLosses"] = [LOST]
    file = write_catalog(tmp_path, whole)
    with running(platform, tmp_path / "daemon", settings={"RESETD_CATALOG": str(file)}) as harness:
        yield harness
    platform.clear_controls()
    asked(platform, SEQUENCE, "REVOKE ALL ON sequences FROM PUBLIC, pg_monitor")


@pytest.mark.timeout(480)
def test_d1_a_reset_is_resumed_after_its_wipe_took_what_was_agreed_to_be_lost(harness: Harness) -> None:
    platform = harness.platform
    asked(platform, SEQUENCE, "GRANT SELECT ON sequences TO PUBLIC")
    # The schema is gone, and no migration has come yet.
    broken = {"prisma migrate reset": Control(fail="the migration is broken")}
    platform.control(ENVIRONMENT, SEQUENCE, **broken)
    reference = ask(harness, SEQUENCE, mode="wipe", git=False)
    failed = harness.wait_state(reference, "failed")
    plan = harness.daemon.get(f"/api/v1/resets/{reference}/plan")
    assert [loss["name"] for one in plan["steps"] for each in one["wipes"] for loss in each["losses"]] == [
        LOST
    ]
    assert failed["stoppedAt"] == WIPE
    assert asked(platform, SEQUENCE, "SELECT to_regclass('sequences') IS NULL")
    platform.clear_controls()
    platform.control(ENVIRONMENT, SEQUENCE, seed=Control(fail="the seed is broken"))
    act(harness, reference, "resume")
    failed = harness.wait_state(reference, "failed")
    assert (failed["stoppedAt"], failed["cause"]) == (SEED, "command-failed")
    platform.clear_controls()
    # Whatever is there now is not lost by a wipe that is done.
    asked(platform, SEQUENCE, "GRANT SELECT ON sequences TO PUBLIC")
    asked(platform, SEQUENCE, "GRANT SELECT ON sequences TO pg_monitor")
    act(harness, reference, "resume")
    done = harness.wait_state(reference, "done")
    assert done["planHash"] == plan["hash"]
    assert launched(harness, reference, WIPE) == [1, 1]
    assert launched(harness, reference, SEED) == [1, 1]
