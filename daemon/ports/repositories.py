"""Repositories: reading a branch, and rewinding it with a backup branch in one compare-and-swap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Branch:
    """A branch as it is."""

    repository: str
    """`{client}-workflows`, without the owner."""
    owner: str
    branch: str
    head: str
    root: str
    """The one commit without parents that `head` descends from."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rewound:
    """What a reset of a branch did, read back."""

    before: str
    after: str
    backup_branch: str
    already: bool
    """Whether the branch was at its root commit before anything was done."""


class Repositories(Protocol):
    """Every method raises TemporaryError (`repository-unreachable`) or PermanentError."""

    async def read(self, repository: str, branch: str | None) -> Branch:
        """Head and root of a branch (None: the repository's default branch).

        Raises:
            PermanentError: `repository-unidentified`: it does not exist, is empty, or has several roots.
        """
        ...

    async def rewind(
        self, branch: Branch, *, to: str, backup_branch: str, still_ours: Callable[[], None]
    ) -> Rewound:
        """Make `backup_branch` at `branch.head` and force `branch` to `to`, both or neither, only while the
        head still is `branch.head`; then read both back and compare. Repeating it after a lost answer is harmless.

        `still_ours` is called right before anything is changed, in any thread; what it raises comes out.

        Raises:
            PermanentError: `repository-moved` (somebody pushed), `repository-refused` (a protection rule).
        """
        ...
