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
SHORTEST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
"""Seconds between two looks at a command whose stream ended."""
SHOWN_LINES = 20
"""Last lines of output that an outcome shows."""


@dataclass(frozen=True)
class Sought:
    """The attempt that is followed, and its command again, in case its launch never arrived."""

    attempt: Attempt
    control: Control
    argv: tuple[str, ...]
    deadline: datetime


async def _nothing() -> None:
    """What a caller asks for who asks for nothing."""


@dataclass
class _Pursuit:
    """How far the following of one attempt got, in this process."""

    fresh: bool = False
    """Whether it was prepared just now, so that nobody can have claimed it."""
    before_launch: Callable[[], Awaitable[None]] = _nothing
    found_alive: Callable[[], Awaitable[None]] = _nothing
    launches: int = 0
    launched_now: bool = False
    told_alive: bool = False
    missing_since: datetime | None = None


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
    ) -> Outcome:
        """Prepare, `record` (must be durable when it returns), launch, follow to the end.

        Raises:
            PortError: before the attempt was recorded; nothing was launched.
        """
        control = await self._pods.prepare(pod, attempt)
        recorded = await record(control)
        return await self._pursue(_sought(recorded, control, step, argv), _Pursuit(fresh=True))

    async def take_up(
        self,
        attempt: Attempt,
        step: PlannedStep,
        *,
        argv: tuple[str, ...],
        before_launch: Callable[[], Awaitable[None]],
        found_alive: Callable[[], Awaitable[None]],
    ) -> Outcome:
        """Find a recorded attempt's command again, wherever it is, and follow it to its end.

        Launching it is part of that: an attempt that was recorded and never launched looks the same, after
        a crash, as one whose launch is still under way, and a second delivery is harmless. `before_launch`
        raises PermanentError where it must not be launched any more; `found_alive` is awaited once the
        command was seen running.
        """
        if attempt.control is None:
            return Outcome(kind=OutcomeKind.INTERRUPTED, cause=Reason.COMMAND_INTERRUPTED)
        pursuit = _Pursuit(before_launch=before_launch, found_alive=found_alive)
        return await self._pursue(_sought(attempt, attempt.control, step, argv), pursuit)

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

    async def _pursue(self, sought: Sought, pursuit: _Pursuit) -> Outcome:
        """Look, launch where it is not claimed, look again, until its outcome is known or known to be unknown."""
        pause = SHORTEST_PAUSE
        while True:
            try:
                outcome = await self._look(sought, pursuit)
            except PortError as error:
                outcome = await self._missing(sought, error, pursuit)
                pause = getattr(error, "delay", None) or pause
            if outcome is not None:
                return outcome
            if self._clock.now() > sought.deadline + PATIENCE:
                return await self._time_out(sought)
            if pursuit.launched_now:
                pursuit.launched_now = False
                pause = SHORTEST_PAUSE
                continue
            await self._clock.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _look(self, sought: Sought, pursuit: _Pursuit) -> Outcome | None:
        """Follow it for as long as one stream lasts; where nobody has claimed it, deliver its launch."""
        if not pursuit.fresh:
            seen = await self._watch(sought, pursuit)
            if isinstance(seen, Outcome):
                return seen
            pursuit.missing_since = None
            if seen is None or seen.claimed:
                return None
            if seen.given_up:
                return _never_started("it was given up before it started")
        pursuit.fresh = False
        if pursuit.launches == LAUNCHES:
            if await self._pods.give_up(sought.control) is Claim.GIVEN_UP:
                return _never_started("its launch was delivered and never took effect")
            return None
        refused = await self._refused(sought, pursuit)
        if refused is None:
            pursuit.launches += 1
            pursuit.launched_now = True
            await self._pods.launch(sought.control, sought.attempt.id, sought.argv)
        return refused

    async def _refused(self, sought: Sought, pursuit: _Pursuit) -> Outcome | None:
        """Why it must not be launched any more, with a tombstone so that it never is; None: it may be.

        Raises:
            TemporaryError: that can't be told for now, or it did start meanwhile: look again.
        """
        try:
            await pursuit.before_launch()
        except PermanentError as error:
            if await self._pods.give_up(sought.control) is Claim.GIVEN_UP:
                return _never_started(error.detail, error.reason, temporary=False)
            raise TemporaryError(error.reason, "it was started after all") from error
        return None

    async def _watch(self, sought: Sought, pursuit: _Pursuit) -> Outcome | Observation | None:
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
            if not pursuit.told_alive:
                pursuit.told_alive = True
                await pursuit.found_alive()
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

    async def _missing(self, sought: Sought, error: PortError, pursuit: _Pursuit) -> Outcome | None:
        """What an error while following means: an outcome once it is conclusive, else None."""
        log.info(
            "command.out-of-sight", attempt=sought.attempt.id, reason=error.reason.value, detail=error.detail
        )
        if error.reason is Reason.KUBERNETES_FORBIDDEN:
            return _unknown(error.detail)
        try:
            fate = await self._pods.fate(sought.control)
        except PortError:
            # The API server itself is away: the command is not lost, only out of sight.
            pursuit.missing_since = None
            return None
        if fate.fate is Fate.TERMINATED:
            reason = Reason.OUT_OF_MEMORY if fate.reason == "OOMKilled" else Reason.COMMAND_INTERRUPTED
            return _interrupted(f"its container ended ({fate.reason or 'no reason given'})", reason)
        if fate.fate is Fate.RUNNING and isinstance(error, TemporaryError):
            pursuit.missing_since = None
            return None
        now = self._clock.now()
        pursuit.missing_since = pursuit.missing_since or now
        if now - pursuit.missing_since > PATIENCE or isinstance(error, PermanentError):
            return _unknown(f"{error.detail}; Kubernetes says nothing more of its container")
        return None

    async def _fate(self, control: Control) -> Fate:
        try:
            return (await self._pods.fate(control)).fate
        except PortError:
            return Fate.UNKNOWN


def _sought(attempt: Attempt, control: Control, step: PlannedStep, argv: tuple[str, ...]) -> Sought:
    return Sought(attempt, control, argv, attempt.started_at + timedelta(seconds=step.timeout))


async def settle(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until each has ended, whatever with."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _never_started(detail: str, reason: Reason = Reason.EXEC_REFUSED, *, temporary: bool = True) -> Outcome:
    return Outcome(
        kind=OutcomeKind.FAILED,
        cause=reason,
        detail=detail,
        temporary=temporary,
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
