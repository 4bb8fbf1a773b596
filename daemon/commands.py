"""One attempt at a command in a pod: prepared, recorded, launched detached, followed, found again.

The order is the product's promise. Nothing is launched before its attempt is durable; a launch is repeated only
into the same control directory, where one atomic act decides; "it never started" is believed only behind a
tombstone; and what can't be known is said to be unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from daemon.ports.clock import Clock
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from daemon.ports.logs import Logs
from daemon.ports.pods import Claim, Fate, Observation, Pod, Pods
from schemas.plan import PlannedStep
from schemas.reasons import Reason
from schemas.resets import Attempt, Control, Outcome, OutcomeKind
from schemas.wire import AttemptId

log = structlog.get_logger()

LAUNCHES = 5
"""Deliveries of one launch before its tombstone decides."""
GRACE = 10.0
"""Seconds between TERM and KILL."""
PATIENCE = timedelta(seconds=60)
"""How long a command may be out of sight, its pod gone, before its outcome is called unknown."""
SHOWN_LINES = 20
"""Last lines of output that an outcome shows."""


@dataclass(frozen=True)
class Sought:
    """What `follow` needs besides the attempt: the command again, in case its launch never arrived."""

    attempt: Attempt
    control: Control
    argv: tuple[str, ...]
    stdin: bytes | None
    deadline: datetime


class Commands:
    """Runs commands in pods through the pods' port and keeps what they print."""

    def __init__(self, pods: Pods, logs: Logs, clock: Clock) -> None:
        self._pods = pods
        self._logs = logs
        self._clock = clock

    async def start(
        self,
        pod: Pod,
        attempt: AttemptId,
        step: PlannedStep,
        record: Callable[[Control], Awaitable[Attempt]],
        *,
        argv: tuple[str, ...],
        stdin: bytes | None = None,
    ) -> Outcome:
        """Prepare, `record` (must be durable when it returns), launch, follow to the end.

        Raises:
            PortError: before the attempt was recorded; nothing was launched.
        """
        control = await self._pods.prepare(pod, attempt)
        recorded = await record(control)
        return await self.take_up(recorded, step, argv=argv, stdin=stdin)

    async def take_up(
        self, attempt: Attempt, step: PlannedStep, *, argv: tuple[str, ...], stdin: bytes | None = None
    ) -> Outcome:
        """Find a recorded attempt's command again, wherever it is, and follow it to its end.

        Launching it is part of that: an attempt that was recorded and never launched looks the same, after
        a crash, as one whose launch is still under way, and a second delivery is harmless.
        """
        if attempt.control is None:
            return Outcome(kind=OutcomeKind.INTERRUPTED, cause=Reason.COMMAND_INTERRUPTED)
        deadline = attempt.started_at + timedelta(seconds=step.timeout)
        sought = Sought(attempt, attempt.control, argv, stdin, deadline)
        launches = 0
        missing_since: datetime | None = None
        pause = 0.1
        while True:
            try:
                seen = await self._watch(sought)
                if isinstance(seen, Outcome):
                    return seen
                missing_since = None
                if seen is not None and not seen.claimed:
                    if seen.given_up:
                        return _never_started("it was given up before it started")
                    if launches == LAUNCHES:
                        if await self._pods.give_up(sought.control) is Claim.GIVEN_UP:
                            return _never_started("its launch was delivered and never took effect")
                        continue
                    launches += 1
                    await self._pods.launch(sought.control, attempt.id, argv, stdin=stdin)
                    pause = 0.1
                    continue
            except PortError as error:
                outcome, missing_since = await self._missing(sought, error, missing_since)
                if outcome is not None:
                    return outcome
                pause = getattr(error, "delay", None) or pause
            await self._clock.sleep(pause)
            pause = min(pause * 2, 2.0)

    async def abandon(self, attempt: Attempt) -> Outcome:
        """Make sure that nothing of the attempt runs or ever will: tombstone, or TERM, grace, KILL, and proof.

        The outcome says `interrupted` when it did start, `failed` when it never did, `unknown` when the proof
        can't be had, and the command's own result when it had already ended.
        """
        control = attempt.control
        if control is None:
            return Outcome(kind=OutcomeKind.INTERRUPTED, cause=Reason.COMMAND_INTERRUPTED)
        try:
            if await self._pods.give_up(control) is Claim.GIVEN_UP:
                return _never_started("it was given up before it started")
            await self._kill(control, attempt.id)
        except PortError as error:
            fate = await self._fate(control)
            if fate is Fate.TERMINATED:
                return _interrupted("its container has ended")
            return _unknown(f"whether it is gone can't be shown: {error.detail}")
        if await self._succeeded(control):
            return Outcome(kind=OutcomeKind.SUCCEEDED, exit_code=0)
        return _interrupted("it was stopped, and nothing of it is left")

    async def _succeeded(self, control: Control) -> bool:
        """Whether it had written exit code 0 before it could be stopped."""
        try:
            async for seen in self._pods.follow(control, offset=0):
                return seen.exit_code == 0
        except PortError:
            pass
        return False

    async def _watch(self, sought: Sought) -> Outcome | Observation | None:
        """Follow one stream: an outcome, the last observation of a stream that was cut, or None if it had none."""
        offset = await self._logs.size(sought.attempt.id)
        last: Observation | None = None
        async for seen in self._pods.follow(sought.control, offset=offset):
            last = seen
            if seen.log:
                await self._logs.keep(sought.attempt.id, seen.offset, seen.log)
            if seen.exit_code is not None:
                return Outcome(
                    kind=OutcomeKind.SUCCEEDED if seen.exit_code == 0 else OutcomeKind.FAILED,
                    exit_code=seen.exit_code,
                )
            if not seen.claimed:
                return seen
            if not seen.alive:
                return _interrupted("its process is gone and left no exit code")
            if self._clock.now() > sought.deadline:
                return await self._time_out(sought)
        return last

    async def _time_out(self, sought: Sought) -> Outcome:
        ended = await self.abandon(sought.attempt)
        if ended.kind is OutcomeKind.UNKNOWN:
            return ended
        seconds = (sought.deadline - sought.attempt.started_at).total_seconds()
        return Outcome(
            kind=OutcomeKind.FAILED,
            cause=Reason.COMMAND_TIMED_OUT,
            detail=f"stopped after {seconds:g} s; {ended.detail}",
            hint="Raise the step's timeout in the catalog if it needs longer, then `resetd resume`.",
        )

    async def _kill(self, control: Control, attempt: AttemptId) -> None:
        """TERM, a grace, KILL, until nothing is left.

        Raises:
            PortError: that can't be shown.
        """
        await self._pods.stop(control, attempt, force=False)
        forced = False
        began = self._clock.now()
        while not await self._pods.gone(control, attempt):
            waited = (self._clock.now() - began).total_seconds()
            if waited > GRACE:
                # Again on each look: a child forked between two looks is marked like its parent.
                await self._pods.stop(control, attempt, force=True)
                forced = True
            if forced and waited > 3 * GRACE:
                raise TemporaryError(Reason.OUTCOME_UNKNOWN, "processes of it survive KILL")
            await self._clock.sleep(0.2)

    async def _missing(
        self, sought: Sought, error: PortError, since: datetime | None
    ) -> tuple[Outcome | None, datetime | None]:
        """What an error while following means: an outcome once it is conclusive, else since when it lasts."""
        now = self._clock.now()
        if isinstance(error, PermanentError) and error.reason is Reason.KUBERNETES_FORBIDDEN:
            return _unknown(error.detail), since
        try:
            fate = await self._pods.fate(sought.control)
        except PortError:
            # The API server itself is away: the command is not lost, only out of sight.
            return None, None
        if fate.fate is Fate.TERMINATED:
            reason = Reason.OUT_OF_MEMORY if fate.reason == "OOMKilled" else Reason.COMMAND_INTERRUPTED
            return _interrupted(f"its container ended ({fate.reason or 'no reason given'})", reason), since
        if fate.fate is Fate.RUNNING and isinstance(error, TemporaryError):
            return None, None
        since = since or now
        if now - since > PATIENCE or isinstance(error, PermanentError):
            return _unknown(f"{error.detail}; Kubernetes says nothing more of its container"), since
        return None, since

    async def _fate(self, control: Control) -> Fate:
        try:
            return (await self._pods.fate(control)).fate
        except PortError:
            return Fate.UNKNOWN


async def settle(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until each has ended, whatever with."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _never_started(detail: str) -> Outcome:
    return Outcome(
        kind=OutcomeKind.FAILED,
        cause=Reason.EXEC_REFUSED,
        detail=detail,
        temporary=True,
        facts={"launched": False},
    )


def _interrupted(detail: str, reason: Reason = Reason.COMMAND_INTERRUPTED) -> Outcome:
    return Outcome(kind=OutcomeKind.INTERRUPTED, cause=reason, detail=detail)


def _unknown(detail: str) -> Outcome:
    return Outcome(
        kind=OutcomeKind.UNKNOWN,
        cause=Reason.OUTCOME_UNKNOWN,
        detail=detail,
        hint="Look at the pod and the database, then say what happened: `resetd resolve ID STEP OUTCOME`.",
    )
