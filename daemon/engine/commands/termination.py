"""Ends attempts, and proves that each has ended with everything that it started.

A command whose own process ended may have left children: npm that is stopped leaves the tool that it ran. So an
attempt is over once its session, its process group and every process with its marker are gone, and once its databases
do no work for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from daemon.ports.clock import Clock
from daemon.ports.errors import PortError, TemporaryError
from daemon.ports.logs import Logs
from daemon.ports.pods.commands import Fate, Tombstone
from daemon.ports.pods.pods import Pods
from schemas.reasons import Reason
from schemas.resets import Attempt, Control, Outcome, OutcomeKind
from schemas.wire import AttemptId
from statemachines.steps.outcomes import exited, interrupted, never_started, unknown

T = TypeVar("T")

GRACE = 10.0
"""Seconds between TERM and KILL."""
DOUBT_LIMIT = timedelta(seconds=60)
"""How long it is asked again whether a command is gone, before its outcome is called unknown."""
LIVENESS_INTERVAL = 0.2
"""Seconds between two questions whether a command is gone."""
LONGEST_DELAY = 15.0
"""Seconds that a server which asks for patience gets while a command with a time limit runs."""
_SIGNALLED = range(129, 193)
"""Exit codes by which a shell says that a signal ended the command: 128 and the signal's number."""


class DatabaseWork(Protocol):
    """Looks for database work of an attempt whose processes are gone."""

    async def __call__(self, attempt: Attempt, *, must_know: bool) -> str | None:
        """Describe database work that the dead attempt may still be doing, or None.

        `must_know`: a database that can't be asked counts as work that may go on.
        """
        ...


class Termination:
    """Ends attempts, and proves that they ended. `unknown` is the answer where the proof can't be had."""

    def __init__(self, pods: Pods, logs: Logs, clock: Clock, database_work: DatabaseWork) -> None:
        self._pods = pods
        self._database_work = database_work
        self._logs = logs
        self._clock = clock

    async def confirm(
        self, attempt: Attempt, control: Control, outcome: Outcome, deadline: datetime
    ) -> Outcome:
        """Answer `outcome` once everything of the attempt is gone. What is left at the deadline is stopped."""
        doubtful_since: datetime | None = None
        while True:
            try:
                if await self._pods.gone(control, attempt.id):
                    return await self.after_database_work(attempt, outcome)
                doubtful_since = None
            except PortError as error:
                if await self.fate(control) is Fate.TERMINATED:
                    return await self.after_database_work(attempt, outcome)
                if error.reason is not Reason.KUBERNETES_UNREACHABLE:
                    doubtful_since = doubtful_since or self._clock.now()
                if doubtful_since is not None and self._clock.now() - doubtful_since > DOUBT_LIMIT:
                    return unknown(f"it ended; whether it left children can't be shown: {error.detail}")
            if self._clock.now() > deadline:
                ended = await self.end(attempt)
                return ended if ended.kind is OutcomeKind.UNKNOWN else outcome
            await self._clock.sleep(LIVENESS_INTERVAL)

    async def end(self, attempt: Attempt, *, stop: bool = True) -> Outcome:
        """Make sure that nothing of the attempt runs or ever will, and say what became of it.

        1. A tombstone is placed. Where that succeeds, the command never started: `failed`.
        2. A command that is over by itself keeps its exit code, which the catalog has still to interpret, and its
           output is kept.
        3. A command that runs gets TERM, a grace, KILL: `interrupted`. Without `stop` it runs on: `unknown`.
        4. A question that fails for now is asked again for `DOUBT_LIMIT`; then the outcome is `unknown`.
        """
        control = attempt.control
        if control is None:
            return interrupted("nothing was launched in a pod")
        try:
            if await self._insist(control, lambda: self._pods.give_up(control)) is Tombstone.PLACED:
                return never_started("it was given up before it started")
            # A command that ended well is asked about first: stopping it would call it interrupted.
            by_itself = await self._insist(control, lambda: self._pods.gone(control, attempt.id))
            if not by_itself and not stop:
                return unknown("it may still run")
            if not by_itself:
                await self._kill(control, attempt.id)
        except PortError as error:
            if await self.fate(control) is Fate.TERMINATED:
                return await self.after_database_work(attempt, interrupted("its container has ended"))
            return unknown(f"whether it is gone can't be shown: {error.detail}")
        code = await self._exit_code(attempt, control)
        if by_itself and code is not None:
            return await self.after_database_work(attempt, exited(code))
        # A program that exits with 0 because of TERM has left its work undone.
        how = "it was stopped" if not by_itself else "it left no exit code that can be read"
        return await self.after_database_work(attempt, interrupted(f"{how}; nothing of it is left"))

    async def after_database_work(
        self, attempt: Attempt, outcome: Outcome, *, by_word: bool = False
    ) -> Outcome:
        """Answer `outcome` once the databases of an attempt whose processes are gone do no work for it.

        - After a killed command, a database that can't be asked makes the outcome `unknown`; not so where a person's
          word (`by_word`) is all that there is of the processes.
        - After a command that failed by itself, only work that is seen counts: perhaps a child alone was killed, for
          want of memory, but most failures are others, and many come from a database that is away.
        """
        killed = outcome.kind is OutcomeKind.INTERRUPTED or outcome.exit_code in _SIGNALLED
        if not killed and not outcome.exit_code:
            return outcome
        work = await self._database_work(attempt, must_know=killed and not by_word)
        return unknown(work) if work else outcome

    async def fate(self, control: Control) -> Fate:
        """What Kubernetes says of the container; `unknown` where Kubernetes can't be asked."""
        try:
            return await self.ask_fate(control)
        except PortError:
            return Fate.UNKNOWN

    async def ask_fate(self, control: Control) -> Fate:
        """What Kubernetes says of the container.

        Raises:
            PortError: Kubernetes can't be asked.
        """
        return (await self._pods.fate(control)).fate

    async def _insist(self, control: Control, ask: Callable[[], Awaitable[T]]) -> T:
        """The pods' answer. A question that fails for now is asked again, for `DOUBT_LIMIT`.

        Raises:
            PortError: there is no answer in that time; or none to come, as the container has ended.
        """
        until = self._clock.now() + DOUBT_LIMIT
        while True:
            try:
                return await ask()
            except TemporaryError as error:
                pause = min(max(error.delay or 0.0, LIVENESS_INTERVAL), LONGEST_DELAY)
                over = self._clock.now() + timedelta(seconds=pause) > until
                if over or await self.fate(control) is Fate.TERMINATED:
                    raise
                await self._clock.sleep(pause)

    async def _kill(self, control: Control, attempt: AttemptId) -> None:
        """TERM, a grace, KILL, until nothing is left.

        Raises:
            PortError: that can't be shown.
        """
        await self._insist(control, lambda: self._pods.stop(control, attempt, force=False))
        termed, killed = self._clock.now(), None
        while not await self._insist(control, lambda: self._pods.gone(control, attempt)):
            now = self._clock.now()
            if killed is not None and (now - killed).total_seconds() > 2 * GRACE:
                raise TemporaryError(Reason.OUTCOME_UNKNOWN, "processes of it survive KILL")
            if (now - termed).total_seconds() > GRACE:
                # KILL is sent again each time: a child forked in between carries its parent's marker.
                await self._insist(control, lambda: self._pods.stop(control, attempt, force=True))
                killed = killed or now
            await self._clock.sleep(LIVENESS_INTERVAL)

    async def _exit_code(self, attempt: Attempt, control: Control) -> int | None:
        """The exit code of a command that is gone, where it can be read; the rest of its output is kept."""
        with contextlib.suppress(PortError):
            return await self._insist(control, lambda: self._read_to_the_end(attempt, control))
        return None

    async def _read_to_the_end(self, attempt: Attempt, control: Control) -> int | None:
        """The same in one try; None: the command left no exit code.

        Raises:
            PortError: that can't be read.
        """
        offset = 0
        with contextlib.suppress(PortError):
            offset = await self._logs.size(attempt.id)
        async with aclosing(self._pods.follow(control, offset=offset)) as observations:
            async for seen in observations:
                if seen.log:
                    await self._logs.keep(attempt.id, seen.offset, seen.log)
                if seen.exit_code is not None or not seen.alive:
                    return seen.exit_code
        raise TemporaryError(Reason.KUBERNETES_UNREACHABLE, "the stream was cut")
