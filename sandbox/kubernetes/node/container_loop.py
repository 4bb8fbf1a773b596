"""One container of a pod, started again and again as the restart policy says.

Two things differ from a real cluster. The delays after crashes are shorter (`BACKOFF`). Readiness is seen by the file
that the service touches once it serves, and not by the HTTP probe that the pod declares.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Protocol

from sandbox.kubernetes.node import pod_specs
from sandbox.kubernetes.node.containers import Container, Ended
from sandbox.kubernetes.node.node import Node
from sandbox.kubernetes.node.pod_status import ContainerState
from sandbox.kubernetes.node.runtime import ImageMissing
from sandbox.kubernetes.objects.objects import Object
from sandbox.polling import until

BACKOFF = (0.0, 0.5, 1.0, 2.0, 4.0)
STEADY = 60.0
START_PATIENCE = 20.0
POLL = 0.1


class OwnPod(Protocol):
    """The pod that a container belongs to, as far as the container needs it."""

    @property
    def pod(self) -> Object:
        """The pod's object."""
        ...

    @property
    def directory(self) -> Path:
        """The directory that all containers of the pod share."""
        ...

    def publish(self) -> None:
        """Write the states of the pod's containers into its status."""
        ...


class ContainerLoop:
    """Keeps one container running and `state` true to it."""

    def __init__(self, node: Node, pod: OwnPod, spec: Object, state: ContainerState) -> None:
        self._node = node
        self._pod = pod
        self._spec = spec
        self._state = state
        self._probed = "readinessProbe" in spec
        self._stopping = asyncio.Event()
        self._container: Container | None = None
        self._place: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Run the container until its restart policy is satisfied, or until `stop` is called."""
        clock = asyncio.get_running_loop().time
        crashes = 0
        policy = self._pod.pod["spec"].get("restartPolicy", "Always")
        state = self._state
        self._container = self._found()
        if "terminated" in state.state and policy == "Never":
            return
        while not self._stopping.is_set():
            began = clock()
            if self._container is None and not await self._start():
                return
            assert self._container is not None
            ended = await self._follow(self._container)
            state.ended(ended.code, ended.reason)
            self._pod.publish()
            rests = policy == "Never" or (policy == "OnFailure" and ended.code == 0)
            if rests or self._stopping.is_set():
                return
            crashes = 1 if clock() - began > STEADY else crashes + 1
            state.last = state.state
            if delay := BACKOFF[min(crashes, len(BACKOFF)) - 1]:
                why = f"back-off restarting failed container={state.name}"
                state.waits("CrashLoopBackOff", why)
                self._pod.publish()
                await self._pause(delay)
            if not self._stopping.is_set():
                self.forget()
                state.restarts += 1

    def stop(self, number: signal.Signals) -> None:
        """Send a signal to PID 1, and start the container no more."""
        self._stopping.set()
        if self._container is not None:
            self._container.signal(number)

    def forget(self) -> None:
        """Kill what is left of the container and delete its directory; its log stays."""
        if self._container is not None:
            self._container.signal(signal.SIGKILL)
            self._node.containers.pop(self._container.id, None)
            self._node.runtime.remove(self._container)
            self._container = None

    def _found(self) -> Container | None:
        """The container that a server which was killed left running; it may have ended since."""
        if not self._state.container_id or "running" not in self._state.state:
            return None
        found = self._node.runtime.find(self._state.container_id, self._state.image_id)
        self._node.containers[found.id] = found
        return found

    async def _pause(self, seconds: float) -> None:
        waits = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({waits}, timeout=seconds)
        waits.cancel()

    async def _start(self) -> bool:
        """Start a new container with a place among the start scripts; False when it is stopped meanwhile."""
        if not self._probed:
            return await self._prepare_and_launch()
        await self._node.starts.acquire()
        started = False
        try:
            started = await self._prepare_and_launch()
        finally:
            if started:
                self._place = asyncio.create_task(self._give_place_back())
            else:
                self._node.starts.release()
        return started

    async def _give_place_back(self) -> None:
        """Give the place back once the service serves, has ended, or has taken so long that others need not wait."""
        state = self._state
        try:
            await until(
                lambda: state.ready or "running" not in state.state, within=START_PATIENCE, every=POLL
            )
        finally:
            self._node.starts.release()

    async def _prepare_and_launch(self) -> bool:
        state, runtime = self._state, self._node.runtime
        while not self._stopping.is_set():
            try:
                image = self._spec["image"]
                container = await asyncio.to_thread(runtime.prepare, image, self._pod.directory)
            except ImageMissing as missing:
                state.waits("ImagePullBackOff", f'Back-off pulling image "{missing}"')
            else:
                try:
                    self._launch(container)
                except pod_specs.ConfigError as error:
                    runtime.remove(container)
                    state.waits("CreateContainerConfigError", str(error))
                else:
                    await container.up()
                    state.runs()
                    state.ready = not self._probed
                    self._pod.publish()
                    return True
            self._pod.publish()
            await self._pause(1)
        return False

    def _launch(self, container: Container) -> None:
        objects, pod, spec = self._node.objects, self._pod.pod, self._spec
        environment = pod_specs.environment(objects, pod, spec, container, stand_ins=self._node.stand_ins)
        binds = pod_specs.binds(objects, pod, spec, self._pod.directory)
        runtime = self._node.runtime
        command = spec.get("command") or []
        if not command and not spec.get("args"):
            command = runtime.default_command(container.app)
        argv = [pod_specs.expand(part, environment) for part in [*command, *(spec.get("args") or [])]]
        log = self._node.log_path(pod, spec["name"], self._state.restarts)
        # The id is stored only once the container is up. A server killed before that sweeps it away and starts another.
        self._state.container_id, self._state.image_id = container.id, container.image_id
        self._container = self._node.containers[container.id] = container
        runtime.launch(container, self._pod.directory, log, argv, environment, binds)

    async def _follow(self, container: Container) -> Ended:
        """Keep `ready` up to date until the container ends; returns how it ended."""
        end = asyncio.create_task(container.ended())
        try:
            while not end.done():
                ready = not self._probed or container.ready_file.exists()
                if ready is not self._state.ready:
                    self._state.ready = ready
                    self._pod.publish()
                await asyncio.wait({end}, timeout=None if ready else POLL)
            return end.result()
        finally:
            end.cancel()
