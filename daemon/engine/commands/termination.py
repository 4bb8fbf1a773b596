"""Making sure that nothing of an attempt is left: its session, its group, whoever carries its marker.

A command whose own process ended may have left children that go on: npm that is stopped leaves the tool that it
ran. So neither an exit code nor a vanished process is the end; that nobody is left is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

import structlog

from daemon.ports.clock import Clock
from daemon.ports.errors import PortError, TemporaryError
from daemon.ports.logs import Logs
from daemon.ports.pods.commands import Fate, Tombstone
from daemon.ports.pods.pods import Pods
from schemas.reasons import Reason
from schemas.resets import Attempt, Control, Outcome, OutcomeKind
from schemas.wire import AttemptId
from statemachines.steps.outcomes import exited, interrupted, never_started, unknown

log = structlog.get_logger()


T = TypeVar("T")


GRACE = 10.0
"""Seconds between TERM and KILL."""


PATIENCE = timedelta(seconds=60)
"""How long something may stay in doubt before its outcome is called unknown."""


LOOK_EVERY = 0.2


LONGEST_DELAY = 15.0
"""Seconds for which a server that asks for patience gets it, while something runs that has a time limit."""


_SIGNALLED = range(129, 193)
"""Exit codes by which a shell says that a signal ended the command: 128 and its number."""


class AtWork(Protocol):
    """What of an attempt may still be at work outside of its pod, once its processes are gone; None: nothing is."""

    async def __call__(self, attempt: Attempt, *, needed: bool) -> str | None:
        """Where that can't be told, it may be, if the answer is `needed`."""
        ...


class Endings:
    """Ends attempts, and proves that they ended."""

    def __init__(self, pods: Pods, logs: Logs, clock: Clock, at_work: AtWork) -> None:
        self._pods = pods
        self._at_work = at_work
        self._logs = logs
        self._clock = clock

    async def confirm(
        self, attempt: Attempt, control: Control, outcome: Outcome, deadline: datetime
    ) -> Outcome:
        """The outcome, once nothing of the attempt is left; what is left at the deadline is stopped.

        `unknown` where it can't be shown that nobody is left.
        """
        doubtful_since: datetime | None = None
        while True:
            try:
                if await self._pods.gone(control, attempt.id):
                    return await self.once_idle(attempt, outcome)
                doubtful_since = None
            except PortError as error:
                if await self.fate(control) is Fate.TERMINATED:
                    return await self.once_idle(attempt, outcome)
                if error.reason is not Reason.KUBERNETES_UNREACHABLE:
                    doubtful_since = doubtful_since or self._clock.now()
                if doubtful_since is not None and self._clock.now() - doubtful_since > PATIENCE:
                    return unknown(f"it ended; whether it left children can't be shown: {error.detail}")
            if self._clock.now() > deadline:
                ended = await self.abandon(attempt)
                return ended if ended.kind is OutcomeKind.UNKNOWN else outcome
            await self._clock.sleep(LOOK_EVERY)

    async def abandon(self, attempt: Attempt, *, stop: bool = True) -> Outcome:
        """Make sure that nothing of the attempt runs or ever will: tombstone, or TERM, grace, KILL, and proof.

        The outcome says `interrupted` when it was stopped, `failed` when it never started, and `unknown` when the
        proof can't be had, which is not said before it was asked for for a while. Where all of it had ended by itself,
        it has the exit code, of which the catalog has still to say what it means, and its output is kept. Without
        `stop` what runs is left alone, and `unknown`.
        """
        control = attempt.control
        if control is None:
            return interrupted("nothing was launched in a pod")
        try:
            if await self._insist(control, lambda: self._pods.give_up(control)) is Tombstone.PLACED:
                return never_started("it was given up before it started")
            # Not to be guessed: what had ended well must not be stopped as well, and be called interrupted.
            by_itself = await self._insist(control, lambda: self._pods.gone(control, attempt.id))
            if not by_itself and not stop:
                return unknown("it may still run")
            if not by_itself:
                await self._kill(control, attempt.id)
        except PortError as error:
            if await self.fate(control) is Fate.TERMINATED:
                return await self.once_idle(attempt, interrupted("its container has ended"))
            return unknown(f"whether it is gone can't be shown: {error.detail}")
        code = await self._exit_code(attempt, control)
        if by_itself and code is not None:
            return await self.once_idle(attempt, exited(code))
        # A program that ends with 0 because it was asked to stop has not done its work.
        how = "it was stopped" if not by_itself else "it left no exit code that can be read"
        return await self.once_idle(attempt, interrupted(f"{how}; nothing of it is left"))

    async def once_idle(self, attempt: Attempt, outcome: Outcome, *, said: bool = False) -> Outcome:
        """The outcome of an attempt whose processes are gone; one that was killed may have left a statement at work.

        That they are gone may be somebody's word (`said`), which stands where the databases can't be asked either.

        If only a child of it was killed, for want of memory, its exit code is all that says so. Most that fail were
        not, and a database that is away is what many of them fail of.
        """
        killed = outcome.kind is OutcomeKind.INTERRUPTED or outcome.exit_code in _SIGNALLED
        if not killed and not outcome.exit_code:
            return outcome
        left = await self._at_work(attempt, needed=killed and not said)
        return unknown(left) if left else outcome

    async def fate(self, control: Control) -> Fate:
        """What Kubernetes says of the container; `unknown` where it can't be asked."""
        try:
            return await self.ask_fate(control)
        except PortError:
            return Fate.UNKNOWN

    async def ask_fate(self, control: Control) -> Fate:
        """What Kubernetes says of the container.

        Raises:
            PortError: it can't be asked.
        """
        return (await self._pods.fate(control)).fate

    async def _insist(self, control: Control, ask: Callable[[], Awaitable[T]]) -> T:
        """What the pods answer; what fails for now is asked again, until it stayed in doubt for too long.

        Raises:
            PortError: there is no answer, or none to come, as the container has ended.
        """
        until = self._clock.now() + PATIENCE
        while True:
            try:
                return await ask()
            except TemporaryError as error:
                pause = min(max(error.delay or 0.0, LOOK_EVERY), LONGEST_DELAY)
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
                # Again on each look: a child forked between two looks is marked like its parent.
                await self._insist(control, lambda: self._pods.stop(control, attempt, force=True))
                killed = killed or now
            await self._clock.sleep(LOOK_EVERY)

    async def _exit_code(self, attempt: Attempt, control: Control) -> int | None:
        """What a command that is gone ended with, if that can be read; the rest of its output is kept."""
        with contextlib.suppress(PortError):
            return await self._insist(control, lambda: self._last_look(attempt, control))
        return None

    async def _last_look(self, attempt: Attempt, control: Control) -> int | None:
        """The same, once; None: it left none.

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
