"""Repositories in memory: a commit is a hash with parents, and refs are a dictionary."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from daemon.ports.errors import PermanentError, TemporaryError
from daemon.ports.repositories import BackupBranch, Branch, Rewound
from schemas.reasons import Reason
from schemas.repositories import Beside, PullRequest, RepositoryRefusal, RootCommit, named


@dataclass
class MemoryRepository:
    """A repository. Its `protected` branches refuse to be forced; `parents` maps each commit to its parents."""

    owner: str
    name: str
    default_branch: str = "main"
    refs: dict[str, str] = field(default_factory=dict)
    """Name of a branch -> its head."""
    parents: dict[str, tuple[str, ...]] = field(default_factory=dict)
    protected: set[str] = field(default_factory=set)
    warnings: tuple[str, ...] = ()
    pull_requests: tuple[PullRequest, ...] = ()
    forbidden: bool = False
    """Whether the account may not push."""
    life: int = 1
    """Grows each time the repository is deleted and made anew."""
    answers_as: str | None = None
    """The name of the repository that this name leads to since it was renamed."""

    @property
    def identity(self) -> str:
        """The hub's own id."""
        return f"R_{self.name}_{self.life}"

    def push(self, branch: str, *, merging: str | None = None) -> str:
        """Commit on a branch. A new branch starts without a parent; `merging` names the branch of a second parent."""
        tips = [self.refs[name] for name in (branch, merging) if name is not None and name in self.refs]
        sha = hashlib.sha1(f"{self.name}/{len(self.parents)}".encode(), usedforsecurity=False).hexdigest()
        self.parents[sha] = tuple(tips)
        self.refs[branch] = sha
        return sha

    def refusals_of(self, branch: str) -> tuple[RepositoryRefusal, ...]:
        """Return why a rewinding of the branch would be refused."""
        ruled = RepositoryRefusal(
            reason=Reason.REPOSITORY_RULESET, detail=f"rules of {branch} forbid it: non_fast_forward"
        )
        unheard = RepositoryRefusal(reason=Reason.REPOSITORY_FORBIDDEN, detail="the account may not push")
        return (*[unheard][: self.forbidden], *[ruled][: branch in self.protected])

    def roots(self, sha: str) -> set[str]:
        """Return all commits without parents that `sha` descends from."""
        waiting, seen = [sha], {sha}
        while waiting:
            new = [parent for parent in self.parents[waiting.pop()] if parent not in seen]
            seen.update(new)
            waiting += new
        return {commit for commit in seen if not self.parents[commit]}


class MemoryRepositories:
    """Implements `daemon.ports.repositories.Repositories`.

    `down = True` is an outage. The next `lose_answers` rewindings take effect, and their answers are lost.
    """

    def __init__(self, owner: str = "fuse") -> None:
        self.owner = owner
        self.down = False
        self.lose_answers = 0
        self._repositories: dict[str, MemoryRepository] = {}

    def make(self, name: str) -> MemoryRepository:
        """Return the repository of that name, which is made empty where it is new."""
        return self._repositories.setdefault(name, MemoryRepository(self.owner, name))

    async def read(self, repository: str, branch: str | None) -> Branch:
        """See the port."""
        found = self._find(repository)
        name = branch or found.default_branch
        if not found.refs:
            raise PermanentError(Reason.REPOSITORY_EMPTY, f"{repository} has no commit")
        if name not in found.refs:
            raise PermanentError(Reason.REPOSITORY_UNIDENTIFIED, f"{repository} has no branch {name}")
        head = found.refs[name]
        others = sorted(each for each in found.refs if each != name and not each.startswith("backup/"))
        branches, more = named(others)
        return Branch(
            repository=repository,
            owner=self.owner,
            branch=name,
            head=head,
            roots=tuple(RootCommit(sha=sha) for sha in sorted(found.roots(head))),
            identity=found.identity,
            warnings=found.warnings,
            refusals=found.refusals_of(name),
            beside=Beside(pull_requests=found.pull_requests, branches=branches, more_branches=more),
        )

    async def rewind(
        self, branch: Branch, *, to: str, backup_branch: str, still_ours: Callable[[], None]
    ) -> Rewound:
        """See the port."""
        found = self._find(branch.repository)
        if branch.identity != found.identity:
            raise PermanentError(Reason.REPOSITORY_MISMATCH, f"{branch.repository} is another repository")
        head, backup = found.refs.get(branch.branch), found.refs.get(backup_branch)
        if backup is not None and head == to:
            return Rewound(before=backup, after=to, backup_branch=backup_branch, already=backup == to)
        if backup is not None or head != branch.head:
            raise PermanentError(Reason.REPOSITORY_MOVED, f"{branch.branch} is at {head}")
        if found.forbidden:
            raise PermanentError(Reason.REPOSITORY_FORBIDDEN, "the account may not push")
        if to not in found.parents or (head != to and branch.branch in found.protected):
            raise PermanentError(Reason.REPOSITORY_REFUSED, f"a rule of {branch.branch} refuses it")
        still_ours()
        found.refs |= {backup_branch: branch.head, branch.branch: to}
        if self.lose_answers:
            self.lose_answers -= 1
            raise TemporaryError(Reason.REPOSITORY_UNREACHABLE, "the answer was lost")
        return Rewound(before=branch.head, after=to, backup_branch=backup_branch, already=branch.head == to)

    async def backup_branches(self, repository: str) -> tuple[BackupBranch, ...]:
        """See the port."""
        found = self._find(repository)
        return tuple(
            BackupBranch(repository, found.identity, name, sha)
            for name, sha in sorted(found.refs.items())
            if name.startswith("backup/")
        )

    async def delete_backup(self, backup: BackupBranch) -> bool:
        """See the port."""
        found = self._find(backup.repository)
        if backup.identity != found.identity:
            raise PermanentError(Reason.REPOSITORY_MISMATCH, f"{backup.repository} is another repository")
        used = any(pull.head == backup.name for pull in found.pull_requests)
        if found.refs.get(backup.name) != backup.commit or used:
            return False
        if found.forbidden:
            raise PermanentError(Reason.REPOSITORY_FORBIDDEN, "the account may not delete a branch")
        if backup.name in found.protected:
            raise PermanentError(Reason.REPOSITORY_REFUSED, f"a rule of {backup.name} refuses it")
        del found.refs[backup.name]
        return True

    def _find(self, repository: str) -> MemoryRepository:
        if self.down:
            raise TemporaryError(Reason.REPOSITORY_UNREACHABLE, "the hub is down")
        if repository not in self._repositories:
            raise PermanentError(Reason.REPOSITORY_UNIDENTIFIED, f"there is no {repository}")
        found = self._repositories[repository]
        if found.answers_as is not None:
            raise PermanentError(Reason.REPOSITORY_MISMATCH, f"{repository} is {found.answers_as} by now")
        return found
