"""Repositories as a hub shows them: their root commits, what stands beside a branch, and what forbids to rewind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pydantic import Field

from schemas.reasons import Reason
from schemas.wire import Wire

MOST_NAMED = 20
"""How many pull requests, branches or tags are named; of more there is a number."""

_Named = TypeVar("_Named")


class RootCommit(Wire):
    """A commit without parents that a branch descends from."""

    sha: str
    title: str = ""
    """The first line of its message, for people."""


class RepositoryRefusal(Wire):
    """Why the hub would refuse to rewind a branch, or to make its backup branch."""

    reason: Reason
    detail: str


class PullRequest(Wire):
    """An open pull request from or to a branch."""

    number: int
    title: str
    head: str
    """The branch that it comes from; `{owner}:{branch}` where that is in a fork."""
    base: str
    """The branch that it goes to."""

    def __str__(self) -> str:
        """Write it for people: `12 (Add closing, from closing)`."""
        return f"{self.number} ({self.title}, from {self.head} to {self.base})"


class Beside(Wire):
    """What stands beside a branch and is left alone when that is rewound. At most `MOST_NAMED` of each are named."""

    pull_requests: tuple[PullRequest, ...] = ()
    """The open ones to the branch or from it: the rewinding takes the history away that they build on."""
    more_pull_requests: int = Field(default=0, ge=0)
    branches: tuple[str, ...] = ()
    """Other branches; backup branches are none of them."""
    more_branches: int = Field(default=0, ge=0)
    tags: tuple[str, ...] = ()
    more_tags: int = Field(default=0, ge=0)
    unread: tuple[str, ...] = ()
    """What could not be read: `pull requests`, `branches`, `tags`."""


def named(found: Sequence[_Named]) -> tuple[tuple[_Named, ...], int]:
    """Return the ones to name, and how many more there are."""
    return tuple(found[:MOST_NAMED]), max(len(found) - MOST_NAMED, 0)


def listed(names: Sequence[object], more: int) -> str:
    """Write names for people: `a, b, and 31 more`."""
    text = ", ".join(map(str, names))
    return f"{text}, and {more} more" if more else text
