"""One attempt at a command in a pod: prepared, recorded, launched detached, followed, found again.

The order is the product's promise. Nothing is launched before its attempt is durable; a launch is repeated only
into the same control directory, where one atomic act decides; "it never started" is believed only behind a
tombstone; and what can't be known is said to be unknown.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from daemon.engine.commands.termination import LONGEST_DELAY, PATIENCE, Endings
from daemon.ports.clock import Clock
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from daemon.ports.logs import Logs
from daemon.ports.pods.cluster import Pod
from daemon.ports.pods.commands import Fate, Observation, Tombstone
from daemon.ports.pods.pods import Pods
from schemas.plan import PlannedStep
from schemas.reasons import Reason
from schemas.resets import Attempt, Control, Outcome, OutcomeKind
from schemas.wire import AttemptId
from statemachines.steps.outcomes import exited, interrupted, never_started, unknown

log = structlog.get_logger()

LAUNCHES = 5
"""Deliveries of one launch before its tombstone decides."""
SHORTEST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
"""Seconds between two looks at a command whose stream ended."""
SHOWN_LINES = 20
"""Last lines of output that an outcome shows."""


_ENDS = {"OOMKilled": Reason.OUT_OF_MEMORY, "Evicted": Reason.EVICTED}
"""The kubelet's word for the end of a container, where it says more than that it ended."""


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
    """Runs commands in pods through the pods' port and keeps what they print.

    `still_ours` raises LeaseLostError where another holder may have the reset: nothing is launched then.
    """

    def __init__(
        self, pods: Pods, logs: Logs, clock: Clock, endings: Endings, still_ours: Callable[[], None]
    ) -> None:
        self._pods = pods
        self._logs = logs
        self._clock = clock
        self._endings = endings
        self._still_ours = still_ours

    async def start(
        self,
        pod: Pod,
        attempt: AttemptId,
        step: PlannedStep,
        record: Callable[[Control], Awaitable[Attempt]],
        *,
        argv: tuple[str, ...],
        before_relaunch: Callable[[], Awaitable[None]],
    ) -> Outcome:
        """Prepare, `record` (must be durable when it returns), launch, follow to the end.

        `before_relaunch`: as `before_launch` of `take_up`, for a launch that has to be delivered once more: what the
        caller had shown right before the first one was shown a while ago.

        Raises:
            PortError: before the attempt was recorded; nothing was launched.
        """
        control = await self._pods.prepare(pod, attempt)
        recorded = await record(control)
        pursuit = _Pursuit(fresh=True, before_launch=before_relaunch)
        return await self._pursue(_sought(recorded, control, step, argv), pursuit)

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

    async def _pursue(self, sought: Sought, pursuit: _Pursuit) -> Outcome:
        """Look, launch where it is not claimed, look again, until its outcome is known or known to be unknown."""
        pause = SHORTEST_PAUSE
        while True:
            try:
                outcome = await self._look(sought, pursuit)
            except PortError as error:
                outcome = await self._missing(sought, error, pursuit)
                pause = min(getattr(error, "delay", None) or pause, LONGEST_DELAY)
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
        fresh, pursuit.fresh = pursuit.fresh, False
        if not fresh:
            seen = await self._watch(sought, pursuit)
            if isinstance(seen, Outcome):
                return seen
            pursuit.missing_since = None
            if seen is None or seen.started:
                return None
            if seen.given_up:
                return never_started("it was given up before it started")
        late = self._clock.now() > sought.deadline
        if late or pursuit.launches == LAUNCHES:
            if await self._pods.give_up(sought.control) is Tombstone.PLACED:
                # Started now, it would be stopped in its first moment, half done.
                why = "its time was over before it was launched" if late else "its launch never took effect"
                return never_started(why)
            return None
        refused = None if fresh else await self._refused(sought, pursuit)
        if refused is None:
            pursuit.launches += 1
            self._still_ours()
            await self._pods.launch(sought.control, sought.attempt.id, sought.argv)
            pursuit.launched_now = True
        return refused

    async def _refused(self, sought: Sought, pursuit: _Pursuit) -> Outcome | None:
        """Why it must not be launched any more, with a tombstone so that it never is; None: it may be.

        Raises:
            TemporaryError: that can't be told for now, or it did start meanwhile: look again.
        """
        try:
            await pursuit.before_launch()
        except PermanentError as error:
            if await self._pods.give_up(sought.control) is Tombstone.PLACED:
                return never_started(error.detail, error.reason, temporary=False)
            raise TemporaryError(error.reason, "it was started after all") from error
        return None

    async def _watch(self, sought: Sought, pursuit: _Pursuit) -> Outcome | Observation | None:
        """Follow one stream: an outcome, the last observation of a stream that was cut, or None if it had none."""
        offset = await self._logs.size(sought.attempt.id)
        last: Observation | None = None
        async with aclosing(self._pods.follow(sought.control, offset=offset)) as observations:
            async for seen in observations:
                last = seen
                ended = _ended(seen) if seen.started else None
                if seen.started and ended is None and not pursuit.told_alive:
                    pursuit.told_alive = True
                    log.info("command.alive", attempt=sought.attempt.id)
                    await pursuit.found_alive()
                if seen.log:
                    await self._logs.keep(sought.attempt.id, seen.offset, seen.log)
                if not seen.started:
                    return seen
                if ended is not None:
                    return await self._endings.confirm(sought.attempt, sought.control, ended, sought.deadline)
                if self._clock.now() > sought.deadline:
                    break
            else:
                return last
        return await self._time_out(sought)

    async def _time_out(self, sought: Sought) -> Outcome:
        ended = await self._endings.abandon(sought.attempt)
        if ended.kind is not OutcomeKind.INTERRUPTED:
            # It had ended in time, never started, or may still run: the limit is not what it came to.
            return ended
        seconds = (sought.deadline - sought.attempt.started_at).total_seconds()
        return Outcome(
            kind=OutcomeKind.FAILED,
            cause=Reason.COMMAND_TIMED_OUT,
            detail=f"stopped after {seconds:g} s; {ended.detail}",
            hint="Raise the step's timeout in the catalog if it needs longer, then `resetd resume`.",
        )

    async def _missing(self, sought: Sought, error: PortError, pursuit: _Pursuit) -> Outcome | None:
        """What an error while following means: an outcome once it is conclusive, else None."""
        log.info(
            "command.out-of-sight", attempt=sought.attempt.id, reason=error.reason.value, detail=error.detail
        )
        fate = None
        try:
            fate = await self._pods.fate(sought.control)
        except PortError as unseen:
            if unseen.reason is not Reason.KUBERNETES_FORBIDDEN:
                # The API server itself is away: the command is not lost, only out of sight.
                pursuit.missing_since = None
                return None
        if fate is not None and fate.fate is Fate.TERMINATED:
            reason = _ENDS.get(fate.reason or "", Reason.COMMAND_INTERRUPTED)
            ended = interrupted(f"its container ended ({fate.reason or 'no reason given'})", reason)
            return await self._endings.once_idle(sought.attempt, ended)
        running = fate is not None and fate.fate is Fate.RUNNING
        if running and isinstance(error, TemporaryError):
            pursuit.missing_since = None
            return None
        now = self._clock.now()
        pursuit.missing_since = pursuit.missing_since or now
        # Rights and credentials that are refused may come back: what is conclusive is a pod that is not there.
        lost = fate is not None and not running and isinstance(error, PermanentError)
        if lost or now - pursuit.missing_since > PATIENCE:
            return unknown(f"{error.detail}; Kubernetes says nothing more of its container")
        return None


def _ended(seen: Observation) -> Outcome | None:
    """The outcome of a claimed command that is over; None while it runs."""
    if seen.exit_code is not None:
        return exited(seen.exit_code)
    return None if seen.alive else interrupted("its process is gone and left no exit code")


def _sought(attempt: Attempt, control: Control, step: PlannedStep, argv: tuple[str, ...]) -> Sought:
    return Sought(attempt, control, argv, attempt.started_at + timedelta(seconds=step.timeout))
