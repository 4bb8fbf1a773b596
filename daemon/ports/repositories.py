"""Repositories: reading a branch, and rewinding it while a backup branch is made, in one compare-and-swap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from schemas.repositories import Beside, RepositoryRefusal, RootCommit


@dataclass(frozen=True)
class Branch:
    """A branch as it was read."""

    repository: str
    """`{client}-workflows`, without the owner."""
    owner: str
    branch: str
    head: str
    roots: tuple[RootCommit, ...]
    """All commits without parents that `head` descends from, sorted by their ids."""
    identity: str = ""
    """The hub's own id of the repository. A repository that is made anew under the same name has another one."""
    warnings: tuple[str, ...] = ()
    """What can't be told of whether the hub would refuse."""
    refusals: tuple[RepositoryRefusal, ...] = ()
    """Why the hub would refuse to rewind the branch, as far as that can be known before it is tried."""
    beside: Beside = field(default_factory=Beside)
    """What stands beside the branch: pull requests, other branches, tags."""

    @property
    def root(self) -> str:
        """The one root commit; empty where there are several."""
        return self.roots[0].sha if len(self.roots) == 1 else ""


@dataclass(frozen=True)
class Rewound:
    """What a rewinding did, read back."""

    before: str
    after: str
    backup_branch: str
    already: bool
    """Whether the branch was at its root commit before anything was done."""


@dataclass(frozen=True)
class BackupBranch:
    """A branch that keeps what a rewinding took away, `backup/RESETID`, as it was read."""

    repository: str
    identity: str
    """The hub's own id of the repository."""
    name: str
    commit: str


class Repositories(Protocol):
    """Reads and rewinds branches. Every method raises TemporaryError (`repository-unreachable`) or PermanentError."""

    async def read(self, repository: str, branch: str | None) -> Branch:
        """Read head and root of a branch (None: the repository's default branch).

        Raises:
            PermanentError: `repository-empty`: it has no commit. `repository-unidentified`: the branch or the
                repository does not exist, or can't be seen. `repository-forbidden`: the account may not read it.
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
                `repository-forbidden` (the account lacks a permission), `repository-mismatch` (another repository has
                the name by now).
        """
        ...

    async def backup_branches(self, repository: str) -> tuple[BackupBranch, ...]:
        """Return the branches whose name begins with `backup/`.

        Raises:
            PermanentError: as `read`.
        """
        ...

    async def delete_backup(self, backup: BackupBranch) -> bool:
        """Delete a backup branch, only while it is at that very commit, and tell whether it is gone.

        - False: it is at another commit, or an open pull request comes from it. Then it stays. Or it was gone before.
        - Repeating it after a lost answer is harmless.

        Raises:
            PermanentError: `repository-forbidden` (the account lacks the permission), `repository-refused` (a rule),
                `repository-mismatch` (another repository has the name by now).
        """
        ...
