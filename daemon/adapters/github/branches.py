"""Branches: the head and the roots of each, and what a person should know before it is rewound."""

from __future__ import annotations

from github import Github, UnknownObjectException
from github.Branch import Branch as NamedBranch
from github.Repository import Repository

from daemon.adapters.github.beside import look_beside, short
from daemon.adapters.github.connection import RedirectedError
from daemon.adapters.github.protection import look_at_protection
from daemon.ports.errors import PermanentError
from daemon.ports.repositories import Branch
from schemas.reasons import Reason
from schemas.repositories import RootCommit, listed, named

_MAX_COMMITS = 20_000


def find_repository(github: Github, full_name: str, identity: str = "") -> Repository:
    """Return the repository of exactly that owner and name, and of that id where one is given.

    GitHub answers for a renamed repository under its former name as well, and for one that took a name over.

    Raises:
        PermanentError: `repository-mismatch`.
    """
    try:
        repository = github.get_repo(full_name)
    except RedirectedError as error:
        if not error.leads_to_a_repository:
            raise
        raise _renamed(full_name, _name_at(github, error.location)) from error
    answered, answered_id = repository.full_name, str(repository.raw_data["node_id"])
    if answered.lower() != full_name.lower():
        raise _renamed(full_name, answered)
    if identity and identity != answered_id:
        raise PermanentError(
            Reason.REPOSITORY_MISMATCH,
            f"{full_name} is another repository than it was: it was deleted and made anew, or renamed",
            hint="`resetd resume ID --replan` plans with the one that has the name now.",
        )
    return repository


def _renamed(full_name: str, to: str) -> PermanentError:
    return PermanentError(
        Reason.REPOSITORY_MISMATCH,
        f"{full_name} is {to} by now: GitHub leads there",
        hint="Somebody renamed it, or another client has it. Name the right one in the catalog's `repositories`.",
    )


def _name_at(github: Github, location: str) -> str:
    """The name of the repository at an address, for people only; the address itself where it can't be read."""
    try:
        return str(github.requester.requestJsonAndCheck("GET", location)[1]["full_name"])
    except Exception:  # noqa: BLE001 - the refusal stands without the name
        return location


def read_branch(
    repository: Repository, branch: str | None, roots: dict[str, tuple[RootCommit, ...]]
) -> Branch:
    """Read a branch as it is. `roots` caches head -> roots, which never change for a commit."""
    name = branch or repository.default_branch
    found = _named(repository, name)
    if found.name != name:
        raise PermanentError(
            Reason.REPOSITORY_MISMATCH,
            f"{repository.full_name}: GitHub answers for the branch {found.name} in place of {name}",
            hint="Somebody renamed the branch. Name the right one in the catalog's `repositories`.",
        )
    head = found.commit.sha
    if head not in roots:
        roots[head] = _roots(repository, head)
    refusals, warnings = look_at_protection(repository, name, found.raw_data)
    return Branch(
        repository=repository.name,
        owner=repository.owner.login,
        branch=name,
        head=head,
        roots=roots[head],
        identity=repository.raw_data["node_id"],
        warnings=tuple(warnings),
        refusals=tuple(refusals),
        beside=look_beside(repository, name),
    )


def _named(repository: Repository, name: str) -> NamedBranch:
    """Find a branch.

    Raises:
        PermanentError: `repository-empty`: there is none at all. `repository-unidentified`: there is none of that name.
    """
    try:
        return repository.get_branch(name)
    except UnknownObjectException as error:
        there = [found.name for found in repository.get_branches().get_page(0)]
        if not there:
            raise PermanentError(
                Reason.REPOSITORY_EMPTY,
                f"{repository.full_name} has no commit",
                hint="Push its initial commit, or ask for the reset without git.",
            ) from error
        raise PermanentError(
            Reason.REPOSITORY_UNIDENTIFIED,
            f"{repository.full_name} has no branch {name}; it has {listed(*named(there))}",
            hint="Name the right one in the catalog's `repositories`.",
        ) from error


def _roots(repository: Repository, head: str) -> tuple[RootCommit, ...]:
    """Return the roots of a commit. All of its ancestors are read, to see every one.

    Raises:
        PermanentError: `repository-unidentified`: there are too many commits to read, or none is a root.
    """
    roots: list[RootCommit] = []
    for count, commit in enumerate(repository.get_commits(sha=head), start=1):
        if not commit.parents:
            roots.append(RootCommit(sha=commit.sha, title=short(commit.commit.message)))
        if count >= _MAX_COMMITS:
            raise PermanentError(
                Reason.REPOSITORY_UNIDENTIFIED,
                f"{repository.full_name}: more than {_MAX_COMMITS} commits, so its root was not looked for",
            )
    if not roots:
        raise PermanentError(
            Reason.REPOSITORY_UNIDENTIFIED, f"{repository.full_name}: GitHub shows no root commit of {head}"
        )
    return tuple(sorted(roots, key=lambda root: root.sha))
