"""Commands of pods in memory: a task with a claim, a log and an exit code."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from schemas.wire import AttemptId

_TERMINATED = 143  # 128 + SIGTERM


@dataclass
class Process:
    """What a program sees of its own process."""

    attempt: AttemptId | None
    """None for a short command (`Cluster.read`)."""
    argv: tuple[str, ...]
    stdin: bytes
    variables: Mapping[str, str]
    container_id: str = ""
    """The container that it runs in: a service's own, or a holder's."""
    output: bytearray = field(default_factory=bytearray)
    ignores_term: bool = False
    wrote: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, data: bytes) -> None:
        """Write to the process's output."""
        self.output += data
        self.wrote.set()


def sent_nonce(process: Process) -> str | None:
    """Return what the process is asked to send in its database; None: it is no handshake."""
    text = f"{' '.join(process.argv)} {process.stdin.decode()}"
    found = re.search(r"pg_notify\('resetd','([0-9a-f]+)'\)", text)
    return found[1] if found else None


@dataclass
class Command:
    """A command, by its control directory."""

    attempt: AttemptId
    given_up: bool = False
    exit_code: int | None = None
    _process: Process | None = None
    _task: asyncio.Task[None] | None = None
    _terminating: bool = False

    @property
    def started(self) -> bool:
        """Tell whether a launch won."""
        return self._task is not None

    @property
    def alive(self) -> bool:
        """Tell whether the command runs."""
        return self._task is not None and not self._task.done()

    @property
    def output(self) -> bytearray:
        """Return all that the command has written."""
        return self._process.output if self._process else bytearray()

    def start(self, program: Callable[[Process], Awaitable[int]], process: Process) -> bool:
        """Start the command, and return True, unless a launch or a tombstone came before."""
        if self.given_up or self.started:
            return False
        self._process = process
        self._task = asyncio.create_task(self._run(program, process), name=f"command of {self.attempt}")
        return True

    def give_up(self) -> None:
        """Put up the tombstone unless the command started."""
        self.given_up = self.given_up or not self.started

    def discard(self) -> None:
        """Forget the output, unless the command runs."""
        if self._process is not None and not self.alive:
            self._process.output.clear()

    async def stop(self, *, force: bool) -> None:
        """Send TERM, which a program may ignore, or KILL with `force`, which leaves no exit code."""
        if self._task is None or self._process is None or (self._process.ignores_term and not force):
            return
        self._terminating = not force
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def changed(self, seconds: float) -> None:
        """Wait until there is output or an end, or for so many seconds."""
        if self._process is None or self._task is None:
            await asyncio.sleep(seconds)
            return
        self._process.wrote.clear()
        wrote = asyncio.ensure_future(self._process.wrote.wait())
        try:
            await asyncio.wait({wrote, self._task}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            wrote.cancel()

    async def _run(self, program: Callable[[Process], Awaitable[int]], process: Process) -> None:
        try:
            self.exit_code = await program(process)
        except asyncio.CancelledError:
            if not self._terminating:
                raise
            self.exit_code = _TERMINATED
