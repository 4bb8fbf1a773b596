"""One reset done twice, on databases that are equally dirty: typed by a person, then by the daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

from sandbox.journal import Launch
from sandbox.platform.platform import Platform
from sandbox.platform.snapshots import Snapshots, taken
from sandbox.services.contents import Contents
from sandbox.services.standins.controls import Control
from schemas.publish import ResetRequested
from tests.integration.by_hand.typing import Hands, hands
from tests.integration.stand.harness import Harness, running
from tests.integration.stand.starts import forks

ENVIRONMENT = "qa-sandbox"
REPOSITORY = "qa-workflows"
QUICK = Control(seconds=0.02)
_SEEDS = {
    "data-builder-api": ["db:seed:data-builder"],
    "los-core-api": ["seed:system", "seed:mock"],
    "los-integrations": ["seed:sync", "seed:reset"],
    "sequence-builder-api": ["seed"],
    "ui-builder-api": ["seed", "populate-core-entities"],
    "workflow-api": ["seed"],
}
# What the daemon asks a pod beside the plan's steps: nothing that changes anything.
_QUESTIONS = (
    "npx prisma db execute --stdin --schema=",
    "npx typeorm query SELECT pg_notify(",
    "npx typeorm migration:show ",
)

Typed = tuple[tuple[str, str], ...]
"""(service, text) of each command, in order."""


@dataclass(frozen=True)
class Case:
    """What is asked for, and the commands that the guide has a person type for it."""

    fields: dict[str, Any]
    typed: Typed
    outdated: frozenset[str] = frozenset()
    """Databases that lack their last migration."""
    git: bool = True
    """Whether the repository is to go back to its root."""


@dataclass(frozen=True)
class Done:
    """What a reset left, which is what the person's commands leave: `databases` by name."""

    reset: dict[str, Any]
    databases: dict[str, Contents]

    def column(self, database: str, table: str, column: str) -> set[object]:
        """Values of one column."""
        return {dict(map(tuple, row))[column] for row in self.databases[database][table]}


class Stage:
    """The environment, its snapshots, a person and a daemon."""

    def __init__(self, platform: Platform, harness: Harness, person: Hands, snapshots: Snapshots) -> None:
        self.platform = platform
        self.harness = harness
        self.person = person
        self.snapshots = snapshots
        self._asked = 0

    def play(self, case: Case, *, by_command_line: tuple[str, ...] = ()) -> Done:
        """Both do it; asserts that databases, repository and the witness's journal are as they have to be.

        The daemon is asked by an event, or by `resetd request` with these arguments.
        """
        self.snapshots.put_back(case.outdated)
        for service, text in case.typed:
            self.person.type_well(service, text)
        expected = self.databases()
        self.snapshots.put_back(case.outdated)
        head = asyncio.run(self.platform.github.push(REPOSITORY, {"own.json": "{}"}, message="Of a user"))
        before = len(self.platform.journal_reader().outermost())
        if by_command_line:
            self.type_resetd("request", ENVIRONMENT, *by_command_line, "--wait")
        else:
            wanted = ResetRequested(environment=ENVIRONMENT, requested_by="tests", **case.fields)
            self.harness.publisher.publish(wanted)
        self._asked += 1
        reset = self.harness.wait_state(f"{ENVIRONMENT}/{self._asked}", "done")
        self._assert_verified(case, reset)
        self._assert_journal(case, reset["id"], self.platform.journal_reader().outermost()[before:])
        self._assert_repository(case, reset["id"], head)
        found = self.databases()
        for name, contents in expected.items():
            assert found[name] == contents, f"{name} is not what the commands leave that are typed by hand"
        return Done(reset, found)

    def databases(self) -> dict[str, Contents]:
        """What is in each, by name."""
        held = self.platform.contents(ENVIRONMENT)
        return {place.partition("/")[2]: contents for place, contents in held.items()}

    def type_resetd(self, *arguments: str) -> str:
        """The command line, which has to end with 0: what it prints."""
        token = (self.harness.daemon.directory / "operator-token").read_text().strip()
        done = forks().run(arguments, {**self.harness.daemon.environment, "RESETD_TOKEN": token}, within=90)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _assert_verified(self, case: Case, reset: dict[str, Any]) -> None:
        """The daemon looked itself for the migrations of each service of the plan."""
        steps = self.harness.reset(reset["reference"])["steps"]
        checked = {
            name.split(".")[1]
            for name in (step["name"] for step in steps if step["state"] == "succeeded")
            if name.startswith("verify.") and name.endswith(".migrations")
        }
        planned = {service for service, _ in case.typed}
        assert checked == planned, f"verified: {checked}, planned: {planned}"

    def _assert_journal(self, case: Case, reset_id: str, launched: tuple[Launch, ...]) -> None:
        """Exactly the expected commands, one after another, once each; else questions only."""
        mine = [one for one in launched if one.attempt and one.attempt.startswith(f"{reset_id}/")]
        asked = [one for one in launched if one not in mine]
        ran = tuple((one.service, one.command) for one in mine)
        assert ran == case.typed, f"launched: {ran}\nexpected: {case.typed}"
        assert len({one.attempt for one in mine}) == len(mine), f"an attempt was launched twice: {mine}"
        failed = [(one.command, one.exit_code) for one in mine if one.exit_code != 0]
        assert not failed, f"exit codes: {failed}"
        for former, latter in pairwise(mine):
            assert former.ended is not None, f"no end of {former.command}"
            assert former.ended <= latter.started, f"{former.command} and {latter.command} overlap"
        strange = [one.command for one in asked if not one.command.startswith(_QUESTIONS)]
        assert not strange, f"launched without an attempt: {strange}"

    def _assert_repository(self, case: Case, reset_id: str, head: str) -> None:
        refs = asyncio.run(self.platform.github.refs(REPOSITORY))
        backup = f"refs/heads/backup/{reset_id}"
        if case.git:
            assert refs["refs/heads/main"] == self._root(head), f"not at the root: {refs}"
            assert refs.get(backup) == head, f"no backup branch at {head}: {refs}"
        else:
            assert refs["refs/heads/main"] == head, f"moved from {head}: {refs}"
            assert backup not in refs, f"nothing was to be backed up: {refs}"

    def _root(self, head: str) -> str:
        """The commit without parents that `head` goes back to."""
        hub = self.platform.github
        answer = httpx.get(
            f"{hub.url}/repos/{hub.owner}/{REPOSITORY}/commits",
            params={"sha": head, "per_page": 100},
            headers={"Authorization": f"Bearer {hub.token}"},
            trust_env=False,
        )
        root: dict[str, Any] = answer.raise_for_status().json()[-1]
        assert root["parents"] == [], f"more commits than one page: {root}"
        return str(root["sha"])


@contextmanager
def standing(platform: Platform, directory: Path) -> Iterator[Stage]:
    """A stage with a daemon of its own; the environment is in order at the end."""
    with (
        taken(platform, ENVIRONMENT) as snapshots,
        running(platform, directory) as harness,
        hands(platform, ENVIRONMENT) as person,
    ):
        for service, commands in _SEEDS.items():
            platform.control(ENVIRONMENT, service, **dict.fromkeys(commands, QUICK))
        yield Stage(platform, harness, person, snapshots)
