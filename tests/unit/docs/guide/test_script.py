"""The plan as a script for people: a real `sh` runs it, with programs of the guide's names that note their calls."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from daemon.api.guide_commands import script
from schemas.plan import Phase, Plan, PlannedStep, StepKind
from schemas.requests import Mode
from schemas.wire import ServiceName, StepName
from tests.unit.statemachines.planner.world import CATALOG, planned, request

KUBECTL = """\
case "$*" in
  *"get pods"*) echo pod/one ;;
  *migration:show*) printf '%s\\n' "$SHOWN" ;;
  *db:revert-migration*) eval "$REVERT" ;;
esac
"""
ALL_APPLIED = "[X] 1 First\n[X] 2 Second"
REVERTS = 'if [ "$(grep -c db:revert-migration "$CALLS")" -gt 2 ]; then echo "Nothing to revert!"; fi'


@dataclass
class Hand:
    """Somebody who runs a script."""

    directory: Path
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run it with what is set; kubectl and the others are in front of the PATH."""
        for program in ("kubectl", "pg_dump", "gh", "git"):
            path = self.directory / program
            path.write_text(
                f'#!/bin/sh\necho "{program} $*" >>"$CALLS"\n' + (KUBECTL if program == "kubectl" else "")
            )
            path.chmod(0o755)
        environment = {
            "PATH": f"{self.directory}:/usr/bin:/bin",
            "CALLS": str(self.directory / "calls"),
            "SHOWN": ALL_APPLIED,
            "REVERT": REVERTS,
        }
        return subprocess.run(
            ["/bin/sh"],  # the shell that its first line names
            input=text,
            env=environment | self.variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def calls(self, word: str) -> list[str]:
        """Calls that hold a word, in order."""
        path = self.directory / "calls"
        return [line for line in path.read_text().splitlines() if word in line] if path.exists() else []


@pytest.fixture
def wipe() -> Plan:
    return planned(request(mode=Mode.WIPE))


@pytest.fixture
def hand(tmp_path: Path, wipe: Plan) -> Hand:
    """With the address of every database."""
    names = {one.name for one in wipe.resources if one.kind == "database"}
    urls = {f"URL_OF_{name.replace('-', '_').upper()}": f"postgresql://h/{name}" for name in names}
    return Hand(tmp_path, urls)


def test_a_whole_wipe_runs_to_its_end(hand: Hand, wipe: Plan) -> None:
    done = hand.run(script(wipe, CATALOG))
    assert done.returncode == 0, done.stderr
    assert len(hand.calls("pg_dump")) == len({one.name for one in wipe.resources if one.kind == "database"})
    assert all("postgresql://h/" in call for call in hand.calls("pg_dump"))
    assert len(hand.calls("db:revert-migration")) == 3


def test_without_a_databases_address_nothing_is_touched(tmp_path: Path, wipe: Plan) -> None:
    hand = Hand(tmp_path)
    done = hand.run(script(wipe, CATALOG))
    assert done.returncode != 0
    assert "URL_OF_" in done.stderr
    assert hand.calls("") == []


def test_a_revert_that_fails_is_not_typed_again(hand: Hand, wipe: Plan) -> None:
    hand.variables["REVERT"] = "exit 1"
    done = hand.run(script(wipe, CATALOG))
    assert done.returncode != 0
    assert len(hand.calls("db:revert-migration")) == 1


def test_a_revert_is_typed_no_oftener_than_there_are_migrations_and_once_more(hand: Hand, wipe: Plan) -> None:
    hand.variables["REVERT"] = "echo reverted"
    done = hand.run(script(wipe, CATALOG))
    assert done.returncode != 0
    assert len(hand.calls("db:revert-migration")) == 3


def test_a_migration_that_is_pending_fails_the_check(hand: Hand, wipe: Plan) -> None:
    hand.variables |= {"SHOWN": "[X] 1 First\n[ ] 2 Second", "REVERT": "echo 'Nothing to revert!'"}
    verify = PlannedStep(
        name=StepName("verify.workflow-api"),
        phase=Phase.VERIFY,
        kind=StepKind.COMMAND,
        batch=99,
        service=ServiceName("workflow-api"),
        argv=("sh", "-c", "npx typeorm migration:show -d data-source.js"),
        fail_on=r"\[ \]",
    )
    asked = wipe.model_copy(update={"steps": (*wipe.steps, verify)})
    done = hand.run(script(asked, CATALOG))
    assert done.returncode != 0
    assert "[ ] 2 Second" in done.stdout
