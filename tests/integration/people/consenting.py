"""Those who ask for, agree to and end resets of one client's environments, and what tests ask in their names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sandbox.fleet import SERVICES
from sandbox.platform.platform import Platform
from sandbox.services.standins.controls import Control
from schemas.publish import ResetRequested
from tests.integration.people.people import Person, call
from tests.integration.stand.harness import Harness
from tests.integration.stand.waiting import wait_for

SANDBOX, PRODUCTION = "los-demo-sandbox", "los-demo-production"
ANA = Person("ana", ("operator", "approver"), ("los-demo-*",))
"""Asks for resets; that she may approve others' does not help her with her own."""
BEN = Person("ben", ("approver",), ("los-demo-*",))
CLEO = Person("cleo", ("approver",), ("*-sandbox", "*-production"))
DAN = Person("dan", ("operator",), ("los-demo-*",))
"""No approver."""
EVE = Person("eve", ("approver",), ("qa-*", "los-demo-sandbox"))
"""Approves elsewhere: not in production."""
FAY = Person("fay", ("requester", "approver"), ("los-demo-*",))
"""Asks, approves what others ask for, and operates nothing."""
GUS = Person("gus", ("requester",), ("los-demo-*",))
"""Asks, and nothing more."""
PEOPLE = (ANA, BEN, CLEO, DAN, EVE, FAY, GUS)
QUICK = {"mode": "seed", "services": ["ui-builder-api"], "git": False}
SOON = 30.0


@contextmanager
def quick_seeds(platform: Platform) -> Iterator[None]:
    """Let all seeds of the client take a moment; afterwards nothing is controlled."""
    for environment in (SANDBOX, PRODUCTION):
        for service in SERVICES:
            seeds = ("db:seed:data-builder", "seed:system", "seed:reset", "seed:sync", "seed")
            platform.control(environment, service, **dict.fromkeys(seeds, Control(seconds=0.05)))
    yield
    platform.clear_controls()


def ask(harness: Harness, person: Person, environment: str, **wanted: Any) -> str:  # noqa: ANN401 - JSON
    """Ask over HTTP; the reset's reference."""
    answer = call(harness, person, "/api/v1/resets", environment=environment, **wanted)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["reference"])


def publish(harness: Harness, environment: str, by: str, **wanted: Any) -> str:  # noqa: ANN401 - fields
    """Ask over Kafka; the reference of the reset that came of it."""
    known = {one["id"] for one in harness.resets(environment)}
    harness.publisher.publish(ResetRequested(environment=environment, requested_by=by, **wanted))

    def look() -> str | None:
        return next((one["reference"] for one in harness.resets(environment) if one["id"] not in known), None)

    return wait_for(look, f"a reset of {environment}", within=SOON)


def until_asked(harness: Harness, reference: str) -> dict[str, Any]:
    """The reset once it waits for people."""
    return harness.wait_state(reference, "awaiting-approval", within=SOON)


def until_given(harness: Harness, reference: str, *people: Person) -> None:
    """Until the reset has exactly these approvals."""

    def look() -> bool:
        given = harness.reset(reference)["approvals"]["given"]
        return [one["actor"] for one in given] == [one.subject for one in people]

    wait_for(look, f"{reference} approved by {[one.subject for one in people]}", within=SOON)


def commands(platform: Platform) -> int:
    """How many programs ran in pods until now, but for start scripts: the daemon's, whatever it calls them."""
    return sum(not one.start_script for one in platform.journal_reader().launches)


def untouched(harness: Harness, reference: str, before: int) -> bool:
    """Whether nothing at all was done: no program in any pod, no attempt, no backup."""
    reset = harness.reset(reference)
    backups = harness.daemon.get(f"/api/v1/backups?reset={reset['id']}")
    return commands(harness.platform) == before and not reset["attempts"] and not backups
