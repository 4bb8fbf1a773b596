"""The pods port: commands in the service's own container that outlive their stream and the daemon."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from daemon.adapters.kubernetes import pod_selection
from daemon.adapters.kubernetes.client import Kubernetes
from daemon.adapters.kubernetes.cluster import Cluster
from daemon.adapters.kubernetes.exec import polling, scripts
from daemon.adapters.kubernetes.exec.follow_frames import FrameDecoder, FrameError
from daemon.adapters.kubernetes.exec.polling import Looks
from daemon.adapters.kubernetes.exec.scripts import Refusal
from daemon.adapters.kubernetes.exec.short_exec import execute, unexpected
from daemon.adapters.kubernetes.exec.websocket_stream import STDERR, Place, open_exec
from daemon.adapters.kubernetes.holders import Holders
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from daemon.ports.pods.cluster import Pod, Result
from daemon.ports.pods.commands import ContainerFate, Fate, Observation, Tombstone
from daemon.ports.pods.holders import Holder, Need
from schemas.reasons import Reason
from schemas.resets import Control
from schemas.wire import AttemptId
from statemachines.steps.session_names import session_name

_SCRIPT_SECONDS = 30.0
_SHORTEST_PAUSE = 0.5
_LONGEST_PAUSE = 5.0
"""Seconds between two looks at a command that has no stream."""
_OTHER_NAMES = re.compile(r"[^A-Za-z0-9._-]")


@dataclass
class _Watch:
    """How one exec of `follow` ended."""

    conclusive: bool = False
    """Whether its last observation leaves nothing to wait for."""
    whole: bool = False
    """Whether it ended by itself; else it was cut."""


class KubernetesPods:
    """Implements `daemon.ports.pods.Pods`.

    Args:
        kubernetes: The connection, from `open_kubernetes`.
        stream_seconds: How long one exec of `follow` lasts at most; then it ends and is taken up again.
        silent_seconds: How long it may say nothing, which it does about once a second, before it counts as cut.
    """

    def __init__(
        self, kubernetes: Kubernetes, *, stream_seconds: int = 25, silent_seconds: float = 30.0
    ) -> None:
        self._kubernetes = kubernetes
        self._cluster = Cluster(kubernetes)
        self._holders = Holders(kubernetes)
        self._stream_seconds = stream_seconds
        self._silent_seconds = silent_seconds
        self._looks = Looks(lambda place, argv, told: execute(kubernetes, place, argv, _SCRIPT_SECONDS, told))

    async def environments(self) -> tuple[str, ...]:
        """See the port."""
        return await self._cluster.environments()

    async def consumers(self, environment: str, selectors: Sequence[str]) -> Mapping[str, int]:
        """See the port."""
        return await self._cluster.consumers(environment, selectors)

    async def choose(self, environment: str, selector: str, container: str | None) -> Pod:
        """See the port."""
        return await self._cluster.choose(environment, selector, container)

    async def hold(self, environment: str, selector: str, container: str | None, need: Need) -> Pod:
        """See the port."""
        return await self._holders.hold(environment, selector, container, need)

    async def holders(self) -> tuple[Holder, ...]:
        """See the port."""
        return await self._holders.holders()

    async def remove_holder(self, holder: Holder) -> bool:
        """See the port."""
        return await self._holders.remove_holder(holder)

    async def fate(self, control: Control) -> ContainerFate:
        """See the port."""
        return await self._cluster.fate(control)

    async def last_log(self, environment: str, selector: str, lines: int) -> str:
        """See the port."""
        return await self._cluster.last_log(environment, selector, lines)

    async def read(
        self, pod: Pod, argv: Sequence[str], *, timeout: float, stdin: bytes | None = None
    ) -> Result:
        """See the port."""
        if stdin is not None:
            argv = ["sh", "-c", 'rd_n=$1; shift; head -c "$rd_n" | "$@"', "resetd", str(len(stdin)), *argv]
        return await execute(self._kubernetes, _place(pod), argv, timeout, stdin)

    async def variables(self, pod: Pod, names: Sequence[str]) -> Mapping[str, str]:
        """See the port: what an exec gets is what every command of ours will get."""
        result = await self.read(pod, ["cat", "/proc/self/environ"], timeout=_SCRIPT_SECONDS)
        if result.exit_code != 0:
            raise TemporaryError(Reason.EXEC_REFUSED, f"could not read the environment of {_place(pod)}")
        entries = result.stdout.decode("utf-8", "surrogateescape").split("\0")
        found = dict(entry.split("=", 1) for entry in entries if "=" in entry)
        return {name: found[name] for name in names if name in found}

    async def prepare(self, pod: Pod, attempt: AttemptId) -> Control:
        """See the port."""
        name = "resetd." + _OTHER_NAMES.sub(".", attempt)
        result = await execute(self._kubernetes, _place(pod), scripts.argv("prepare", name), _SCRIPT_SECONDS)
        if result.exit_code == Refusal.NOT_WRITABLE:
            raise TemporaryError(
                Reason.EXEC_REFUSED,
                f"{_place(pod)}: none of $TMPDIR, /tmp and /dev/shm takes a file",
                hint="Give the container an emptyDir at /tmp, or free its disk.",
            )
        if result.exit_code != 0:
            raise unexpected("prepare", _place(pod), result)
        directory, incarnation = result.stdout.decode("utf-8", "surrogateescape").splitlines()[:2]
        return Control(
            environment=pod.environment,
            pod=pod.name,
            pod_uid=pod.uid,
            container=pod.container,
            container_id=pod.container_id,
            restart_count=pod.restart_count,
            incarnation="" if await self._shares_pid_1(pod) else incarnation,
            directory=directory,
        )

    async def launch(
        self, control: Control, attempt: AttemptId, argv: Sequence[str], *, stdin: bytes | None = None
    ) -> None:
        """See the port."""
        where = (control.directory, control.incarnation, session_name(attempt))
        script = scripts.argv("launch", *where, str(len(stdin or b"")), *argv)
        # In the environment of all that the attempt runs: by it the processes are found that left the group.
        marked = ["env", f"RESETD_ATTEMPT={attempt}", *script]
        await self._in_container(control, "launch", marked, stdin or None)

    async def follow(self, control: Control, *, offset: int) -> AsyncGenerator[Observation, None]:
        """See the port."""
        pause = _SHORTEST_PAUSE
        while True:
            if not self._kubernetes.streams.free(control.environment, control.pod):
                seen = await self._look(control, offset)
                yield seen
                if _is_over(seen):
                    return
                pause = _SHORTEST_PAUSE if seen.log else min(pause * 2, _LONGEST_PAUSE)
                offset = seen.offset + len(seen.log)
                await asyncio.sleep(0 if len(seen.log) == polling.BYTES else pause)
                continue
            # Each exec ends by itself before long: of a stream that was cut, politely even, some go on in the pod.
            watch = _Watch()
            async with aclosing(self._watch(control, offset, watch)) as observations:
                async for seen in observations:
                    offset = seen.offset + len(seen.log)
                    yield seen
            if watch.conclusive or not watch.whole:
                return

    async def _look(self, control: Control, offset: int) -> Observation:
        answer = await self._looks.look(control, offset)
        if isinstance(answer, Result):
            raise await self._refused(control, "poll", answer)
        return answer

    async def _watch(self, control: Control, offset: int, watch: _Watch) -> AsyncGenerator[Observation, None]:
        """The observations of one exec; afterwards `watch` says how it ended."""
        arguments = (control.directory, control.incarnation, str(offset), str(polling.BYTES))
        argv = scripts.argv("follow", *arguments, str(self._stream_seconds))
        decoder = FrameDecoder()
        errors = b""
        async with (
            self._kubernetes.streams.turn(control.environment, control.pod),
            open_exec(self._kubernetes.websocket, _place(control), argv) as stream,
            aclosing(stream.messages(silent_seconds=self._silent_seconds)) as messages,
        ):
            async for channel, data in messages:
                if channel == STDERR:
                    errors = (errors + data)[-1000:]
                    continue
                try:
                    observations = decoder.feed(data)
                except FrameError:
                    return  # as good as cut: nothing is known, and another look is harmless
                for seen in observations:
                    watch.conclusive = _is_over(seen)
                    yield seen
        watch.whole = stream.exit_code == 0
        if stream.exit_code:
            raise await self._refused(control, "follow", Result(stream.exit_code, b"", errors))

    async def give_up(self, control: Control) -> Tombstone:
        """See the port."""
        argv = scripts.argv("give_up", control.directory, control.incarnation)
        answer = (await self._in_container(control, "give_up", argv)).stdout.strip()
        return Tombstone.PLACED if answer == b"given-up" else Tombstone.TOO_LATE

    async def stop(self, control: Control, attempt: AttemptId, *, force: bool) -> None:
        """See the port. What ran in a container that has ended is stopped."""
        await self._sweep(control, attempt, "KILL" if force else "TERM")

    async def gone(self, control: Control, attempt: AttemptId) -> bool:
        """See the port. What ran in a container that has ended is gone."""
        result = await self._sweep(control, attempt, "gone")
        return result is None or result.stdout.startswith(b"gone")

    async def _sweep(self, control: Control, attempt: AttemptId, act: str) -> Result | None:
        argv = scripts.argv("sweep", control.directory, control.incarnation, attempt, act)
        try:
            return await self._in_container(control, "sweep", argv)
        except PortError:
            if (await self.fate(control)).fate is Fate.TERMINATED:
                return None
            raise

    async def _in_container(
        self, control: Control, name: str, argv: Sequence[str], stdin: bytes | None = None
    ) -> Result:
        result = await execute(self._kubernetes, _place(control), argv, _SCRIPT_SECONDS, stdin)
        if result.exit_code != 0:
            raise await self._refused(control, name, result)
        return result

    async def _refused(self, control: Control, name: str, result: Result) -> PortError:
        where = str(_place(control))
        match result.exit_code:
            case Refusal.OTHER_INCARNATION:
                return PermanentError(
                    Reason.COMMAND_INTERRUPTED, f"{where}: the container is another one than was recorded"
                )
            case Refusal.NO_DIRECTORY:
                if (await self.fate(control)).fate is Fate.TERMINATED:
                    return PermanentError(Reason.COMMAND_INTERRUPTED, f"{where}: the container was restarted")
                return PermanentError(
                    Reason.OUTCOME_UNKNOWN, f"{where}: the control directory {control.directory} is gone"
                )
            case Refusal.NOT_WRITABLE:
                return TemporaryError(
                    Reason.EXEC_REFUSED, f"{where}: {control.directory} can't be written: disk full?"
                )
            case Refusal.UNSURE:
                return TemporaryError(
                    Reason.OUTCOME_UNKNOWN,
                    f"{where}: processes whose environment can't be read may belong to the command: "
                    + result.stdout.decode("ascii", "replace").strip(),
                )
            case _:
                return unexpected(name, _place(control), result)

    async def _shares_pid_1(self, pod: Pod) -> bool:
        """Whether PID 1 outlives the container, so that it says nothing of its incarnation.

        Also makes sure that the exec before it ran in the container that `pod` names: ids are never used twice.
        """
        now = await self._cluster.pod(pod.environment, pod.name)
        status = pod_selection.status_of(now, pod.container) if now else None
        if (
            now is None
            or now.metadata.uid != pod.uid
            or not status
            or status.container_id != pod.container_id
        ):
            raise TemporaryError(Reason.POD_NOT_READY, f"{_place(pod)} was replaced or restarted just now")
        return bool(now.spec.share_process_namespace or now.spec.host_pid)


def _is_over(seen: Observation) -> bool:
    """Whether there is nothing to wait for."""
    return seen.given_up or seen.exit_code is not None or (seen.started and not seen.alive)


def _place(where: Pod | Control) -> Place:
    return Place(where.environment, where.name if isinstance(where, Pod) else where.pod, where.container)
