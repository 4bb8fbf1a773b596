"""Backup branches: those that are there, and the end of one that nobody needs any more, by compare-and-swap."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from github import Github
from github.Repository import Repository

from daemon.adapters.github.branches import find_repository
from daemon.adapters.github.refs import NO_COMMIT, graphql_id, read_ref, update_refs
from daemon.ports.repositories import BackupBranch
from statemachines.branch_retention import PREFIX

_MOST_READ = 10_000
_HEADS = "refs/heads/"


def list_backups(repository: Repository) -> Iterator[BackupBranch]:
    """Yield the backup branches of a repository."""
    for ref in islice(repository.get_git_matching_refs(f"heads/{PREFIX}"), _MOST_READ):
        # A server that does not know the question answers with all refs.
        if ref.ref.startswith(f"{_HEADS}{PREFIX}"):
            yield BackupBranch(
                repository=repository.name,
                identity=repository.raw_data["node_id"],
                name=ref.ref.removeprefix(_HEADS),
                commit=ref.object.sha,
            )


def delete_backup(github: Github, full_name: str, backup: BackupBranch) -> bool:
    """Delete a backup branch as the port promises."""
    repository = find_repository(github, full_name, backup.identity)
    if read_ref(repository, backup.name) != backup.commit or _is_used(repository, backup.name):
        return False
    identity = graphql_id(github, repository, full_name)
    deletion = {"name": f"{_HEADS}{backup.name}", "beforeOid": backup.commit, "afterOid": NO_COMMIT}
    try:
        update_refs(github, identity, [deletion])
    except Exception:  # whatever the client raises, the deletion may have happened
        now = read_ref(repository, backup.name)
        if now == backup.commit:
            raise
        return now is None
    return True


def _is_used(repository: Repository, branch: str) -> bool:
    """Whether an open pull request comes from the branch: somebody brings back what was rewound."""
    from_it = repository.get_pulls(state="open", head=f"{repository.owner.login}:{branch}")
    return any(pull.head.ref == branch for pull in from_it.get_page(0))
