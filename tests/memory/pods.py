"""Pods in memory: containers whose commands are coroutines.

As in a cluster, a command runs on whether anybody follows it or not: it outlives streams and callers, and ends with its
container.

Over 300 lines: all that the port promises, and beside it the ways in which a test breaks it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from itertools import count

from daemon.ports.errors import PermanentError, PortError, TemporaryError
from daemon.ports.pods.cluster import Addresses, Pod, Result, Template, Workload, Workloads
from daemon.ports.pods.commands import ContainerFate, Fate, Observation, Tombstone
from daemon.ports.pods.holders import Holder, Need
from daemon.redaction.known_values import KNOWN, secret_values
from schemas.reasons import Reason
from schemas.resets import Control
from schemas.wire import AttemptId, ResetId
from tests.memory.processes import Command, Process
from tests.memory.services import MemoryService, Program, succeed

LABEL = "app.kubernetes.io/name"
_MAX_OUTPUT_BYTES = 65536


class MemoryPods:
    """Implements `daemon.ports.pods.pods.Pods`. `close` ends what still runs."""

    def __init__(self, *, idle: float = 0.05) -> None:
        self._idle = idle
        """Seconds between two observations of a command that does nothing new."""
        self._services: dict[tuple[str, str], MemoryService] = {}
        self._holders: dict[tuple[str, str], MemoryService] = {}
        self.holders_refused: dict[str, tuple[PermanentError, ...]] = {}
        """Why the cluster would let no holder of a service be."""
        self._namespaces: set[str] = set()
        self._forbidden: dict[str, PermanentError] = {}
        self._faults: dict[str, list[tuple[PortError, bool]]] = {}
        self._cuts = 0
        self._directories = count(1)
        self.launched: list[tuple[AttemptId, tuple[str, ...]]] = []
        """Every command that really started, in order. A test compares the engine's claims with it."""

    def add(
        self,
        environment: str,
        service: str,
        program: Program = succeed,
        variables: Mapping[str, str] | None = None,
    ) -> MemoryService:
        """Add a service with one ready pod, whose label is `app.kubernetes.io/name=SERVICE`."""
        made = MemoryService(environment, service, program, dict(variables or {}))
        made.address = f"10.0.0.{len(self._services) + 1}"
        self._services[environment, service] = made
        return made

    def add_namespace(self, name: str, *, readable: bool = True) -> None:
        """Add a namespace, which may run nothing, or whose workloads may not be listed."""
        self._namespaces.add(name)
        if not readable:
            right = f"list deployments.apps in {name}"
            self._forbidden[name] = PermanentError(
                Reason.KUBERNETES_FORBIDDEN, f"could not list deployments of {name}; missing right: {right}"
            )

    def fail(self, method: str, error: PortError, *, after: bool = False) -> None:
        """Let the next call of a method raise. With `after` the call takes effect, and only its answer is lost."""
        self._faults.setdefault(method, []).append((error, after))

    def cut_streams(self) -> None:
        """End every `follow` without a word."""
        self._cuts += 1

    async def restart(self, service: MemoryService, reason: str = "Error") -> None:
        """End the container with all of its commands, and start another one in its pod."""
        await self._end(service)
        service.restarts += 1
        service.last_reason = reason

    async def replace(self, service: MemoryService) -> None:
        """Delete the pod, and put another one in its place, which knows nothing of it."""
        await self._end(service)
        service.replaced += 1
        service.restarts = 0

    def service(self, environment: str, name: str) -> MemoryService | None:
        """Find a service's Deployment."""
        return self._services.get((environment, name))

    def is_ready(self, environment: str, name: str) -> bool:
        """Tell whether a service has the pods that its Deployment asks for."""
        service = self._services.get((environment, name))
        return service is not None and (service.ready or not service.replicas)

    async def scale(self, environment: str, name: str, replicas: int) -> None:
        """Scale a Deployment. At 0 its pod goes with all of its commands; back from 0 there is another pod."""
        service = self._services[environment, name]
        if service.replicas and not replicas:
            await self._end(service)
            service.replaced += 1
            service.restarts = 0
        service.replicas = replicas

    async def remove(self, service: MemoryService) -> None:
        """Delete the service with its pod."""
        await self._end(service)
        del self._services[service.environment, service.name]

    async def close(self) -> None:
        """End every command."""
        for service in self._containers():
            await self._end(service)

    async def environments(self) -> tuple[str, ...]:
        """See the port."""
        self._maybe_fail("environments")
        return tuple(sorted({environment for environment, _ in self._services} | self._namespaces))

    async def workloads(self, environment: str) -> Workloads:
        """See the port."""
        self._maybe_fail("workloads")
        if environment in self._forbidden:
            return Workloads((), (self._forbidden[environment],))
        return Workloads(
            tuple(
                Workload(
                    kind="Deployment" if service.owned else "Pod",
                    name=service.name,
                    labels={LABEL: service.label or service.name},
                    replicas=service.replicas,
                    templated=service.owned,
                    templates=(Template(service.name, repr(sorted(service.variables.items()))),),
                    quiesced_by=service.quiesced_by,
                    used=service.used,
                )
                for service in self._services.values()
                if service.environment == environment
            )
        )

    async def addresses(self, environment: str) -> Addresses:
        """See the port."""
        self._maybe_fail("addresses")
        own = (each.address for each in self._containers() if each.environment == environment)
        return Addresses(frozenset(filter(None, own)), frozenset({"node"}))

    async def choose(self, environment: str, selector: str, container: str | None) -> Pod:
        """See the port."""
        self._maybe_fail("choose")
        service = self._services.get((environment, selector.rpartition("=")[2]))
        if service is None or service.replicas == 0 or not service.owned or service.label:
            raise PermanentError(Reason.POD_NOT_FOUND, f"{environment}: no pod matches {selector}")
        if not service.ready:
            raise TemporaryError(Reason.POD_NOT_READY, f"{environment}: no pod of {selector} is ready")
        if container not in {None, service.name}:
            raise PermanentError(
                Reason.POD_NOT_FOUND, f"{environment}: {selector} has no container {container}"
            )
        return service.pod()

    async def choose_each(self, environment: str, selector: str, container: str | None) -> tuple[Pod, ...]:
        """See the port."""
        chosen = await self.choose(environment, selector, container)
        others = (
            each.pod()
            for each in self._services.values()
            if (each.environment, each.label) == (environment, selector.rpartition("=")[2])
            and each.replicas
            and each.ready
        )
        return chosen, *others

    async def ready_each(
        self,
        environment: str,
        selector: str,
        container: str | None,  # noqa: ARG002 - the port's
    ) -> tuple[Pod, ...]:
        """See the port."""
        self._maybe_fail("ready_each")
        return tuple(
            each.pod()
            for each in self._services.values()
            if (each.environment, each.label or each.name) == (environment, selector.rpartition("=")[2])
            and each.replicas
            and each.ready
        )

    async def hold(self, environment: str, selector: str, container: str | None, need: Need) -> Pod:
        """See the port."""
        self._maybe_fail("hold")
        reset_id = ResetId(need.attempt.partition("/")[0])
        name = f"resetd-{reset_id}-{need.service}"
        if (environment, name) not in self._holders:
            template = self._services.get((environment, selector.rpartition("=")[2]))
            if template is None or container not in {None, template.name}:
                raise PermanentError(
                    Reason.POD_NOT_FOUND, f"{environment}: no deployment of {selector} to copy"
                )
            self._holders[environment, name] = replace(
                template,
                commands={},
                restarts=0,
                last_reason=None,
                pod_name=name,
                uid=f"holder-{next(self._directories)}",
                reset_id=reset_id,
                replicas=1,
                quiesced_by=(),
                used=(),
            )
        holder = self._holders[environment, name]
        holder.uses += 1
        self._maybe_fail("hold", after=True)
        return holder.pod()

    async def holder_refusals(
        self, environment: str, selector: str, container: str | None, service: str
    ) -> tuple[PermanentError, ...]:
        """See the port."""
        self._maybe_fail("holder_refusals")
        template = self._services.get((environment, selector.rpartition("=")[2]))
        found = list(self.holders_refused.get(service, ()))
        if template is None or container not in {None, template.name}:
            found.append(
                PermanentError(Reason.POD_NOT_FOUND, f"{environment}: no deployment of {selector} to copy")
            )
        return tuple(found)

    async def holders(self) -> tuple[Holder, ...]:
        """See the port."""
        self._maybe_fail("holders")
        return tuple(
            Holder(
                holder.environment,
                holder.pod_name,
                holder.uid,
                str(holder.uses),
                holder.reset_id,
                ended=False,
            )
            for holder in self._holders.values()
            if holder.reset_id is not None
        )

    async def remove_holder(self, holder: Holder) -> bool:
        """See the port."""
        self._maybe_fail("remove_holder")
        present = self._holders.get((holder.environment, holder.name))
        if present is None or (present.uid, str(present.uses)) != (holder.uid, holder.version):
            return False
        del self._holders[holder.environment, holder.name]
        await self._end(present)
        return True

    async def read(
        self, pod: Pod, argv: Sequence[str], *, timeout: float, stdin: bytes | None = None
    ) -> Result:
        """See the port."""
        self._maybe_fail("read")
        service = self._service(pod.environment, pod.name)
        process = Process(
            None, tuple(argv), stdin or b"", service.variables, container_id=service.pod().container_id
        )
        try:
            async with asyncio.timeout(timeout):
                code = await service.program(process)
        except TimeoutError as error:
            raise TemporaryError(Reason.COMMAND_TIMED_OUT, f"no answer within {timeout:g} s") from error
        self._maybe_fail("read", after=True)
        return Result(code, bytes(process.output), b"")

    async def variables(self, pod: Pod, names: Sequence[str]) -> Mapping[str, str]:
        """See the port."""
        self._maybe_fail("variables")
        known = self._service(pod.environment, pod.name).variables
        KNOWN.learn(secret_values(known))
        return {name: known[name] for name in names if name in known}

    async def prepare(self, pod: Pod, attempt: AttemptId) -> Control:
        """See the port."""
        self._maybe_fail("prepare")
        service = self._service(pod.environment, pod.name)
        if service.pod().container_id != pod.container_id:
            raise TemporaryError(Reason.POD_NOT_READY, f"{pod.name} was restarted just now")
        directory = next(
            (directory for directory, command in service.commands.items() if command.attempt == attempt), None
        )
        if directory is None:
            directory = f"/memory/{next(self._directories)}"
            service.commands[directory] = Command(attempt)
        self._maybe_fail("prepare", after=True)
        return Control(
            environment=pod.environment,
            pod=pod.name,
            pod_uid=pod.uid,
            container=pod.container,
            container_id=pod.container_id,
            restart_count=pod.restart_count,
            incarnation=service.incarnation,
            directory=directory,
        )

    async def launch(
        self, control: Control, attempt: AttemptId, argv: Sequence[str], *, stdin: bytes | None = None
    ) -> None:
        """See the port."""
        self._maybe_fail("launch")
        service, command = self._command(control)
        variables = service.variables | {"RESETD_ATTEMPT": attempt}
        process = Process(
            attempt, tuple(argv), stdin or b"", variables, container_id=service.pod().container_id
        )
        if command.start(service.program, process):
            self.launched.append((attempt, tuple(argv)))
        await asyncio.sleep(0)
        self._maybe_fail("launch", after=True)

    async def follow(self, control: Control, *, offset: int) -> AsyncGenerator[Observation, None]:
        """See the port."""
        self._maybe_fail("follow")
        cuts = self._cuts
        while cuts == self._cuts:
            _, command = self._command(control)
            alive, code = command.alive, command.exit_code
            log = bytes(command.output[offset:])
            for start in range(0, max(len(log), 1), _MAX_OUTPUT_BYTES):
                chunk = log[start : start + _MAX_OUTPUT_BYTES]
                last = start + _MAX_OUTPUT_BYTES >= len(log)
                yield Observation(
                    started=command.started,
                    given_up=command.given_up,
                    alive=alive if last else True,
                    exit_code=code if last else None,
                    log=chunk,
                    offset=offset,
                )
                offset += len(chunk)
            if command.given_up or code is not None or (command.started and not alive):
                return
            await command.changed(self._idle)

    async def give_up(self, control: Control) -> Tombstone:
        """See the port."""
        self._maybe_fail("give_up")
        _, command = self._command(control)
        command.give_up()
        self._maybe_fail("give_up", after=True)
        return Tombstone.PLACED if command.given_up else Tombstone.TOO_LATE

    async def stop(self, control: Control, attempt: AttemptId, *, force: bool) -> None:  # noqa: ARG002 - the port's
        """See the port."""
        self._maybe_fail("stop")
        if (await self.fate(control)).fate is not Fate.TERMINATED:
            _, command = self._command(control)
            await command.stop(force=force)

    async def gone(self, control: Control, attempt: AttemptId) -> bool:  # noqa: ARG002 - the port's
        """See the port."""
        self._maybe_fail("gone")
        if (await self.fate(control)).fate is Fate.TERMINATED:
            return True
        _, command = self._command(control)
        return not command.alive

    async def discard(self, controls: Sequence[Control]) -> None:
        """See the port."""
        self._maybe_fail("discard")
        for control in controls:
            service = self._of_pod(control.environment, control.pod)
            known = service.commands if service and service.incarnation == control.incarnation else {}
            if (command := known.get(control.directory)) is not None:
                command.discard()
        self._maybe_fail("discard", after=True)

    async def fate(self, control: Control) -> ContainerFate:
        """See the port."""
        self._maybe_fail("fate")
        service = self._of_pod(control.environment, control.pod)
        if service is None or service.pod().uid != control.pod_uid:
            return ContainerFate(Fate.UNKNOWN)
        if service.restarts > control.restart_count:
            return ContainerFate(Fate.TERMINATED, service.last_reason, 137)
        return ContainerFate(Fate.RUNNING)

    async def last_log(
        self,
        environment: str,
        selector: str,
        lines: int,
        container: str | None = None,  # noqa: ARG002 - the port's
    ) -> str:
        """See the port."""
        self._maybe_fail("last_log")
        service = self._services.get((environment, selector.rpartition("=")[2]))
        return "".join(service.log.splitlines(keepends=True)[-lines:]) if service else ""

    def _containers(self) -> tuple[MemoryService, ...]:
        return (*self._services.values(), *self._holders.values())

    def _of_pod(self, environment: str, pod: str) -> MemoryService | None:
        for service in self._containers():
            if service.environment == environment and service.pod().name == pod:
                return service
        return None

    def _service(self, environment: str, pod: str) -> MemoryService:
        service = self._of_pod(environment, pod)
        if service is None:
            raise PermanentError(Reason.POD_NOT_FOUND, f"there is no pod {environment}/{pod}")
        return service

    def _command(self, control: Control) -> tuple[MemoryService, Command]:
        service = self._service(control.environment, control.pod)
        if service.incarnation != control.incarnation:
            raise PermanentError(
                Reason.COMMAND_INTERRUPTED, f"{control.pod}: the container is another one than was recorded"
            )
        return service, service.commands[control.directory]

    def _maybe_fail(self, method: str, *, after: bool = False) -> None:
        faults = self._faults.get(method, [])
        if faults and faults[0][1] is after:
            raise faults.pop(0)[0]

    async def _end(self, service: MemoryService) -> None:
        """Kill every command and forget it. The caller makes it another container before it awaits anything."""
        while alive := [command for command in service.commands.values() if command.alive]:
            for command in alive:
                await command.stop(force=True)
        service.commands = {}
