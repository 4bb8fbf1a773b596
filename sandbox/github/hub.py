"""The hub and its repositories: what it knows besides git are owners, branch rules, pull requests and faults."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from sandbox.fleet import FLEET
from sandbox.github.git import NOTHING, ForbiddenError, GitRepository, RefError, RefUpdate

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
    """What a repository keeps in `sandbox.json`, beside its git objects."""

    id: int
    rules: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """The rules of each branch, by its short name, as `rules/branches/{branch}` answers: `{"type": "deletion"}`."""
    pulls: list[PullRequest] = field(default_factory=list)
    classic: dict[str, bool] = field(default_factory=dict)
    """Branches with classic protection, by their short names -> whether it allows force pushes."""
    protection: dict[str, Any] = field(default_factory=dict)
    """What else the answer about classic protection says, such as `{"lock_branch": {"enabled": true}}`."""
    bypass: str = "never"
    """What the rulesets say of whether the caller can bypass them."""
    archived: bool = False
    disabled: bool = False
    push: bool | None = True
    """Whether the caller may push; None: the answer has no permissions."""
    hidden: list[str] = field(default_factory=list)
    """What the caller may not read: `rules`, `pulls`, `branches`, `tags`, `protection`, `rulesets`."""


class Repository:
    """A repository of the hub."""

    def __init__(self, directory: Path, owner: str, name: str, number: int) -> None:
        self.owner = owner
        self.name = name
        self.directory = directory
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
        """The repository's id in GraphQL."""
        return f"R_sandbox{self.notes.id:06d}"

    def keep(self) -> None:
        """Write the notes to the disk."""
        self._notes_at.write_text(json.dumps(asdict(self.notes)))

    def push(self, branch: str, message: str, files: dict[str, str]) -> str:
        """Commit changed files on a branch as a person would; the first commit of a branch has no parent."""
        head = self.git.ref(_HEADS + branch)
        before = self.git.files(head) if head else {}
        at = self.git.read(head).at + timedelta(minutes=1) if head else _SEED_TIME
        sha = self.git.commit({**before, **files}, parents=[head] if head else [], message=message, at=at)
        self.git.update([RefUpdate(_HEADS + branch, sha, before=head or NOTHING)])
        return sha

    def rules_of(self, branch: str) -> list[dict[str, Any]]:
        """Return the rules of a branch, even of one that is not made yet."""
        matching = (rules for pattern, rules in self.notes.rules.items() if fnmatch(branch, pattern))
        return [rule for rules in matching for rule in rules]

    def update(self, updates: list[RefUpdate]) -> None:
        """Update refs as the API does, by the rules of protected branches.

        Raises:
            RefError: git or a rule refuses.
        """
        if self.notes.archived:
            raise RefError("Repository was archived so is read-only.")
        if self.notes.push is False:
            raise ForbiddenError("Resource not accessible by integration")
        for update in updates:
            rules = {rule["type"] for rule in self.rules_of(update.name.removeprefix(_HEADS))}
            now = self.git.ref(update.name)
            forced = bool(
                now
                and update.after != NOTHING
                and self.git.has(update.after)
                and all(commit.sha != now for commit in self.git.history(update.after))
            )
            if forced and self.notes.classic.get(update.name.removeprefix(_HEADS)) is False:
                raise RefError("Cannot force-push to this protected branch")
            if self.notes.bypass == "always":
                continue
            if forced and "non_fast_forward" in rules:
                raise RefError(
                    "Repository rule violations found\n\nCannot force-push to this branch"
                    f"\n\n{update.name.removeprefix(_HEADS)}"
                )
            made, deleted = now is None, update.after == NOTHING
            binding = {"creation"} if made else {"deletion"} if deleted else {"update"}
            if binding & rules:
                verb = "create" if made else "delete" if deleted else "update"
                raise RefError(f"Repository rule violations found\n\nCannot {verb} this protected ref.")
        self.git.update(updates)


@dataclass
class Fault:
    """A fault that requests meet whose `METHOD PATH` matches; `times` counts down.

    `action` is one of: `status` answers with `status`; `drop-before` closes the connection before anything is done,
    `drop-after` when the request was carried out; `garbage-after` answers then with a page that is no answer; `delay`
    answers after `seconds`.
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
        """The requests to the API in order, each as `METHOD PATH`."""
        self.app_keys: dict[str, str] = {}
        """The public keys (PEM) of GitHub Apps, by the app's id."""
        self.app_permissions: dict[str, dict[str, str]] = {}
        """What each GitHub App may do, by the app's id."""
        self.tokens = {TOKEN}
        self.renamed: dict[tuple[str, str], tuple[str, str]] = {}
        """Former (owner, name) in lower case -> the present one. A new repository takes its name back."""
        self._numbers = 0
        for path in sorted(directory.glob("*/*.git")):
            self.make(path.parent.name, path.name.removesuffix(".git"))

    def make(self, owner: str, name: str) -> Repository:
        """Return the repository, and make an empty one if there is none."""
        key = (owner.lower(), name.lower())
        if key not in self.repositories:
            self.renamed.pop(key, None)
            self._numbers += 1
            directory = self._directory / owner / f"{name}.git"
            self.repositories[key] = Repository(directory, owner, name, self._numbers)
        return self.repositories[key]

    def find(self, owner: str, name: str) -> Repository | None:
        """Find a repository without regard to case, as GitHub does; None where there is none."""
        return self.repositories.get((owner.lower(), name.lower()))

    def leads_to(self, owner: str, name: str) -> Repository | None:
        """Find the repository that a former name leads to; None where it leads nowhere."""
        present = self.renamed.get((owner.lower(), name.lower()))
        return self.find(*present) if present is not None else None

    def rename(self, owner: str, name: str, to: str) -> None:
        """Rename a repository; the former name leads to it. A repository that has that name already takes its place."""
        moved = self.repositories.pop((owner.lower(), name.lower()))
        if self.find(owner, to) is None:
            moved.name = to
            self.repositories[owner.lower(), to.lower()] = moved
        self.renamed[owner.lower(), name.lower()] = (owner, to)

    def delete(self, owner: str, name: str) -> None:
        """Delete a repository with all that it holds."""
        gone = self.repositories.pop((owner.lower(), name.lower()))
        shutil.rmtree(gone.directory)

    def by_node_id(self, node_id: str) -> Repository | None:
        """Find a repository by its id in GraphQL; None where there is none."""
        return next((found for found in self.repositories.values() if found.node_id == node_id), None)

    def fault(self, request: str) -> Fault | None:
        """Take the fault that a request `METHOD PATH` meets; None where none is left."""
        for fault in self.faults:
            if fault.times > 0 and re.search(fault.match, request):
                fault.times -= 1
                return fault
        return None

    def seed(self) -> None:
        """Make `{client}-workflows` for each client of the fleet: an initial commit, and what people did since."""
        for client in sorted({environment.client for environment in FLEET}):
            repository = self.make(OWNER, f"{client}-workflows")
            if repository.git.refs():
                continue
            repository.push("main", "Initial commit", {"README.md": f"# Workflows of {client}\n"})
            for number, name in enumerate(("onboarding", "underwriting", "closing"), start=1):
                definition = json.dumps({"client": client, "name": name, "version": number}, indent=2)
                repository.push("main", f"Add workflow {name}", {f"{name}.json": definition + "\n"})
