"""The repositories port on GitHub: PyGithub blocks, so each operation runs in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from github import Github, GithubException

from daemon.adapters.github.backup_branches import delete_backup, list_backups
from daemon.adapters.github.branches import find_repository, read_branch
from daemon.adapters.github.connection import Connection
from daemon.adapters.github.errors import translate
from daemon.adapters.github.rewinding import Rewinding
from daemon.ports.errors import LeaseLostError, PortError, TemporaryError
from daemon.ports.repositories import BackupBranch, Branch, Rewound
from schemas.reasons import Reason
from schemas.repositories import RootCommit

_MAX_OPERATIONS = 8
"""Operations at a time; the others wait."""

_UNAUTHORIZED = 401

_Answer = TypeVar("_Answer")


class GitHubRepositories:
    """Implements `daemon.ports.repositories.Repositories`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # Threads of its own: a GitHub that hangs would keep the event loop's few threads from files and host names.
        self._threads = ThreadPoolExecutor(_MAX_OPERATIONS, thread_name_prefix="github")
        self._roots: dict[str, tuple[RootCommit, ...]] = {}

    async def read(self, repository: str, branch: str | None) -> Branch:
        """See the port. It takes some ten requests, and more where the history is long."""

        def reading(github: Github) -> Branch:
            found = find_repository(github, self._full_name(repository))
            return read_branch(found, branch, self._roots)

        return await self._operation(repository, reading)

    async def rewind(
        self, branch: Branch, *, to: str, backup_branch: str, still_ours: Callable[[], None]
    ) -> Rewound:
        """See the port. Cancelled or out of time, it ends only once nothing of it can move the branch any more."""
        abandoned = threading.Event()
        full_name = self._full_name(branch.repository)

        def may_update() -> None:
            if abandoned.is_set():
                detail = f"{full_name}: it was left before it asked for the update"
                raise TemporaryError(Reason.REPOSITORY_UNREACHABLE, detail)
            still_ours()

        def rewinding(github: Github) -> Rewound:
            work = Rewinding(github, full_name, branch, to, backup_branch, may_update)
            return work.run(self._connection.secrets)

        return await self._operation(branch.repository, rewinding, abandoned)

    async def backup_branches(self, repository: str) -> tuple[BackupBranch, ...]:
        """See the port."""

        def listing(github: Github) -> tuple[BackupBranch, ...]:
            return tuple(list_backups(find_repository(github, self._full_name(repository))))

        return await self._operation(repository, listing)

    async def delete_backup(self, backup: BackupBranch) -> bool:
        """See the port. A thread that nobody waits for any more does no harm: it compares, too."""
        full_name = self._full_name(backup.repository)
        return await self._operation(
            backup.repository, lambda github: delete_backup(github, full_name, backup)
        )

    def _full_name(self, repository: str) -> str:
        return f"{self._connection.owner}/{repository}"

    async def _operation(
        self, repository: str, act: Callable[[Github], _Answer], abandoned: threading.Event | None = None
    ) -> _Answer:
        """Run `act` in a thread, with a client of its own. Whatever a client raises becomes an error of the port.

        A thread can't be cancelled. One that heeds `abandoned` is waited for, which takes no longer than the request
        that it is in; another one is left running.
        """
        subject = self._full_name(repository)

        def call() -> _Answer:
            try:
                return self._with_client(act)
            except (PortError, LeaseLostError):
                raise
            except Exception as error:
                raise translate(error, subject, secrets=self._connection.secrets) from error

        running = asyncio.get_running_loop().run_in_executor(self._threads, call)
        try:
            async with asyncio.timeout(self._connection.operation_timeout):
                return await asyncio.shield(running)
        except asyncio.CancelledError:
            await _abandon(running, abandoned)
            raise
        except TimeoutError as error:
            await _abandon(running, abandoned)
            if not running.cancelled() and running.exception() is None:
                return running.result()
            raise TemporaryError(
                Reason.REPOSITORY_UNREACHABLE,
                f"{subject}: no end after {self._connection.operation_timeout:g} s",
                hint="Look whether GitHub, or the proxy on the way to it, is slow; it is tried again.",
            ) from error

    def _with_client(self, act: Callable[[Github], _Answer]) -> _Answer:
        """Run `act` with a client, and once more where the secret was rotated before GitHub refused it."""
        in_use = self._connection.in_use()
        try:
            with self._connection.client() as github:
                return act(github)
        except GithubException as error:
            if error.status != _UNAUTHORIZED or not self._connection.rotated(in_use):
                raise
        with self._connection.client() as github:
            return act(github)


async def _abandon(running: asyncio.Future[_Answer], abandoned: threading.Event | None) -> None:
    """Tell a thread that nobody waits for its answer, and wait for it where it heeds that."""
    if abandoned is None:
        running.cancel()
    else:
        abandoned.set()
    while not running.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({running})
