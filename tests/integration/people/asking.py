"""What tests ask of a daemon that runs, and of the witness: resets, acts, the command line, launches."""

from __future__ import annotations

import subprocess
from typing import Any

from sandbox.journal import Launch
from tests.integration.stand.harness import Harness
from tests.integration.stand.starts import forks
from tests.integration.stand.waiting import wait_for

ENVIRONMENT = "qa-sandbox"
SEEDED = {
    "data-builder-api": "seed.data-builder-api.data-builder",
    "los-core-api": "seed.los-core-api.system",
    "los-integrations": "seed.los-integrations.sync",
    "sequence-builder-api": "seed.sequence-builder-api.seed",
    "ui-builder-api": "seed.ui-builder-api.seed",
    "workflow-api": "seed.workflow-api.seed",
}
"""The step that seeds a service in mode `seed`."""
SOON = 40.0
"""Seconds for one thing to happen on a machine that other tests load, too."""


def ask(harness: Harness, *services: str, mode: str = "seed", **wanted: Any) -> str:  # noqa: ANN401 - JSON
    """Ask for a reset of some services over HTTP; its reference."""
    body = {"environment": ENVIRONMENT, "mode": mode, "services": services or None, **wanted}
    with harness.daemon.client() as client:
        answer = client.post("/api/v1/resets", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["reference"])


def act(harness: Harness, reference: str, kind: str, **body: Any) -> None:  # noqa: ANN401 - JSON
    """Do that to a reset, and wait until its holder has applied it."""
    before = harness.reset(reference)["sequence"]
    answer = harness.act(reference, kind, **body)
    assert answer.status_code == 202, answer.text
    wait_for(lambda: harness.reset(reference)["sequence"] > before, f"{kind} is applied", within=SOON)


def step(harness: Harness, reference: str, name: str) -> dict[str, Any]:
    """One step as the API shows it."""
    found: dict[str, Any] = next(one for one in harness.reset(reference)["steps"] if one["name"] == name)
    return found


def attempts(harness: Harness, reference: str, name: str) -> list[dict[str, Any]]:
    """All attempts at a step, oldest first."""
    return [one for one in harness.reset(reference)["attempts"] if one["step"] == name]


def until_attempted(harness: Harness, reference: str, name: str, number: int = 1) -> dict[str, Any]:
    """That attempt at the step, once it has ended."""

    def look() -> dict[str, Any] | None:
        ended = [one for one in attempts(harness, reference, name) if one["finishedAt"]]
        return ended[number - 1] if len(ended) >= number else None

    return wait_for(look, f"attempt {number} at {name} has ended", within=SOON)


def until_running(harness: Harness, reference: str, name: str) -> Launch:
    """The outermost launch of that step's attempt, once the witness has seen a program of its command at work."""
    marker = f"{harness.reset(reference)['id']}/{name}/"

    def look() -> Launch | None:
        running = [
            one
            for one in harness.platform.journal_reader().launches
            if one.running and (one.attempt or "").startswith(marker)
        ]
        # npm has launched what does the work: only then is it in the middle of anything.
        return next((one for one in running if one.outermost), None) if len(running) > 1 else None

    return wait_for(look, f"{name} of {reference} runs", within=SOON)


def left_running(harness: Harness, reference: str) -> list[str]:
    """Processes of the reset's attempts that the witness has not seen end."""
    marker = f"{harness.reset(reference)['id']}/"
    return [
        f"{one.attempt}: {one.command}"
        for one in harness.platform.journal_reader().launches
        if one.running and (one.attempt or "").startswith(marker)
    ]


def launched(harness: Harness, reference: str, name: str) -> list[int]:
    """How often each attempt at the step was launched, by the witness; those never launched are not in it."""
    reset_id = harness.reset(reference)["id"]
    counts = harness.launches(reset_id)
    return [count for attempt, count in sorted(counts.items()) if attempt.startswith(f"{reset_id}/{name}/")]


def resetd(harness: Harness, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line against this daemon, without a terminal."""
    return forks().run(arguments, {**harness.daemon.environment, "COLUMNS": "200"}, within=120)
