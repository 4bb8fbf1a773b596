"""What the hub knows besides git: who owns a repository, which rules protect a branch, pull requests, faults."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sandbox.fleet import FLEET
from sandbox.github.git import NOTHING, GitRepository, RefError, RefUpdate

OWNER = "fuse"
TOKEN = "sandbox-github-token"

_SEED_TIME = datetime(2025, 1, 6, 9, 0, tzinfo=UTC)
_HEADS = "refs/heads/"


@dataclass
class PullRequest:
    """An open pull request."""

    number: int
    title: str
    head: str
    base: str


@dataclass
class Notes:
    """What is kept beside the git objects, in `sandbox.json`."""

    id: int
    rules: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Short name of a branch -> its rules, as `rules/branches/{branch}` answers them: `{"type": "deletion"}`."""
    pulls: list[PullRequest] = field(default_factory=list)


class Repository:
    """A repository of the hub."""

    def __init__(self, directory: Path, owner: str, name: str, number: int) -> None:
        self.owner = owner
        self.name = name
        self.git = GitRepository(directory)
        self._notes_at = directory / "sandbox.json"
        if self._notes_at.exists():
            raw = json.loads(self._notes_at.read_text())
            raw["pulls"] = [PullRequest(**pull) for pull in raw["pulls"]]
            self.notes = Notes(**raw)
        else:
            self.notes = Notes(id=number)
            self.keep()

    @property
    def node_id(self) -> str:
        """The id that GraphQL knows it by."""
        return f"R_sandbox{self.notes.id:06d}"

    def keep(self) -> None:
        """Write the notes."""
        self._notes_at.write_text(json.dumps(asdict(self.notes)))

    def push(self, branch: str, message: str, files: dict[str, str]) -> str:
        """Commit on a branch as a person would, with these files changed; a new branch starts without a parent."""
        head = self.git.ref(_HEADS + branch)
        before = self.git.files(head) if head else {}
        at = self.git.read(head).at + timedelta(minutes=1) if head else _SEED_TIME
        sha = self.git.commit({**before, **files}, parents=[head] if head else [], message=message, at=at)
        self.git.update([RefUpdate(_HEADS + branch, sha, before=head or NOTHING)])
        return sha

    def update(self, updates: list[RefUpdate]) -> None:
        """Update refs by the API: rules of protected branches count.

        Raises:
            RefError: refused, by git or by a rule.
        """
        for one in updates:
            rules = {rule["type"] for rule in self.notes.rules.get(one.name.removeprefix(_HEADS), [])}
            now = self.git.ref(one.name)
            forced = bool(
                now
                and one.after != NOTHING
                and self.git.has(one.after)
                and all(commit.sha != now for commit in self.git.history(one.after))
            )
            if forced and "non_fast_forward" in rules:
                raise RefError(
                    "Repository rule violations found\n\nCannot force-push to this branch"
                    f"\n\n{one.name.removeprefix(_HEADS)}"
                )
            if "update" in rules or (one.after == NOTHING and "deletion" in rules):
                raise RefError("Repository rule violations found\n\nCannot update this protected ref.")
        self.git.update(updates)


@dataclass
class Fault:
    """What goes wrong with requests that match; `times` counts down.

    `action`: `status` answers `status`; `drop-before` closes the connection with nothing done, `drop-after` when it
    was done; `delay` answers after `seconds`.
    """

    match: str
    action: str
    times: int = 1
    status: int = 502
    seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)


class Hub:
    """All repositories under a directory, `OWNER/NAME.git` each."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        """`METHOD PATH` of each request to the API, in order."""
        self.app_keys: dict[str, str] = {}
        """App id -> public key (PEM)."""
        self.tokens = {TOKEN}
        for path in sorted(directory.glob("*/*.git")):
            self.make(path.parent.name, path.name.removesuffix(".git"))

    def make(self, owner: str, name: str) -> Repository:
        """The repository; made empty if it is not there."""
        key = (owner.lower(), name.lower())
        if key not in self.repositories:
            directory = self._directory / owner / f"{name}.git"
            self.repositories[key] = Repository(directory, owner, name, len(self.repositories) + 1)
        return self.repositories[key]

    def find(self, owner: str, name: str) -> Repository | None:
        """As GitHub does, without regard to case."""
        return self.repositories.get((owner.lower(), name.lower()))

    def by_node_id(self, node_id: str) -> Repository | None:
        """The repository that GraphQL means."""
        return next((one for one in self.repositories.values() if one.node_id == node_id), None)

    def fault(self, request: str) -> Fault | None:
        """The fault for `METHOD PATH`, if one is left."""
        for fault in self.faults:
            if fault.times > 0 and re.search(fault.match, request):
                fault.times -= 1
                return fault
        return None

    def seed(self) -> None:
        """`{client}-workflows` of each client of the fleet: an initial commit, and what people did since."""
        for client in sorted({environment.client for environment in FLEET}):
            repository = self.make(OWNER, f"{client}-workflows")
            if repository.git.refs():
                continue
            repository.push("main", "Initial commit", {"README.md": f"# Workflows of {client}\n"})
            for number, name in enumerate(("onboarding", "underwriting", "closing"), start=1):
                definition = json.dumps({"client": client, "name": name, "version": number}, indent=2)
                repository.push("main", f"Add workflow {name}", {f"{name}.json": definition + "\n"})
