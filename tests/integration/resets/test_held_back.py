"""People freeze and hold on the whole platform: what they said outlives the daemon that heard it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.people.asking import ENVIRONMENT, SOON, ask
from tests.integration.stand.harness import Harness
from tests.integration.stand.waiting import wait_for


def _post(harness: Harness, path: str, **body: Any) -> Any:  # noqa: ANN401 - JSON
    with harness.daemon.client() as client:
        answer = client.post(f"/api/v1{path}", json=body)
    assert answer.is_success, answer.text
    return answer.json()


def _waits(harness: Harness, reference: str, reason: str) -> None:
    def look() -> bool:
        waiting = harness.reset(reference)["waitingFor"]
        return waiting is not None and waiting["reason"] == reason

    wait_for(look, f"{reference} waits for a {reason}", within=SOON)


@pytest.mark.timeout(240)
def test_a_reset_waits_for_a_hold_then_for_a_freeze_through_a_kill_of_the_daemon(harness: Harness) -> None:
    end = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    held = _post(harness, f"/environments/{ENVIRONMENT}/hold", expiresAt=end, reason="a demo")
    assert any(key.startswith("database/") for key in held["keys"])
    _post(harness, "/freeze", all=True, expiresAt=end, reason="month's end")
    reference = ask(harness, "ui-builder-api", git=False)
    _waits(harness, reference, "freeze")
    harness.daemon.kill()
    harness.start()
    _post(harness, "/unfreeze", all=True)
    _waits(harness, reference, "hold")
    assert harness.launches(harness.reset(reference)["id"]).total() == 0
    _post(harness, f"/environments/{ENVIRONMENT}/unhold")
    harness.wait_state(reference, "done")
