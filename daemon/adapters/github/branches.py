"""Branches: the head and the one root of each, and what a person should know before it is rewound."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from github.Repository import Repository

from daemon.adapters.github.connection import PAGE_SIZE
from daemon.ports.errors import PermanentError
from daemon.ports.repositories import Branch
from schemas.reasons import Reason

_BACKUP_PREFIX = "backup/"
_MAX_COMMITS = 20_000
_RULES_AGAINST_REWINDING = {
    "non_fast_forward",
    "update",
    "deletion",
    "required_linear_history",
    "pull_request",
}


def read_branch(repository: Repository, branch: str | None, roots: dict[str, str]) -> Branch:
    """Read a branch as it is. `roots` caches head -> root, which never changes for a commit."""
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


def rules_in_force(repository: Repository, branch: str) -> list[str]:
    """Return the kinds of rules in force for a branch. GitHub also names rules that the caller may bypass."""
    _, data = repository.requester.requestJsonAndCheck(
        "GET", f"{repository.url}/rules/branches/{quote(branch)}"
    )
    found: Any = data
    return sorted({str(rule["type"]) for rule in found})


def _one_root(repository: Repository, head: str) -> str:
    """Return the one root of a commit. All of its ancestors are read, to see that there is no second root.

    Raises:
        PermanentError: `repository-unidentified`: there are several roots, or too many commits to read.
    """
    roots: list[str] = []
    for count, commit in enumerate(repository.get_commits(sha=head), start=1):
        if not commit.parents:
            roots.append(commit.sha)
        if count >= _MAX_COMMITS:
            raise PermanentError(
                Reason.REPOSITORY_UNIDENTIFIED,
                f"{repository.full_name}: more than {_MAX_COMMITS} commits, so its root was not looked for",
            )
    if len(roots) != 1:
        raise PermanentError(
            Reason.REPOSITORY_UNIDENTIFIED,
            f"{repository.full_name}: {head} descends from {len(roots)} root commits, not from one",
            hint="Somebody merged an unrelated history; which commit is the initial one is for people to say.",
        )
    return roots[0]


def _warnings(repository: Repository, branch: str, *, protected: bool) -> list[str]:
    warnings = []
    forbidding = [rule for rule in rules_in_force(repository, branch) if rule in _RULES_AGAINST_REWINDING]
    if forbidding:
        warnings.append(f"rules of {branch} may refuse the rewinding: {', '.join(forbidding)}")
    elif protected:
        warnings.append(f"{branch} is a protected branch: it may refuse the rewinding")
    pulls = repository.get_pulls(state="open", base=branch).get_page(0)
    if pulls:
        warnings.append(f"{_count(len(pulls))} open pull requests on {branch} are left alone")
    others = [
        other.name
        for other in repository.get_branches().get_page(0)
        if other.name != branch and not other.name.startswith(_BACKUP_PREFIX)
    ]
    if others:
        warnings.append(f"{_count(len(others))} other branches are left alone")
    tags = repository.get_tags().get_page(0)
    if tags:
        warnings.append(f"{_count(len(tags))} tags are left alone")
    return warnings


def _count(number: int) -> str:
    return f"{number} or more" if number >= PAGE_SIZE else str(number)
