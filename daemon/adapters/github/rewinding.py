"""One rewinding of a branch: a GraphQL `updateRefs` that makes the backup branch and forces the branch.

It does both or neither, and only while the branch is where it was read. Whatever the mutation answers, and also where
it answers nothing, the refs show afterwards what happened. The backup branch is named after the reset, and nobody else
makes it: a repeated call that finds it knows that it was here before.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from github import Github
from github.Repository import Repository

from daemon.adapters.github.branches import find_repository
from daemon.adapters.github.errors import error_text, translate
from daemon.adapters.github.protection import kinds_of_rules
from daemon.adapters.github.refs import NO_COMMIT, graphql_id, read_ref, update_refs
from daemon.ports.errors import LeaseLostError, PermanentError, PortError, TemporaryError
from daemon.ports.repositories import Branch, Rewound
from schemas.reasons import Reason

_log = structlog.get_logger(__name__)

_READ_BACK_TRIES = 4
_READ_BACK_INTERVAL_SECONDS = 0.5
"""A read right after a write may come from a replica that does not have it yet."""


class Rewinding:
    """One rewinding, in a thread.

    Args:
        github: A client of its own.
        full_name: `owner/repository`.
        branch: The branch as it was read.
        to: The commit to force it to.
        backup_branch: The branch to make at its head.
        may_update: Called right before the update is asked for; what it raises prevents the update.
    """

    def __init__(
        self,
        github: Github,
        full_name: str,
        branch: Branch,
        to: str,
        backup_branch: str,
        may_update: Callable[[], None],
    ) -> None:
        self._github = github
        self._full_name = full_name
        self._branch = branch
        self._to = to
        self._backup = backup_branch
        self._may_update = may_update
        self._repository: Repository = find_repository(github, full_name, branch.identity)

    def run(self, secrets: tuple[str, ...]) -> Rewound:
        """Rewind as the port promises; `secrets` are left out of errors.

        Raises:
            PortError, LeaseLostError: what may_update raised, or why the update did not happen.
            Exception: of the client, before anything was asked for.
        """
        rewound = self._rewound() or self._check_unmoved()
        if rewound is not None:
            return rewound
        try:
            self._update()
        except (PortError, LeaseLostError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever the client raises, the update may have happened
            return self._after_error(error, secrets)
        for _ in range(_READ_BACK_TRIES):
            rewound = self._rewound()
            if rewound is not None:
                return rewound
            time.sleep(_READ_BACK_INTERVAL_SECONDS)
        self._check_unmoved()
        raise TemporaryError(
            Reason.REPOSITORY_UNREACHABLE,
            f"{self._full_name}: GitHub took the update and does not show it yet",
        )

    def _rewound(self) -> Rewound | None:
        """Return the result where the refs show that a rewinding with this backup branch has happened."""
        return self._result(*self._read_refs())

    def _read_refs(self) -> tuple[str | None, str | None]:
        """Read the backup branch, then the branch. So a backup that is there was made before the branch was read."""
        return read_ref(self._repository, self._backup), read_ref(self._repository, self._branch.branch)

    def _result(self, backup: str | None, head: str | None) -> Rewound | None:
        if backup is None or head != self._to:
            return None
        return Rewound(before=backup, after=head, backup_branch=self._backup, already=backup == self._to)

    def _check_unmoved(self) -> Rewound | None:
        """Return None while the branch is where it was read, or the result where it was rewound meanwhile.

        Raises:
            PermanentError: `repository-moved`: the branch is anywhere else.
        """
        backup, head = self._read_refs()
        if backup is None and head == self._branch.head:
            return None
        if backup is None:  # the branch may have been rewound between the two reads: read again
            backup, head = self._read_refs()
        rewound = self._result(backup, head)
        if rewound is not None:
            return rewound
        if backup is not None:
            raise PermanentError(
                Reason.REPOSITORY_MOVED,
                f"{self._full_name}: {self._branch.branch} is at {head}, although {self._backup} shows that this "
                "reset rewound it before",
                hint="Somebody pushed since. Rename the backup branch to have it rewound again.",
            )
        raise PermanentError(
            Reason.REPOSITORY_MOVED,
            f"{self._full_name}: {self._branch.branch} is at {head}, not at {self._branch.head} where it was read",
            hint="Somebody pushed meanwhile; resume to read it again.",
        )

    def _update(self) -> None:
        """Ask for the update. A branch that is at its target already gets its backup branch only."""
        identity = graphql_id(self._github, self._repository, self._full_name)
        updates: list[dict[str, str | bool]] = [
            {"name": f"refs/heads/{self._backup}", "beforeOid": NO_COMMIT, "afterOid": self._branch.head}
        ]
        if self._branch.head != self._to:
            updates.append(
                {
                    "name": f"refs/heads/{self._branch.branch}",
                    "beforeOid": self._branch.head,
                    "afterOid": self._to,
                    "force": True,
                }
            )
        self._may_update()
        update_refs(self._github, identity, updates)

    def _after_error(self, error: Exception, secrets: tuple[str, ...]) -> Rewound:
        """Return the result where the refs show that the update happened in spite of the error.

        Raises:
            PortError: the update did not happen, and why.
        """
        rewound = self._rewound() or self._check_unmoved()
        if rewound is not None:
            _log.info("an update that answered with an error had happened", repository=self._full_name)
            return rewound
        translated = translate(error, self._full_name, secrets=secrets)
        if translated.reason is not Reason.REPOSITORY_REFUSED or isinstance(translated, TemporaryError):
            raise translated from error
        in_force = kinds_of_rules(self._repository, self._branch.branch)
        rules = ", ".join(in_force) or "none that GitHub names"
        raise PermanentError(
            Reason.REPOSITORY_REFUSED,
            f"{self._full_name}: {error_text(error, secrets)}; rules of {self._branch.branch}: {rules}",
            hint="Let the daemon's account bypass the rule, then resume; or rewind by hand, and skip the step.",
        ) from error
