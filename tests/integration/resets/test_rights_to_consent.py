"""Who has no right in production destroys nothing of production, in whichever environment's name it is asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.platform.platform import Platform
from tests.integration.people.consenting import (
    BEN,
    PRODUCTION,
    QUICK,
    SANDBOX,
    SOON,
    ask,
    commands,
    publish,
    quick_seeds,
    until_asked,
    untouched,
)
from tests.integration.people.people import Person, act, call, refusal, settings
from tests.integration.stand.harness import Harness, running
from tests.integration.stand.waiting import wait_for

SUE = Person("sue", ("operator",), ("*-sandbox",))
SAM = Person("sam", ("approver",), ("*-sandbox",))
"""Approves what is a sandbox's alone."""
PAM = Person("pam", ("approver",), ("*-production",))
"""Approves in production, and nothing in sandboxes."""
PEOPLE = (SUE, SAM, PAM, BEN)


@pytest.fixture(scope="module")
def daemon(los_demo: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """One daemon for all these tests; each brings its resets to their end."""
    directory = tmp_path_factory.mktemp("rights")
    with running(los_demo, directory, settings=settings(directory, PEOPLE)) as harness:
        yield harness


@pytest.fixture(autouse=True)
def paced(los_demo: Platform) -> Iterator[None]:
    with quick_seeds(los_demo):
        yield


@pytest.mark.timeout(480)
def test_d1_who_approves_only_in_a_sandbox_consents_to_nothing_that_a_production_uses(
    daemon: Harness, los_demo: Platform
) -> None:
    before = commands(los_demo)
    reference = ask(daemon, SUE, SANDBOX, mode="wipe", services=["ui-builder-api"], git=False)
    asked = until_asked(daemon, reference)
    plan = daemon.daemon.get(f"/api/v1/resets/{reference}/plan")
    assert plan["approversIn"] == [PRODUCTION, SANDBOX]

    def told() -> bool:
        waiting = daemon.reset(reference)["waitingFor"] or {"detail": ""}
        return f"approver in {PRODUCTION} and {SANDBOX}" in waiting["detail"]

    wait_for(told, "it says who may approve", within=SOON)
    answer = act(daemon, SAM, reference, "approve", planHash=asked["planHash"])
    assert refusal(answer) == (403, "forbidden")
    assert f"the role approver in {PRODUCTION}" in answer.json()["detail"]
    answer = act(daemon, PAM, reference, "approve", planHash=asked["planHash"])
    assert refusal(answer) == (403, "forbidden"), "who approves in production alone does not even see it"
    assert daemon.reset(reference)["approvals"]["given"] == []
    assert untouched(daemon, reference, before)
    assert act(daemon, BEN, reference, "approve", planHash=asked["planHash"]).status_code == 202
    daemon.wait_state(reference, "done")


@pytest.mark.timeout(480)
def test_d1_two_of_a_sandbox_do_not_consent_for_production_to_an_event_either(
    daemon: Harness, los_demo: Platform
) -> None:
    before = commands(los_demo)
    reference = publish(daemon, SANDBOX, "a pipeline", **QUICK)
    asked = until_asked(daemon, reference)
    answer = act(daemon, SAM, reference, "approve", planHash=asked["planHash"])
    assert refusal(answer) == (403, "forbidden")
    plan = daemon.daemon.get(f"/api/v1/resets/{reference}/plan")
    (warning,) = [one for one in plan["warnings"] if one.startswith("Too few people can approve this")]
    assert "only ben has a token for it" in warning
    assert PRODUCTION in warning
    assert untouched(daemon, reference, before)
    assert act(daemon, SAM, reference, "deny", reason="tests").status_code == 202, "to deny destroys nothing"
    daemon.wait_state(reference, "denied")
    assert call(daemon, SAM, "/api/v1/resets", environment=SANDBOX).status_code == 403
