"""What stands beside a branch: open pull requests, other branches, tags. It informs people, and refuses nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TypeVar

from github import GithubException
from github.PullRequest import PullRequest as OpenPullRequest
from github.Repository import Repository

from daemon.redaction import redact
from schemas.repositories import Beside, PullRequest, named
from statemachines.branch_retention import PREFIX

_MOST_READ = 1000
"""Of each kind; a repository with more has 1,000 for people."""
_MOST_OF_A_TITLE = 80

_Found = TypeVar("_Found")


def look_beside(repository: Repository, branch: str) -> Beside:
    """Read what stands beside a branch. What can't be read is said."""
    looks = _Looks()
    pulls, more_pulls = named(looks.at("pull requests", lambda: _pull_requests(repository, branch)))
    branches, more_branches = named(looks.at("branches", lambda: _other_branches(repository, branch)))
    tags, more_tags = named(looks.at("tags", lambda: _names(repository.get_tags())))
    return Beside(
        pull_requests=pulls,
        more_pull_requests=more_pulls,
        branches=branches,
        more_branches=more_branches,
        tags=tags,
        more_tags=more_tags,
        unread=tuple(looks.failed),
    )


def short(text: str) -> str:
    """Return the first line of what a person wrote, without secrets and cut at 80 characters."""
    line = " ".join((text.strip().splitlines() or [""])[0].split())
    cut = line if len(line) <= _MOST_OF_A_TITLE else f"{line[: _MOST_OF_A_TITLE - 3]}..."
    return redact("".join(letter if letter.isprintable() else "?" for letter in cut))


class _Looks:
    """Asks one thing after the other. After one that hangs or is garbage, nothing more is asked."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self._answers = True

    def at(self, what: str, look: Callable[[], Sequence[_Found]]) -> Sequence[_Found]:
        try:
            if self._answers:
                return look()
        except GithubException:
            pass
        except Exception:  # noqa: BLE001 - what only warns refuses nothing, and what hangs is asked once
            self._answers = False
        self.failed.append(what)
        return ()


def _pull_requests(repository: Repository, branch: str) -> list[PullRequest]:
    """List those to the branch and those from it, by their numbers."""
    from_it = f"{repository.owner.login}:{branch}"
    found = [
        *islice(repository.get_pulls(state="open", base=branch), _MOST_READ),
        *islice(repository.get_pulls(state="open", head=from_it), _MOST_READ),
    ]
    by_number = {pull.number: _pull_request(repository, pull) for pull in found}
    return [by_number[number] for number in sorted(by_number)]


def _pull_request(repository: Repository, pull: OpenPullRequest) -> PullRequest:
    head = pull.head.ref
    # A fork that is gone leaves its pull requests behind.
    ours = pull.head.repo is not None and pull.head.repo.id == repository.id
    return PullRequest(
        number=pull.number,
        title=short(pull.title),
        head=head if ours else str(pull.head.label or head),
        base=pull.base.ref,
    )


def _other_branches(repository: Repository, branch: str) -> list[str]:
    return [
        name for name in _names(repository.get_branches()) if name != branch and not name.startswith(PREFIX)
    ]


def _names(found: Iterable[object]) -> list[str]:
    """The names of a list. TypeError where an answer that is no list of GitHub's was taken for one."""
    names = [getattr(each, "name", None) for each in islice(found, _MOST_READ)]
    texts = [name for name in names if isinstance(name, str)]
    if len(texts) != len(names):
        raise TypeError("a list of names was asked for")
    return texts
