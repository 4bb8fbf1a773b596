"""Commands in a service's own container, or in a holder, that outlive their stream and the daemon."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from kubernetes_asyncio.client import CoreV1Api

from daemon.adapters.kubernetes import pod_selection
from daemon.adapters.kubernetes.client import Kubernetes
from daemon.adapters.kubernetes.cluster import read_pod
from daemon.adapters.kubernetes.container_variables import ContainerVariables
from daemon.adapters.kubernetes.exec import polling, scripts
from daemon.adapters.kubernetes.exec.follow_frames import FrameDecoder, FrameError
from daemon.adapters.kubernetes.exec.polling import ContainerPoller
from daemon.adapters.kubernetes.exec.scripts import Refusal
from daemon.adapters.kubernetes.exec.short_exec import SCRIPT_TIMEOUT_SECONDS, execute, unexpected_exit
from daemon.adapters.kubernetes.exec.websocket_stream import STDERR, ContainerRef, open_exec
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from daemon.ports.pods.cluster import Pod, Result
from daemon.ports.pods.commands import ContainerFate, Fate, Observation, Tombstone
from schemas.reasons import Reason
from schemas.resets import Control
from schemas.wire import AttemptId
from statemachines.steps.session_names import session_name

_MIN_COMMAND_POLL_SECONDS = 0.5
_MAX_COMMAND_POLL_SECONDS = 5.0
"""The pause between two polls of a command that has no stream doubles from the first to the second."""
_UNSAFE_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]")


@dataclass
class _StreamEnd:
    """How one exec of `follow` ended."""

    conclusive: bool = False
    """Whether its last observation leaves nothing to wait for."""
    whole: bool = False
    """Whether it ended by itself; otherwise it was cut."""


class KubernetesCommands:
    """Implements `daemon.ports.pods.commands.PodCommands`.

    Args:
        kubernetes: The connection, from `open_kubernetes`.
        stream_seconds: How long one exec of `follow` lasts at most; then it ends, and another one goes on.
        silent_seconds: How long a stream may say nothing before it counts as cut. A sound one says something about
            once a second.
    """

    def __init__(
        self, kubernetes: Kubernetes, *, stream_seconds: int = 25, silent_seconds: float = 30.0
    ) -> None:
        self._kubernetes = kubernetes
        self._core = CoreV1Api(kubernetes.rest)
        self._variables = ContainerVariables(kubernetes)
        self._stream_seconds = stream_seconds
        self._silent_seconds = silent_seconds
        self._poller = ContainerPoller(
            lambda container, argv, stdin: execute(kubernetes, container, argv, SCRIPT_TIMEOUT_SECONDS, stdin)
        )

    async def prepare(self, pod: Pod, attempt: AttemptId) -> Control:
        """See the port."""
        container = ContainerRef.of_pod(pod)
        await self._variables.learn(container, pod.uid, pod.container_id)
        argv = scripts.argv("prepare", "resetd." + _UNSAFE_IN_A_NAME.sub(".", attempt))
        result = await execute(self._kubernetes, container, argv, SCRIPT_TIMEOUT_SECONDS)
        if result.exit_code == Refusal.NOT_WRITABLE:
            raise TemporaryError(
                Reason.EXEC_REFUSED,
                f"{container}: none of $TMPDIR, /tmp and /dev/shm takes a file",
                hint="Give the container an emptyDir at /tmp, or free its disk.",
            )
        if result.exit_code != 0:
            raise unexpected_exit("prepare", container, result)
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
        recorded = (control.directory, control.incarnation, session_name(attempt))
        script = scripts.argv("launch", *recorded, str(len(stdin or b"")), *argv)
        # All that the attempt runs has the variable in its environment. By it those processes are found that left the
        # group.
        marked = ["env", f"RESETD_ATTEMPT={attempt}", *script]
        await self._run_script(control, "launch", marked, stdin or None)

    async def follow(self, control: Control, *, offset: int) -> AsyncGenerator[Observation, None]:
        """See the port. Nothing that the command prints is read before redaction knows its container's secrets."""
        container = ContainerRef.of_control(control)
        async with (
            self._variables.known(container, control.pod_uid, control.container_id),
            aclosing(self._observe(control, offset)) as observations,
        ):
            async for seen in observations:
                yield seen

    async def _observe(self, control: Control, offset: int) -> AsyncGenerator[Observation, None]:
        pause = _MIN_COMMAND_POLL_SECONDS
        while True:
            if not self._kubernetes.streams.has_free_slot(control.environment, control.pod):
                seen = await self._poll(control, offset)
                yield seen
                if _is_final(seen):
                    return
                pause = _MIN_COMMAND_POLL_SECONDS if seen.log else min(pause * 2, _MAX_COMMAND_POLL_SECONDS)
                offset = seen.offset + len(seen.log)
                await asyncio.sleep(0 if len(seen.log) == polling.MAX_OUTPUT_BYTES else pause)
                continue
            # Each exec ends by itself before long: of the streams that are cut, politely even, some go on in the pod.
            end = _StreamEnd()
            async with aclosing(self._follow_stream(control, offset, end)) as observations:
                async for seen in observations:
                    offset = seen.offset + len(seen.log)
                    yield seen
            if end.conclusive or not end.whole:
                return

    async def _poll(self, control: Control, offset: int) -> Observation:
        """Observe a command once, by an exec that it shares with others of its container."""
        answer = await self._poller.poll(control, offset)
        if isinstance(answer, Result):
            raise await self._refused(control, "poll", answer)
        return answer

    async def _follow_stream(
        self, control: Control, offset: int, end: _StreamEnd
    ) -> AsyncGenerator[Observation, None]:
        """Return the observations of one exec of its own; afterwards `end` says how the exec ended."""
        arguments = (control.directory, control.incarnation, str(offset), str(polling.MAX_OUTPUT_BYTES))
        argv = scripts.argv("follow", *arguments, str(self._stream_seconds))
        decoder = FrameDecoder()
        errors = b""
        async with (
            self._kubernetes.streams.slot(control.environment, control.pod),
            open_exec(self._kubernetes.websocket, ContainerRef.of_control(control), argv) as stream,
            aclosing(stream.messages(silent_seconds=self._silent_seconds)) as messages,
        ):
            async for channel, data in messages:
                if channel == STDERR:
                    errors = (errors + data)[-1000:]
                    continue
                try:
                    observations = decoder.feed(data)
                except FrameError:
                    return  # as good as cut: nothing is known, and following again is harmless
                for seen in observations:
                    end.conclusive = _is_final(seen)
                    yield seen
        end.whole = stream.exit_code == 0
        if stream.exit_code:
            raise await self._refused(control, "follow", Result(stream.exit_code, b"", errors))

    async def give_up(self, control: Control) -> Tombstone:
        """See the port."""
        argv = scripts.argv("give_up", control.directory, control.incarnation)
        answer = (await self._run_script(control, "give_up", argv)).stdout.strip()
        return Tombstone.PLACED if answer == b"given-up" else Tombstone.TOO_LATE

    async def stop(self, control: Control, attempt: AttemptId, *, force: bool) -> None:
        """See the port. What ran in a container that has ended is stopped."""
        await self._sweep(control, attempt, "KILL" if force else "TERM")

    async def gone(self, control: Control, attempt: AttemptId) -> bool:
        """See the port. What ran in a container that has ended is gone."""
        result = await self._sweep(control, attempt, "gone")
        return result is None or result.stdout.startswith(b"gone")

    async def discard(self, controls: Sequence[Control]) -> None:
        """See the port. The commands of a container share one exec."""
        places: dict[tuple[ContainerRef, str], list[Control]] = defaultdict(list)
        for control in controls:
            places[ContainerRef.of_control(control), control.incarnation].append(control)
        for (container, incarnation), there in places.items():
            argv = scripts.argv("discard", incarnation, *(control.directory for control in there))
            try:
                result = await execute(self._kubernetes, container, argv, SCRIPT_TIMEOUT_SECONDS)
            except PermanentError as error:
                if error.reason is not Reason.POD_NOT_FOUND:
                    raise
                continue
            if result.exit_code not in {0, Refusal.OTHER_INCARNATION}:
                raise unexpected_exit("discard", container, result)

    async def fate(self, control: Control) -> ContainerFate:
        """See the port."""
        pod = await read_pod(self._core, control.environment, control.pod)
        return pod_selection.container_fate(pod, control)

    async def _sweep(self, control: Control, attempt: AttemptId, act: str) -> Result | None:
        """Run the script `sweep`; None where its container has ended, and every process with it."""
        argv = scripts.argv("sweep", control.directory, control.incarnation, attempt, act)
        try:
            return await self._run_script(control, "sweep", argv)
        except PortError:
            if (await self.fate(control)).fate is Fate.TERMINATED:
                return None
            raise

    async def _run_script(
        self, control: Control, name: str, argv: Sequence[str], stdin: bytes | None = None
    ) -> Result:
        container = ContainerRef.of_control(control)
        result = await execute(self._kubernetes, container, argv, SCRIPT_TIMEOUT_SECONDS, stdin)
        if result.exit_code != 0:
            raise await self._refused(control, name, result)
        return result

    async def _refused(self, control: Control, name: str, result: Result) -> PortError:
        """Make the error for a script that ended with another code than 0."""
        container = ContainerRef.of_control(control)
        match result.exit_code:
            case Refusal.OTHER_INCARNATION:
                return PermanentError(
                    Reason.COMMAND_INTERRUPTED, f"{container}: the container is another one than was recorded"
                )
            case Refusal.NO_DIRECTORY:
                if (await self.fate(control)).fate is Fate.TERMINATED:
                    return PermanentError(
                        Reason.COMMAND_INTERRUPTED, f"{container}: the container was restarted"
                    )
                return PermanentError(
                    Reason.OUTCOME_UNKNOWN, f"{container}: the control directory {control.directory} is gone"
                )
            case Refusal.NOT_WRITABLE:
                return TemporaryError(
                    Reason.EXEC_REFUSED, f"{container}: {control.directory} can't be written: disk full?"
                )
            case Refusal.UNSURE:
                return TemporaryError(
                    Reason.OUTCOME_UNKNOWN,
                    f"{container}: processes whose environment can't be read may belong to the command: "
                    + result.stdout.decode("ascii", "replace").strip(),
                )
            case _:
                return unexpected_exit(name, container, result)

    async def _shares_pid_1(self, pod: Pod) -> bool:
        """Tell whether PID 1 outlives the container, so that it says nothing of the container's incarnation.

        Raises:
            TemporaryError: `pod-not-ready`: the exec before it may have run in another container than `pod` names.
                Container ids are never used twice.
        """
        now = await read_pod(self._core, pod.environment, pod.name)
        status = pod_selection.container_status(now, pod.container) if now else None
        if (
            now is None
            or now.metadata.uid != pod.uid
            or not status
            or status.container_id != pod.container_id
        ):
            where = ContainerRef.of_pod(pod)
            raise TemporaryError(Reason.POD_NOT_READY, f"{where} was replaced or restarted just now")
        return bool(now.spec.share_process_namespace or now.spec.host_pid)


def _is_final(seen: Observation) -> bool:
    """Tell whether there is nothing to wait for after an observation."""
    return seen.given_up or seen.exit_code is not None or (seen.started and not seen.alive)
