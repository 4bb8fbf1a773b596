"""Making sure that nothing of an attempt is left: its session, its group, whoever carries its marker.

A command whose own process ended may have left children that go on: npm that is stopped leaves the tool that it
ran. So neither an exit code nor a vanished process is the end; that nobody is left is.
"""

from __future__ import annotations

import contextlib
from contextlib import aclosing
from datetime import datetime, timedelta

import structlog

from daemon.ports.clock import Clock
from daemon.ports.errors import PortError, TemporaryError
from daemon.ports.logs import Logs
from daemon.ports.pods import Claim, Fate, Pods
from schemas.reasons import Reason
from schemas.resets import Attempt, Control, Outcome, OutcomeKind
from schemas.wire import AttemptId

log = structlog.get_logger()

GRACE = 10.0
"""Seconds between TERM and KILL."""
PATIENCE = timedelta(seconds=60)
"""How long something may stay in doubt before its outcome is called unknown."""
LOOK_EVERY = 0.2


class Endings:
    """Ends attempts, and proves that they ended."""

    def __init__(self, pods: Pods, logs: Logs, clock: Clock) -> None:
        self._pods = pods
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
                    return outcome
                doubtful_since = None
            except PortError as error:
                if await self.fate(control) is Fate.TERMINATED:
                    return outcome
                if error.reason is not Reason.KUBERNETES_UNREACHABLE:
                    doubtful_since = doubtful_since or self._clock.now()
                if doubtful_since is not None and self._clock.now() - doubtful_since > PATIENCE:
                    return unknown(f"it ended; whether it left children can't be shown: {error.detail}")
            if self._clock.now() > deadline:
                ended = await self.abandon(attempt)
                return ended if ended.kind is OutcomeKind.UNKNOWN else outcome
            await self._clock.sleep(LOOK_EVERY)

    async def abandon(self, attempt: Attempt) -> Outcome:
        """Make sure that nothing of the attempt runs or ever will: tombstone, or TERM, grace, KILL, and proof.

        The outcome says `interrupted` when it did start, `failed` when it never did, `unknown` when the proof
        can't be had, and `succeeded` when it had ended well before it could be stopped.
        """
        control = attempt.control
        if control is None:
            return interrupted("nothing was launched in a pod")
        try:
            if await self._pods.give_up(control) is Claim.GIVEN_UP:
                return never_started("it was given up before it started")
            await self._kill(control, attempt.id)
        except PortError as error:
            if await self.fate(control) is Fate.TERMINATED:
                return interrupted("its container has ended")
            return unknown(f"whether it is gone can't be shown: {error.detail}")
        if await self._succeeded(attempt, control):
            return Outcome(kind=OutcomeKind.SUCCEEDED, exit_code=0)
        return interrupted("it was stopped, and nothing of it is left")

    async def fate(self, control: Control) -> Fate:
        """What Kubernetes says of the container; `unknown` where it can't be asked."""
        try:
            return (await self._pods.fate(control)).fate
        except PortError:
            return Fate.UNKNOWN

    async def _kill(self, control: Control, attempt: AttemptId) -> None:
        """TERM, a grace, KILL, until nothing is left.

        Raises:
            PortError: that can't be shown.
        """
        await self._pods.stop(control, attempt, force=False)
        began = self._clock.now()
        while not await self._pods.gone(control, attempt):
            waited = (self._clock.now() - began).total_seconds()
            if waited > 3 * GRACE:
                raise TemporaryError(Reason.OUTCOME_UNKNOWN, "processes of it survive KILL")
            if waited > GRACE:
                # Again on each look: a child forked between two looks is marked like its parent.
                await self._pods.stop(control, attempt, force=True)
            await self._clock.sleep(LOOK_EVERY)

    async def _succeeded(self, attempt: Attempt, control: Control) -> bool:
        """Whether it had written exit code 0 before it could be stopped."""
        with contextlib.suppress(PortError):
            offset = await self._logs.size(attempt.id)
            async with aclosing(self._pods.follow(control, offset=offset)) as observations:
                async for seen in observations:
                    if seen.exit_code is not None:
                        return seen.exit_code == 0
        return False


def never_started(detail: str, reason: Reason = Reason.EXEC_REFUSED, *, temporary: bool = True) -> Outcome:
    """It never ran, and never will: whatever its class, a new attempt is no second one."""
    return Outcome(
        kind=OutcomeKind.FAILED,
        cause=reason,
        detail=detail,
        temporary=temporary,
        facts={"launched": False},
    )


def interrupted(detail: str, reason: Reason = Reason.COMMAND_INTERRUPTED) -> Outcome:
    """It is known to be dead; what it did is not."""
    return Outcome(kind=OutcomeKind.INTERRUPTED, cause=reason, detail=detail)


def unknown(detail: str) -> Outcome:
    """It may be running, or have done anything."""
    return Outcome(
        kind=OutcomeKind.UNKNOWN,
        cause=Reason.OUTCOME_UNKNOWN,
        detail=detail,
        hint="Look at the pod and the database, then say what happened: `resetd resolve ID STEP OUTCOME`.",
    )
