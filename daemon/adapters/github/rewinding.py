"""One rewinding of a branch: a GraphQL `updateRefs` that makes the backup branch and forces the branch.

It does both or neither, and only while the branch is where it was read. Whatever the mutation answers, and also where
it answers nothing, the refs show afterwards what happened. The backup branch is named after the reset, and nobody else
makes it: a repeated call that finds it knows that it was here before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from github import Github, GithubException, UnknownObjectException
from github.Repository import Repository

from daemon.adapters.github.branches import find_repository
from daemon.adapters.github.errors import error_text, translate
from daemon.adapters.github.protection import kinds_of_rules
from daemon.ports.errors import LeaseLostError, PermanentError, PortError, TemporaryError
from daemon.ports.repositories import Branch, Rewound
from schemas.reasons import Reason

_log = structlog.get_logger(__name__)

_NO_COMMIT = "0" * 40
"""As the `beforeOid` of a ref: the ref must not be there yet."""
_REPOSITORY_ID = (
    "query($owner: String!, $name: String!) "
    "{ repository(owner: $owner, name: $name) { id databaseId nameWithOwner } }"
)
_UPDATE_REFS = "mutation($input: UpdateRefsInput!) { updateRefs(input: $input) { clientMutationId } }"
_FORBIDDEN = 403
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
        return self._ref(self._backup), self._ref(self._branch.branch)

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
        answer = self._ask(
            _REPOSITORY_ID, {"owner": self._full_name.split("/")[0], "name": self._branch.repository}
        )
        updates: list[dict[str, str | bool]] = [
            {"name": f"refs/heads/{self._backup}", "beforeOid": _NO_COMMIT, "afterOid": self._branch.head}
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
        identity = self._identity_of(answer["repository"])
        mutation = {"repositoryId": identity, "refUpdates": updates}
        self._may_update()
        self._ask(_UPDATE_REFS, {"input": mutation})

    def _ask(self, query: str, variables: dict[str, Any]) -> Mapping[str, Any]:
        """Return the data that GraphQL answers with.

        Raises:
            GithubException: GitHub refuses it, also by a message in a 200, as it does at secondary limits.
            TypeError: the answer is none of GraphQL.
        """
        headers, answer = self._github.requester.graphql_query(query, variables)
        if isinstance(answer.get("message"), str) and "data" not in answer:
            raise GithubException(_FORBIDDEN, answer, headers)
        data = answer.get("data")
        if not isinstance(data, dict):
            raise TypeError("GraphQL answered without data")
        return data

    def _identity_of(self, answered: Mapping[str, Any]) -> str:
        """Return GraphQL's id of the repository that was read and agreed to. GraphQL follows a rename, too.

        Raises:
            PermanentError: `repository-mismatch`: the answer is about another repository.
        """
        read = self._repository.raw_data
        name = str(answered.get("nameWithOwner", self._full_name))
        # REST and GraphQL write the ids of old repositories in two forms. The number is the same in both.
        same_id = answered["id"] == read["node_id"] or answered.get("databaseId", "") == read["id"]
        if not same_id or name.lower() != self._full_name.lower():
            raise PermanentError(
                Reason.REPOSITORY_MISMATCH,
                f"{self._full_name} is another repository than the one that was read: {name}",
                hint="Somebody renamed it, or made it anew. Look who uses it, then `resetd resume ID --replan`.",
            )
        return str(answered["id"])

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

    def _ref(self, branch: str) -> str | None:
        try:
            found = self._repository.get_git_ref(f"heads/{branch}")
            sha = found.object.sha
        except UnknownObjectException:
            return None
        # An older server answers with another ref that begins so.
        return sha if found.ref == f"refs/heads/{branch}" else None
