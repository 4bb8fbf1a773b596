"""Repositories: reading a branch, and rewinding it while a backup branch is made, in one compare-and-swap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Branch:
    """A branch as it was read."""

    repository: str
    """`{client}-workflows`, without the owner."""
    owner: str
    branch: str
    head: str
    root: str
    """The one commit without parents that `head` descends from."""
    identity: str = ""
    """The hub's own id of the repository. A repository that is made anew under the same name has another one."""
    warnings: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    """Why the hub would refuse to rewind the branch, as far as that can be known before it is tried."""


@dataclass(frozen=True)
class Rewound:
    """What a rewinding did, read back."""

    before: str
    after: str
    backup_branch: str
    already: bool
    """Whether the branch was at its root commit before anything was done."""


class Repositories(Protocol):
    """Reads and rewinds branches. Every method raises TemporaryError (`repository-unreachable`) or PermanentError."""

    async def read(self, repository: str, branch: str | None) -> Branch:
        """Read head and root of a branch (None: the repository's default branch).

        Raises:
            PermanentError: `repository-unidentified`: the branch does not exist, is empty, or has several roots.
                `repository-mismatch`: the hub answers for a repository of another owner or name (a renamed one).
        """
        ...

    async def rewind(
        self, branch: Branch, *, to: str, backup_branch: str, still_ours: Callable[[], None]
    ) -> Rewound:
        """Make `backup_branch` at `branch.head`, and force `branch` to `to`.

        - Both happen or neither, and only while the head is `branch.head`.
        - Both are read back afterwards and compared.
        - Repeating it after a lost answer is harmless.
        - `still_ours` is called right before anything is changed, in any thread. What it raises comes out, and nothing
          is changed.

        Raises:
            PermanentError: `repository-moved` (somebody pushed), `repository-refused` (a protection rule),
                `repository-mismatch` (another repository has the name by now).
        """
        ...
