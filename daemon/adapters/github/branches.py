"""Reading a branch: its head, its one root, and what a person should know before it is rewound."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from github.Repository import Repository

from daemon.adapters.github.connection import PAGE
from daemon.ports.errors import PermanentError
from daemon.ports.repositories import Branch
from schemas.reasons import Reason

BACKUPS = "backup/"
_MOST_COMMITS = 20_000
_FORBIDS_REWINDING = {"non_fast_forward", "update", "deletion", "required_linear_history", "pull_request"}


def read_branch(repository: Repository, branch: str | None, roots: dict[str, str]) -> Branch:
    """The branch as it is. `roots` remembers head -> root, which for a given commit never changes."""
    name = branch or repository.default_branch
    found = repository.get_branch(name)
    head = found.commit.sha
    if head not in roots:
        roots[head] = _one_root(repository, head)
    return Branch(
        repository=repository.name,
        owner=repository.owner.login,
        branch=name,
        head=head,
        root=roots[head],
        warnings=tuple(_warnings(repository, name, protected=found.protected)),
    )


def rules(repository: Repository, branch: str) -> list[str]:
    """The kinds of rules in force for a branch; GitHub also names those that the caller may bypass."""
    _, data = repository.requester.requestJsonAndCheck(
        "GET", f"{repository.url}/rules/branches/{quote(branch)}"
    )
    found: Any = data
    return sorted({str(rule["type"]) for rule in found})


def _one_root(repository: Repository, head: str) -> str:
    """Walk all commits: the last of the list is a root, but only the walk shows that there is no other."""
    roots: list[str] = []
    for count, commit in enumerate(repository.get_commits(sha=head), start=1):
        if not commit.parents:
            roots.append(commit.sha)
        if count >= _MOST_COMMITS:
            raise PermanentError(
                Reason.REPOSITORY_UNIDENTIFIED,
                f"{repository.full_name}: more than {_MOST_COMMITS} commits, so its root was not looked for",
            )
    if len(roots) != 1:
        raise PermanentError(
            Reason.REPOSITORY_UNIDENTIFIED,
            f"{repository.full_name}: {head} descends from {len(roots)} root commits, not from one",
            hint="Somebody merged an unrelated history; which commit is the initial one is for people to say.",
        )
    return roots[0]


def _warnings(repository: Repository, branch: str, *, protected: bool) -> list[str]:
    found = []
    forbidding = [rule for rule in rules(repository, branch) if rule in _FORBIDS_REWINDING]
    if forbidding:
        found.append(f"rules of {branch} may refuse the rewinding: {', '.join(forbidding)}")
    elif protected:
        found.append(f"{branch} is a protected branch: it may refuse the rewinding")
    pulls = repository.get_pulls(state="open", base=branch).get_page(0)
    if pulls:
        found.append(f"{_count(len(pulls))} open pull requests on {branch} are left alone")
    others = [
        one.name
        for one in repository.get_branches().get_page(0)
        if one.name != branch and not one.name.startswith(BACKUPS)
    ]
    if others:
        found.append(f"{_count(len(others))} other branches are left alone")
    tags = repository.get_tags().get_page(0)
    if tags:
        found.append(f"{_count(len(tags))} tags are left alone")
    return found


def _count(number: int) -> str:
    return f"{number} or more" if number >= PAGE else str(number)
