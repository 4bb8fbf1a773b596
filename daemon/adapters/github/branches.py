"""Branches: the head and the one root of each, and what a person should know before it is rewound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from github import Github, GithubException
from github.Branch import Branch as NamedBranch
from github.Repository import Repository
from github.Tag import Tag

from daemon.adapters.github.connection import PAGE_SIZE, RedirectedError
from daemon.adapters.github.protection import look_at_protection
from daemon.ports.errors import PermanentError
from daemon.ports.repositories import Branch
from schemas.reasons import Reason

BACKUP_PREFIX = "backup/"
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


def read_branch(repository: Repository, branch: str | None, roots: dict[str, str]) -> Branch:
    """Read a branch as it is. `roots` caches head -> root, which never changes for a commit."""
    name = branch or repository.default_branch
    found = repository.get_branch(name)
    if found.name != name:
        raise PermanentError(
            Reason.REPOSITORY_MISMATCH,
            f"{repository.full_name}: GitHub answers for the branch {found.name} in place of {name}",
            hint="Somebody renamed the branch. Name the right one in the catalog's `repositories`.",
        )
    head = found.commit.sha
    if head not in roots:
        roots[head] = _one_root(repository, head)
    refusals, warnings = look_at_protection(repository, name, found.raw_data)
    return Branch(
        repository=repository.name,
        owner=repository.owner.login,
        branch=name,
        head=head,
        root=roots[head],
        identity=repository.raw_data["node_id"],
        warnings=(*warnings, *_left_alone(repository, name)),
        refusals=tuple(refusals),
    )


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


def _left_alone(repository: Repository, branch: str) -> Iterator[str]:
    """Texts about what a rewinding leaves alone. What can't be read is said, and refuses nothing."""
    looks: tuple[tuple[str, Callable[[], int]], ...] = (
        (
            f"open pull requests on {branch}",
            lambda: len(repository.get_pulls(state="open", base=branch).get_page(0)),
        ),
        ("other branches", lambda: len(_others(repository, branch))),
        ("tags", lambda: len(_names(repository.get_tags().get_page(0)))),
    )
    answers = True
    for what, look in looks:
        number = None
        try:
            number = look() if answers else None
        except GithubException:
            pass
        except Exception:  # noqa: BLE001 - what only warns refuses nothing, and what hangs is asked once
            answers = False
        if number is None:
            yield f"whether there are {what} can't be read: GitHub does not say"
        elif number:
            yield f"{_count(number)} {what} are left alone"


def _others(repository: Repository, branch: str) -> list[str]:
    return [
        name
        for name in _names(repository.get_branches().get_page(0))
        if name != branch and not name.startswith(BACKUP_PREFIX)
    ]


def _names(page: Sequence[NamedBranch | Tag]) -> list[str]:
    """The names of a page. TypeError where an answer that is no list of GitHub's was taken for one."""
    names = [each.name for each in page]
    if not all(isinstance(name, str) for name in names):
        raise TypeError("a list of names was asked for")
    return names


def _count(number: int) -> str:
    return f"{number} or more" if number >= PAGE_SIZE else str(number)
