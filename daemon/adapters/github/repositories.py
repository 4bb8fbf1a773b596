"""Repositories on GitHub. A rewinding is one GraphQL `updateRefs`: the backup branch is made and the branch is
forced, both or neither, and only while the branch still is where it was read.

Whatever the mutation answered, and also when it answered nothing, what counts is what the refs show afterwards.
The backup branch is named after the reset and made by nobody else, so finding it tells a repeated call that it was
here before.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

import requests
import structlog
from github import Github, GithubException, UnknownObjectException
from github.Repository import Repository

from daemon.adapters.github.branches import read_branch, rules
from daemon.adapters.github.connection import Connection
from daemon.adapters.github.errors import said, translate
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from daemon.ports.repositories import Branch, Rewound
from schemas.reasons import Reason

_log = structlog.get_logger(__name__)

_NOTHING = "0" * 40
_REPOSITORY_ID = "query($owner: String!, $name: String!) { repository(owner: $owner, name: $name) { id } }"
_UPDATE_REFS = "mutation($input: UpdateRefsInput!) { updateRefs(input: $input) { clientMutationId } }"
_READ_BACK_TRIES = 4
_READ_BACK_PAUSE = (
    0.5  # seconds; a read right after a write may come from a replica that does not have it yet
)

_AT_ONCE = 8
"""Operations at a time; the others wait."""

_Answer = TypeVar("_Answer")


class GitHubRepositories:
    """`daemon.ports.repositories.Repositories`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # Of its own: a hub that hangs would keep the event loop's few from files and host names of everything else.
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="github")
        self._roots: dict[str, str] = {}

    async def read(self, repository: str, branch: str | None) -> Branch:
        """Head, root and warnings; some eight requests, more where the history is long."""

        def reading(github: Github) -> Branch:
            return read_branch(github.get_repo(self._full(repository)), branch, self._roots)

        return await self._operation(repository, reading)

    async def rewind(
        self, branch: Branch, *, to: str, backup_branch: str, still_ours: Callable[[], None]
    ) -> Rewound:
        """See the port. Cancelled or out of time, it ends only once nothing more of it can move the branch."""
        left = threading.Event()
        full = self._full(branch.repository)

        def may_update() -> None:
            if left.is_set():
                detail = f"{full}: it was left before it asked for the update"
                raise TemporaryError(Reason.REPOSITORY_UNREACHABLE, detail)
            still_ours()

        def rewinding(github: Github) -> Rewound:
            one = _Rewinding(github, full, branch, to, backup_branch, may_update)
            return one.run(self._connection.secrets)

        return await self._operation(branch.repository, rewinding, left)

    def _full(self, repository: str) -> str:
        return f"{self._connection.owner}/{repository}"

    async def _operation(
        self, repository: str, act: Callable[[Github], _Answer], left: threading.Event | None = None
    ) -> _Answer:
        """Run `act` in a thread, with a client of its own.

        A thread can't be cancelled, only left behind; one that looks at `left` is waited for, which takes no longer
        than the request that it is in.
        """

        def call() -> _Answer:
            with self._connection.client() as github:
                return act(github)

        subject = self._full(repository)
        running = asyncio.get_running_loop().run_in_executor(self._threads, call)
        try:
            async with asyncio.timeout(self._connection.operation_timeout):
                return await asyncio.shield(running)
        except asyncio.CancelledError:
            await _leave(running, left)
            raise
        except PortError:
            raise
        except TimeoutError as error:
            await _leave(running, left)
            if not running.cancelled() and running.exception() is None:
                return running.result()
            raise TemporaryError(
                Reason.REPOSITORY_UNREACHABLE,
                f"{subject}: no end after {self._connection.operation_timeout:g} s",
            ) from error
        except (GithubException, requests.RequestException, OSError) as error:
            raise translate(error, subject, secrets=self._connection.secrets) from error


async def _leave(running: asyncio.Future[_Answer], left: threading.Event | None) -> None:
    """Tell a thread that nobody waits for its answer, and wait for it where it listens."""
    if left is None:
        running.cancel()
    else:
        left.set()
    while not running.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({running})


class _Rewinding:
    """One rewinding, in a thread. It asks for the update only where `may_update` does not raise right before."""

    def __init__(
        self,
        github: Github,
        full: str,
        branch: Branch,
        to: str,
        backup_branch: str,
        may_update: Callable[[], None],
    ) -> None:
        self._github = github
        self._full = full
        self._branch = branch
        self._to = to
        self._backup = backup_branch
        self._may_update = may_update
        self._repository: Repository = github.get_repo(full)

    def run(self, secrets: tuple[str, ...]) -> Rewound:
        """See the port.

        Raises:
            GithubException, requests.RequestException, OSError: before anything was asked for.
        """
        done = self._done() or self._unmoved()
        if done is not None:
            return done
        try:
            self._update()
        except (GithubException, requests.RequestException, OSError) as error:
            return self._after(error, secrets)
        for _ in range(_READ_BACK_TRIES):
            done = self._done()
            if done is not None:
                return done
            time.sleep(_READ_BACK_PAUSE)
        self._unmoved()
        raise TemporaryError(
            Reason.REPOSITORY_UNREACHABLE, f"{self._full}: GitHub took the update and does not show it yet"
        )

    def _done(self) -> Rewound | None:
        """The result, if the refs show that a rewinding of this name has happened."""
        return self._result(*self._look())

    def _look(self) -> tuple[str | None, str | None]:
        """Backup branch and branch, in this order: where the first is there, the second is what came after."""
        return self._ref(self._backup), self._ref(self._branch.branch)

    def _result(self, backup: str | None, head: str | None) -> Rewound | None:
        if backup is None or head != self._to:
            return None
        return Rewound(before=backup, after=head, backup_branch=self._backup, already=backup == self._to)

    def _unmoved(self) -> Rewound | None:
        """None while the branch is where it was read; the result, if it was rewound between two looks."""
        backup, head = self._look()
        if backup is None and head == self._branch.head:
            return None
        if backup is None:  # the branch may have been rewound between the two reads: look again
            backup, head = self._look()
        done = self._result(backup, head)
        if done is not None:
            return done
        if backup is not None:
            raise PermanentError(
                Reason.REPOSITORY_MOVED,
                f"{self._full}: {self._branch.branch} is at {head}, although {self._backup} shows that this reset "
                "rewound it before",
                hint="Somebody pushed since. Rename the backup branch to have it rewound again.",
            )
        raise PermanentError(
            Reason.REPOSITORY_MOVED,
            f"{self._full}: {self._branch.branch} is at {head}, not at {self._branch.head} where it was read",
            hint="Somebody pushed meanwhile; resume to read it again.",
        )

    def _update(self) -> None:
        _, answer = self._github.requester.graphql_query(
            _REPOSITORY_ID, {"owner": self._full.split("/")[0], "name": self._branch.repository}
        )
        updates: list[dict[str, str | bool]] = [
            {"name": f"refs/heads/{self._backup}", "beforeOid": _NOTHING, "afterOid": self._branch.head}
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
        wanted = {"repositoryId": answer["data"]["repository"]["id"], "refUpdates": updates}
        self._may_update()
        self._github.requester.graphql_query(_UPDATE_REFS, {"input": wanted})

    def _after(self, error: Exception, secrets: tuple[str, ...]) -> Rewound:
        """What an error of the mutation really means is in the refs."""
        done = self._done() or self._unmoved()
        if done is not None:
            _log.info("an update that answered with an error had happened", repository=self._full)
            return done
        translated = translate(error, self._full, secrets=secrets)
        if translated.reason is not Reason.REPOSITORY_REFUSED or isinstance(translated, TemporaryError):
            raise translated from error
        in_force = ", ".join(rules(self._repository, self._branch.branch)) or "none that GitHub names"
        raise PermanentError(
            Reason.REPOSITORY_REFUSED,
            f"{self._full}: {said(error, secrets)}; rules of {self._branch.branch}: {in_force}",
            hint="Let the daemon's account bypass the rule, then resume; or rewind by hand, and skip the step.",
        ) from error

    def _ref(self, branch: str) -> str | None:
        try:
            return self._repository.get_git_ref(f"heads/{branch}").object.sha
        except UnknownObjectException:
            return None
