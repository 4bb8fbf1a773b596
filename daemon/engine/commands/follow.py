"""One attempt at a command in a pod: prepared, recorded, launched detached, followed, found again.

The order is the product's promise:

1. The attempt is durable before its command is launched.
2. A launch is repeated only into the same control directory. One atomic act in the pod lets one launch take effect.
3. "It never started" is believed only after a tombstone was placed.
4. An outcome that can't be known is called unknown.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from daemon.engine.commands.launch_guard import LaunchGuard
from daemon.engine.commands.termination import DOUBT_LIMIT, LONGEST_DELAY, Termination
from daemon.ports.backoff import Backoff
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

MOST_LAUNCHES = 5
"""Deliveries of one launch, after which a tombstone decides whether the command started."""
SHORTEST_PAUSE = 0.1
"""Seconds between the end of a command's stream and the next look at the command, at first."""
LONGEST_PAUSE = 2.0
"""Seconds that this pause grows to."""

_CAUSES = {"OOMKilled": Reason.OUT_OF_MEMORY, "Evicted": Reason.EVICTED}
"""The kubelet's word for the end of a container -> the cause that it stands for. Other words say only that it ended."""


@dataclass(frozen=True)
class _Command:
    """The command that is followed, with what a repeated launch needs."""

    attempt: Attempt
    control: Control
    argv: tuple[str, ...]
    deadline: datetime
    guard: LaunchGuard


@dataclass
class _Progress:
    """How far this process came with one command."""

    fresh: bool = False
    """Whether the control directory was made just now: nothing can have started in it."""
    launches: int = 0
    launched_now: bool = False
    told_alive: bool = False
    missing_since: datetime | None = None


class CommandFollower:
    """Runs commands in pods through the pods' port and keeps what they print."""

    def __init__(self, pods: Pods, logs: Logs, clock: Clock, termination: Termination) -> None:
        self._pods = pods
        self._logs = logs
        self._clock = clock
        self._termination = termination

    async def start(self, pod: Pod, attempt: AttemptId, step: PlannedStep, guard: LaunchGuard) -> Outcome:
        """Prepare, let `guard` record the attempt, launch, and follow the command to its end.

        Raises:
            PortError: the attempt was not recorded, and nothing was launched.
        """
        control = await self._pods.prepare(pod, attempt)
        recorded = await guard.record(control)
        return await self._pursue(_command(recorded, control, step, guard), _Progress(fresh=True))

    async def take_up(self, attempt: Attempt, step: PlannedStep, guard: LaunchGuard) -> Outcome:
        """Find the command of a recorded attempt again, wherever it is, and follow it to its end.

        After a crash, an attempt that was never launched looks the same as one whose launch is still under way. So
        the launch is delivered once more where the command has not started: a second delivery is harmless.
        """
        if attempt.control is None:
            return Outcome(kind=OutcomeKind.INTERRUPTED, cause=Reason.COMMAND_INTERRUPTED)
        return await self._pursue(_command(attempt, attempt.control, step, guard), _Progress())

    async def _pursue(self, command: _Command, progress: _Progress) -> Outcome:
        """Look, launch where the command has not started, look again, until its outcome is known or called unknown."""
        backoff = Backoff(self._clock, shortest=SHORTEST_PAUSE, longest=LONGEST_PAUSE)
        while True:
            asked_to_wait = 0.0
            try:
                outcome = await self._look(command, progress)
            except PortError as error:
                outcome = await self._missing(command, error, progress)
                asked_to_wait = min(getattr(error, "delay", None) or 0.0, LONGEST_DELAY)
            if outcome is not None:
                return outcome
            if self._clock.now() > command.deadline + DOUBT_LIMIT:
                return await self._time_out(command)
            if progress.launched_now:
                progress.launched_now = False
                backoff.reset()
                continue
            await backoff.wait(at_least=asked_to_wait)

    async def _look(self, command: _Command, progress: _Progress) -> Outcome | None:
        """Follow the command for as long as one stream lasts; deliver its launch where it has not started."""
        fresh, progress.fresh = progress.fresh, False
        if not fresh:
            seen = await self._watch(command, progress)
            if isinstance(seen, Outcome):
                return seen
            progress.missing_since = None
            if seen is None or seen.started:
                return None
            if seen.given_up:
                return never_started("it was given up before it started")
        late = self._clock.now() > command.deadline
        if late or progress.launches == MOST_LAUNCHES:
            if await self._pods.give_up(command.control) is Tombstone.PLACED:
                # A command that starts after its time is stopped in its first moment, half done.
                why = "its time was over before it was launched" if late else "its launch never took effect"
                return never_started(why)
            return None
        refused = await self._refused(command, fresh=fresh)
        if refused is None:
            progress.launches += 1
            command.guard.check_lease()
            await self._pods.launch(command.control, command.attempt.id, command.argv)
            progress.launched_now = True
        return refused

    async def _refused(self, command: _Command, *, fresh: bool) -> Outcome | None:
        """The outcome of a command that must not be launched any more, behind a tombstone; None: it may be launched.

        A `fresh` one, which can't have started yet, is given up also where that can't be told now.

        Raises:
            TemporaryError: that can't be told now, or the command started meanwhile: look again.
        """
        try:
            await command.guard.may_launch()
        except PortError as error:
            temporary = isinstance(error, TemporaryError)
            if temporary and not fresh:
                raise
            if await self._pods.give_up(command.control) is Tombstone.PLACED:
                return never_started(error.detail, error.reason, temporary=temporary, hint=error.hint)
            raise TemporaryError(error.reason, "it was started after all") from error
        return None

    async def _watch(self, command: _Command, progress: _Progress) -> Outcome | Observation | None:
        """Follow one stream. Answers an outcome, the last observation of a stream that was cut, or None without one."""
        offset = await self._logs.size(command.attempt.id)
        last: Observation | None = None
        async with aclosing(self._pods.follow(command.control, offset=offset)) as observations:
            async for seen in observations:
                last = seen
                ended = _ended(seen) if seen.started else None
                if seen.started and ended is None and not progress.told_alive:
                    progress.told_alive = True
                    log.info("command.alive", attempt=command.attempt.id)
                    await command.guard.seen_alive()
                if seen.log:
                    await self._logs.keep(command.attempt.id, seen.offset, seen.log)
                if not seen.started:
                    return seen
                if ended is not None:
                    return await self._termination.confirm(
                        command.attempt, command.control, ended, command.deadline
                    )
                if self._clock.now() > command.deadline:
                    break
            else:
                return last
        return await self._time_out(command)

    async def _time_out(self, command: _Command) -> Outcome:
        ended = await self._termination.end(command.attempt)
        if ended.kind is not OutcomeKind.INTERRUPTED:
            # It ended in time, never started, or may still run: each says more than the time limit.
            return ended
        seconds = (command.deadline - command.attempt.started_at).total_seconds()
        return Outcome(
            kind=OutcomeKind.FAILED,
            cause=Reason.COMMAND_TIMED_OUT,
            detail=f"stopped after {seconds:g} s; {ended.detail}",
            hint="Raise the step's timeout in the catalog if it needs longer, then `resetd resume`.",
        )

    async def _missing(self, command: _Command, error: PortError, progress: _Progress) -> Outcome | None:
        """What an error while following means: an outcome once it is conclusive, else None."""
        log.info(
            "command.out-of-sight", attempt=command.attempt.id, reason=error.reason.value, detail=error.detail
        )
        fate = None
        try:
            fate = await self._pods.fate(command.control)
        except PortError as unseen:
            if unseen.reason is not Reason.KUBERNETES_FORBIDDEN:
                # The API server itself is away: the command is out of sight, and may run on.
                progress.missing_since = None
                return None
        if fate is not None and fate.fate is Fate.TERMINATED:
            reason = _CAUSES.get(fate.reason or "", Reason.COMMAND_INTERRUPTED)
            ended = interrupted(f"its container ended ({fate.reason or 'no reason given'})", reason)
            return await self._termination.after_database_work(command.attempt, ended)
        running = fate is not None and fate.fate is Fate.RUNNING
        if running and isinstance(error, TemporaryError):
            progress.missing_since = None
            return None
        now = self._clock.now()
        progress.missing_since = progress.missing_since or now
        # Refused rights and credentials may come back. A pod that is not there is conclusive.
        lost = fate is not None and not running and isinstance(error, PermanentError)
        if lost or now - progress.missing_since > DOUBT_LIMIT:
            return unknown(f"{error.detail}; Kubernetes says nothing more of its container")
        return None


def _ended(seen: Observation) -> Outcome | None:
    """The outcome of a started command that is over; None while it runs."""
    if seen.exit_code is not None:
        return exited(seen.exit_code)
    return None if seen.alive else interrupted("its process is gone and left no exit code")


def _command(attempt: Attempt, control: Control, step: PlannedStep, guard: LaunchGuard) -> _Command:
    deadline = attempt.started_at + timedelta(seconds=step.timeout)
    return _Command(attempt, control, step.argv, deadline, guard)
