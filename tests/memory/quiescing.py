"""Quiescing in memory: the Deployments are those of `MemoryPods`, and each environment may have an Application."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from daemon.ports.errors import PermanentError, PortError
from daemon.ports.quiescing import Obstacles, Quiesced
from schemas.quiescing import APPLICATION, CRON_JOB, SCALED_OBJECT, STARTERS, ObjectRef
from schemas.reasons import Reason
from schemas.wire import ResetId, ResourceKey
from tests.memory.pods import MemoryPods


@dataclass
class MemoryApplication:
    """An Application: whether it syncs by itself, and what it does now."""

    environment: str
    name: str
    automated: bool = True
    syncing: bool = False
    looked_at: datetime | None = None
    away: bool = False
    """Whether ArgoCD looks at nothing."""
    asked: int = 0
    """How often ArgoCD was asked to look."""


@dataclass
class MemoryStarter:
    """A CronJob, or what KEDA has: whether it starts pods or scales by itself, and the Jobs that run."""

    active: bool = True
    jobs: list[str] = field(default_factory=list)
    missed: str = ""
    """Which runs fell into its rest."""


@dataclass
class _Memory:
    original: int
    resets: dict[ResetId, int]
    uses: tuple[ResourceKey, ...] = ()
    version: int = 1
    since: datetime | None = None


@dataclass
class MemoryQuiescing:
    """Implements `daemon.ports.quiescing.Quiescing`."""

    pods: MemoryPods
    now: Callable[[], datetime]
    applications_: dict[str, MemoryApplication] = field(default_factory=dict)
    starters: dict[ObjectRef, MemoryStarter] = field(default_factory=dict)
    obstacles_: dict[ObjectRef, Obstacles] = field(default_factory=dict)
    """What a test says stands against quiescing an object."""
    memories: dict[ObjectRef, _Memory] = field(default_factory=dict)
    listed: int = 0
    """How often everything was listed."""
    faults: dict[str, list[tuple[PortError, bool]]] = field(default_factory=dict)

    def add_application(self, environment: str) -> MemoryApplication:
        """Let ArgoCD deploy an environment, by an Application of its name."""
        made = MemoryApplication(environment, environment)
        self.applications_[environment] = made
        return made

    def fail(self, method: str, error: PortError, *, after: bool = False) -> None:
        """Let the next call of a method raise. With `after` the call takes effect, and only its answer is lost."""
        self.faults.setdefault(method, []).append((error, after))

    async def around(
        self, environment: str, workloads: Mapping[ObjectRef, Collection[ResourceKey]]
    ) -> Mapping[ObjectRef, tuple[ResourceKey, ...]]:
        """See the port. Whatever a test has added to the environment belongs to its workloads."""
        self._maybe_fail("around")
        if not workloads:
            return {}
        used = tuple(sorted({key for keys in workloads.values() for key in keys}))
        found = {
            target: () if target.kind == SCALED_OBJECT else used
            for target in self.starters
            if target.environment == environment
        }
        if (application := self.applications_.get(environment)) is not None:
            found[ObjectRef(environment=environment, kind=APPLICATION, name=application.name)] = ()
        return found

    async def obstacles(self, target: ObjectRef) -> Obstacles:
        """See the port."""
        self._maybe_fail("obstacles")
        if target in self.obstacles_:
            return self.obstacles_[target]
        return Obstacles() if self._exists(target) else Obstacles((f"there is no {target}",))

    async def quiesce(
        self, target: ObjectRef, reset_id: ResetId, uses: Collection[ResourceKey] = (), *, status: int
    ) -> Quiesced:
        """See the port."""
        self._maybe_fail("quiesce")
        if not self._exists(target):
            raise PermanentError(Reason.QUIESCE_REFUSED, f"there is no {target}")
        memory = self.memories.setdefault(target, _Memory(self._value(target), {}, since=self.now()))
        memory.resets[reset_id] = max(status, memory.resets.get(reset_id, 0))
        memory.uses = tuple(sorted({*memory.uses, *uses}))
        memory.version += 1
        self._tell(target)
        await self._set(target, 0)
        self._maybe_fail("quiesce", after=True)
        return self._quiesced(target)

    async def find(self, target: ObjectRef) -> Quiesced | None:
        """See the port."""
        self._maybe_fail("find")
        return self._quiesced(target) if self._exists(target) and target in self.memories else None

    async def running(self, target: ObjectRef) -> tuple[str, ...]:
        """See the port."""
        self._maybe_fail("running")
        if target.kind == APPLICATION:
            application = self.applications_.get(target.environment)
            return (f"the sync of {target}",) if application and application.syncing else ()
        if target.kind in STARTERS:
            return tuple(f"job {name}" for name in self.starters[target].jobs)
        service = self.pods.service(target.environment, target.name)
        return (f"pod {service.pod().name}",) if service is not None and service.replicas else ()

    async def release(self, target: ObjectRef, reset_id: ResetId, *, status: int) -> Quiesced | None:
        """See the port."""
        self._maybe_fail("release")
        memory = self.memories.get(target)
        if memory is not None and self._exists(target) and memory.resets.get(reset_id, 0) > status:
            return self._quiesced(target)
        left = await self._release(target, (reset_id,))
        self._maybe_fail("release", after=True)
        return left

    async def missed(self, target: ObjectRef) -> str:
        """See the port."""
        return self.starters[target].missed if target in self.starters and target in self.memories else ""

    async def quiesced(self, environment: str | None = None) -> tuple[Quiesced, ...]:
        """See the port."""
        self._maybe_fail("quiesced")
        self.listed += 1
        return tuple(
            self._quiesced(target)
            for target in list(self.memories)
            if self._exists(target) and environment in {None, target.environment}
        )

    async def release_listed(self, listed: Quiesced, resets: Collection[ResetId]) -> bool:
        """See the port."""
        self._maybe_fail("release_listed")
        memory = self.memories.get(listed.object)
        if (
            memory is None
            or not self._exists(listed.object)
            or self._quiesced(listed.object).version != listed.version
        ):
            return False
        await self._release(listed.object, resets)
        return True

    async def ask_to_look(self, targets: Collection[ObjectRef]) -> datetime | None:
        """See the port. ArgoCD looks at once when it is asked, unless it is away."""
        self._maybe_fail("ask_to_look")
        asked = [each for each in targets if each.kind == APPLICATION and self._exists(each)]
        for target in asked:
            application = self.applications_[target.environment]
            application.asked += 1
            if not application.away:
                application.looked_at = self.now()
        return self.now() if asked else None

    async def unhealthy(self, targets: Collection[ObjectRef], since: datetime | None) -> str:
        """See the port."""
        self._maybe_fail("unhealthy")
        for target in targets:
            if target.kind in STARTERS:
                continue
            if not self._exists(target):
                return f"{target} is gone"
            if target in self.memories and self.memories[target].resets:
                continue
            if target.kind == APPLICATION:
                application = self.applications_[target.environment]
                if application.looked_at is None or since is None or application.looked_at < since:
                    return f"ArgoCD has not looked at Application {target.name} since the release"
            elif not self.pods.is_ready(target.environment, target.name):
                return f"{target} has no pod that is ready"
        return ""

    async def _release(self, target: ObjectRef, resets: Collection[ResetId]) -> Quiesced | None:
        memory = self.memories.get(target)
        if memory is None or not self._exists(target):
            return None
        memory.resets = {each: at for each, at in memory.resets.items() if each not in resets}
        memory.version += 1
        if memory.resets:
            self._tell(target)
            return self._quiesced(target)
        del self.memories[target]
        if self._value(target) == 0:
            await self._set(target, memory.original)
        self._tell(target)
        return None

    def _exists(self, target: ObjectRef) -> bool:
        if target.kind == APPLICATION:
            return target.environment in self.applications_
        if target.kind in STARTERS:
            return target in self.starters
        service = self.pods.service(target.environment, target.name)
        return service is not None and service.owned and target.kind == "Deployment"

    def _value(self, target: ObjectRef) -> int:
        if target.kind == APPLICATION:
            return int(self.applications_[target.environment].automated)
        if target.kind in STARTERS:
            return int(self.starters[target].active)
        service = self.pods.service(target.environment, target.name)
        return service.replicas if service else 0

    async def _set(self, target: ObjectRef, value: int) -> None:
        if target.kind == APPLICATION:
            self.applications_[target.environment].automated = bool(value)
        elif target.kind in STARTERS:
            self.starters[target].active = bool(value)
        else:
            await self.pods.scale(target.environment, target.name, value)

    def _tell(self, target: ObjectRef) -> None:
        """Let the listed workload say who quiesced it, as the annotation does."""
        if target.kind in {APPLICATION, *STARTERS}:
            return
        memory = self.memories.get(target)
        service = self.pods.service(target.environment, target.name)
        if service is not None:
            service.quiesced_by = tuple(memory.resets) if memory else ()
            service.used = memory.uses if memory else ()

    def _quiesced(self, target: ObjectRef) -> Quiesced:
        memory = self.memories[target]
        value = self._value(target)
        said = {APPLICATION: "automated sync", CRON_JOB: "not suspended"}.get(target.kind)
        return Quiesced(
            target,
            f"{memory.version}/{value}",
            tuple(memory.resets),
            said or f"{memory.original} replicas",
            memory.uses,
            held=value == 0,
            started_nothing=memory.original == 0,
            since=memory.since,
        )

    def _maybe_fail(self, method: str, *, after: bool = False) -> None:
        waiting = self.faults.get(method) or []
        if waiting and waiting[0][1] is after:
            raise waiting.pop(0)[0]
