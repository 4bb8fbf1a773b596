"""One history: workers, a world, and what may happen to them. It ends with peace, in which all must come to rest.

Over 300 lines: all that may happen, beside all that must hold at the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from random import Random
from typing import Any

import structlog

from schemas.audit import AuditAction, AuditEntry, Verdict
from schemas.freezes import Freeze
from schemas.holds import Hold
from schemas.intake import NewRequest
from schemas.plan import Plan
from schemas.publish import REQUESTS_TOPIC, to_kafka
from schemas.quiescing import APPLICATION
from schemas.records import LogPosition, Message
from schemas.requests import ResetRequested
from schemas.resets import Act, ActKind, Channel, OutcomeKind, Reset, ResetState, StepState
from schemas.wire import ResetId, StepName
from statemachines.history.hold_record import HOLD_ENDING
from statemachines.intake.content_hash import content_hash
from statemachines.lifecycle import needs_rest
from statemachines.steps.learned import acceptable
from tests.memory.bus import MemoryBus
from tests.memory.pods import MemoryPods
from tests.memory.services import MemoryService
from tests.memory.store import MemoryStore
from tests.simulation.worker import VirtualClock, Worker, World
from tests.simulation.world.loop import Process, VirtualLoop
from tests.simulation.world.network import Network
from tests.simulation.world.platform import CATALOG, ENVIRONMENTS, NEVER, Platform
from tests.simulation.world.witness import RESTING, Witness

_PATIENCE = 2 * 3600.0
"""Seconds of peace in which everything has to come to rest."""
_LOOKS_EVERY = 20.0


class History:
    """`pods_of` and `store_of` let a test break a port on purpose."""

    def __init__(
        self,
        seed: int,
        *,
        workers: int = 2,
        store_of: Callable[[VirtualClock], MemoryStore] = MemoryStore,
        pods_of: Callable[[], MemoryPods] = lambda: MemoryPods(idle=2.0),
    ) -> None:
        self.chance = Random(seed)  # noqa: S311 - makes histories, guards nothing
        self.loop = VirtualLoop(self.chance)
        self.server_clock = VirtualClock(self.loop)
        self.store = store_of(self.server_clock)
        self.witness = Witness(self.store, NEVER)
        self.network = Network(self.loop, self.chance)
        self.platform = Platform(
            self.witness,
            self.chance,
            self.server_clock.now,
            lambda: self.loop.turns,
            pods=pods_of(),
        )
        world = World(self.loop, self.network, self.store, self.platform, MemoryBus(partitions=2))
        self.world = world
        self.workers = [
            Worker(world, f"worker-{number}", VirtualClock(self.loop)) for number in range(workers)
        ]
        self.events: list[Message] = []
        self._under_way: list[asyncio.Task[Any]] = []
        self.crashes = 0
        self.failed = False
        self._watch_log()
        for worker in self.workers:
            worker.boot()

    # -- what happens ------------------------------------------------------------------------------------------------
    def turns(self, number: int) -> None:
        """So many callbacks, whosever."""
        self.loop.run_turns(number)

    def pass_time(self, seconds: float, until: Callable[[], bool] | None = None) -> None:
        """Let time pass, for so long at most where it ends `until` something holds."""
        self.loop.run_for(seconds, until=until)

    def nobody_is_at_work(self) -> bool:
        """Whether every reset has come to rest or waits for people, and has read what they asked for."""
        arrived = all(task.done() for task in self._under_way)
        return (
            arrived
            and self._all_taken_in()
            and all(
                self._has_read(one) and (one.state is ResetState.AWAITING_APPROVAL or self._rests(one))
                for one in self.resets()
            )
        )

    def do(self, what: Coroutine[Any, Any, Any]) -> None:
        """A coroutine of the world, which nobody waits for."""
        self._under_way.append(self.loop.start(self.loop.world, what))

    def publish(self, request: ResetRequested) -> None:
        """An event asks for a reset."""
        number = len(self.events) + 1
        key, value, headers = to_kafka(
            request, source="/tests", event_id=str(number), time=self.workers[0].clock.now()
        )
        message = Message(REQUESTS_TOPIC, key, value, tuple(headers))
        self.events.append(message)
        self.do(self.world.bus.append(message))

    def publish_again(self, index: int) -> None:
        """The same event once more."""
        if self.events:
            self.do(self.world.bus.append(self.events[index % len(self.events)]))

    def ask(self, request: ResetRequested) -> None:
        """A person asks for a reset by HTTP."""
        new = NewRequest(self.world.new_id(), request, Channel.HTTP, None, None, content_hash(request))
        now = self.server_clock.now()
        self.do(self.store.admit(new, now=now, limit_waiting=CATALOG.catalog.queue.waiting))

    def resets(self) -> list[Reset]:
        """All, oldest first."""
        return [entry.reset for entry in self.store.state.entries.values()]

    def act(self, reset: Reset, kind: ActKind, actor: str, **more: Any) -> None:  # noqa: ANN401 - checked by the model
        """Somebody asks something of a reset."""
        act = Act(
            reset_id=reset.id,
            kind=kind,
            actor=actor,
            channel=Channel.HTTP,
            reason="somebody looked",
            at=self.server_clock.now(),
            **more,
        )
        self.do(self.store.append_act(act))

    def accept(self, reset: Reset, actor: str) -> None:
        """A person takes what a learned check found as the new truth; where none failed he asks for it all the same."""
        names = [name for step in self.store.state.steps[reset.id].values() for name in acceptable(step)]
        self.act(reset, ActKind.ACCEPT, actor, check_name=names[0] if names else "learned.core")

    def resolve(self, reset: Reset, actor: str) -> None:
        """A person who looked says what became of the steps that nobody knows about; what runs he waits for."""
        for step in self.store.state.steps[reset.id].values():
            if step.state is not StepState.UNKNOWN or self.witness.alive(reset.id, step.name):
                continue
            last = self.witness.last(reset.id, step.name)
            planned = next(one for one in self.plan(reset).steps if one.name == step.name)
            well = last is not None and last.exit_code == 0 and planned.skippable
            outcome = OutcomeKind.SUCCEEDED if well else OutcomeKind.FAILED
            self.act(reset, ActKind.RESOLVE, actor, step=StepName(step.name), outcome=outcome)

    def freeze(self, environment: str | None, seconds: float, *, now_too: bool = False) -> None:
        """Somebody freezes an environment, or all of them."""
        now = self.server_clock.now()
        given = Freeze(
            id=str(self.world.new_id()),
            environment=environment,
            now=now_too,
            reason="somebody looked",
            given_by="oli",
            given_at=now,
            expires_at=now + timedelta(seconds=seconds),
        )
        self.do(self.store.freeze(given, self._line(AuditAction.FREEZE)))

    def unfreeze(self, environment: str | None) -> None:
        """Somebody ends the freezes of it."""
        self.do(self.store.unfreeze(environment, self._line(AuditAction.UNFREEZE)))

    def hold(self, environment: str, who: str, seconds: float, *, after: bool) -> None:
        """Somebody takes the locks of an environment."""
        now = self.server_clock.now()
        asked = Hold(
            id=str(self.world.new_id()),
            environment=environment,
            keys=self.platform.databases_of(environment),
            reason="somebody looked",
            holder=who,
            asked_at=now,
            expires_at=now + timedelta(seconds=seconds),
        )
        self.do(self.store.hold(asked, self._line(AuditAction.HOLD), after=after))

    def unhold(self) -> None:
        """Everybody gives back what they hold."""
        for hold_id in list(self.store.state.holds):
            self.do(self.store.unhold(hold_id, self._line(AuditAction.UNHOLD)))

    def _line(self, action: AuditAction) -> AuditEntry:
        return AuditEntry(
            chain="resetd",
            at=self.server_clock.now(),
            action=action,
            verdict=Verdict.APPLIED,
            actor="oli",
            channel=Channel.HTTP.value,
        )

    def plan(self, reset: Reset) -> Plan:
        """Its present plan."""
        return self.store.state.plans[reset.id, reset.plan_hash or ""]

    def crash(self, index: int) -> None:
        """Kill a worker."""
        worker = self.workers[index % len(self.workers)]
        self.crashes += worker.process is not None
        worker.crash()

    def stop_at(self, point: tuple[str, str], *, after: bool, skip: int, kill: bool) -> None:
        """Kill the worker that makes a call there, or let it stand still, in this very moment."""

        def stop(process: Process) -> None:
            for worker in self.workers:
                if worker.process is process and kill:
                    self.crashes += 1
                    worker.crash()
                elif worker.process is process:
                    worker.stand_still()

        self.network.trap(point, stop, after=after, skip=skip)

    def launch_late(self, seconds: float, *, cancel: bool) -> None:
        """Let the next launch be under way for so long; somebody may cancel its reset meanwhile."""

        def cancelled(asked: tuple[Any, ...]) -> None:
            reset_id = str(asked[1]).partition("/")[0]
            self.act(self.store.state.entries[ResetId(reset_id)].reset, ActKind.CANCEL, "oli")

        self.network.delay(("pods", "launch"), seconds, cancelled if cancel else None)

    # -- what must hold ----------------------------------------------------------------------------------------------
    def look(self) -> None:
        """Raise what the witness saw.

        Raises:
            AssertionError: something that must never happen did.
        """
        self.witness.look()
        self.failed = bool(self.witness.violations or self.loop.errors)
        assert not self.witness.violations, "\n".join(self.witness.violations)
        assert not self.loop.errors, "\n".join(self.loop.errors)

    def make_peace(self) -> None:
        """No faults any more, all workers up, a person who looks after what waits for one: all comes to rest.

        Raises:
            AssertionError: it does not, or something that must never happen did.
        """
        self.network.heal()
        self.platform.calm = True
        self.platform.deployments.closed.clear()
        self.do(self.platform.lead_right())
        for application in self.platform.quiescing.applications_.values():
            application.syncing = False
        for memory in self.platform.quiescing.memories.values():
            memory.original = 1  # nobody means a service to stay at 0
        for service in self.platform.services:
            service.ready = True
        # Leases and pauses that a clock gave out while it was ahead last that much longer.
        clocks = [self.server_clock, *(worker.clock for worker in self.workers)]
        ahead = max(clock.ahead.total_seconds() for clock in clocks)
        for clock in clocks:
            clock.ahead = timedelta()
        for scope in (None, *ENVIRONMENTS):
            self.unfreeze(scope)
        self.unhold()
        for worker in self.workers:
            worker.go_on()
            worker.boot()
        last = self.loop.time() + _PATIENCE + max(ahead, 0.0)
        while not self._at_rest():
            assert self.loop.time() < last, "never comes to rest: " + ", ".join(
                f"{one.id} {one.state} {one.waiting_for}" for one in self.resets() if not self._rests(one)
            )
            for reset in self.resets():
                self._look_after(reset)
            for service in self._abandoned():
                self.do(self.platform.scale(service, 1))
            self.loop.run_for(_LOOKS_EVERY, until=self._at_rest)
            self.look()
        self._all_told()
        self._nothing_lost()

    def close(self) -> None:
        """Let every task end, those of the dead, too, without any effect."""
        self.network.closed = True
        self.loop.bury()

    # -- peace ---------------------------------------------------------------------------------------------------------
    def _look_after(self, reset: Reset) -> None:
        if reset.state is ResetState.AWAITING_APPROVAL:
            for person in ("pat", "ben", "zoe"):
                self.act(reset, ActKind.APPROVE, person, plan_hash=reset.plan_hash)
        if reset.state is ResetState.NEEDS_OPERATOR:
            steps = self.store.state.steps[reset.id].values()
            if any(step.state is StepState.UNKNOWN for step in steps):
                self.resolve(reset, "oli")
            elif any(step.state is StepState.RUNNING for step in steps):
                self.act(reset, ActKind.CANCEL, "oli")
            else:
                self.act(reset, ActKind.RESUME, "oli")

    def _at_rest(self) -> bool:
        # What was asked for in this very instant may not have arrived yet.
        arrived = all(task.done() for task in self._under_way)
        at_rest = arrived and all(self._rests(one) for one in self.resets()) and self._all_read()
        return at_rest and not self._kept_down() and not self._abandoned()

    def _rests(self, reset: Reset) -> bool:
        if reset.state not in RESTING or reset.wake_at is not None:
            return False
        return self._has_read(reset)

    def _has_read(self, reset: Reset) -> bool:
        acts = self.store.state.acts
        return not any(act.reset_id == reset.id and act.id > reset.acts_seen for act in acts)

    def _abandoned(self) -> list[MemoryService]:
        """Services that somebody scaled to 0, and that no reset keeps there."""
        return [one for one in self.platform.services if not one.replicas and not one.quiesced_by]

    def _kept_down(self) -> list[str]:
        """What rests for resets none of which needs it at rest, or of which none is left."""
        resets = {one.id: one for one in self.resets()}
        return [
            str(target)
            for target, memory in self.platform.quiescing.memories.items()
            if not any(needs_rest(resets[reset_id]) for reset_id in memory.resets)
        ]

    def _all_read(self) -> bool:
        return self._all_taken_in() and all(row.published_at for row in self.store.state.outbox)

    def _all_taken_in(self) -> bool:
        state = self.store.state
        return not any(
            state.positions.get((REQUESTS_TOPIC, number), LogPosition(0)).next
            < sum(one.partition == number for one in self.world.bus.records(REQUESTS_TOPIC))
            for number in range(2)
        )

    def _all_told(self) -> None:
        """Every status on the bus, the first time that each came, in order."""
        topic = self.store.state.topics.status
        told: dict[str, list[int]] = {}
        for record in self.world.bus.records(topic):
            if dict(record.headers)["ce_type"] == HOLD_ENDING.encode():
                continue
            reset_id, _, number = (dict(record.headers)["ce_id"] or b"").decode().partition("/")
            seen = told.setdefault(reset_id, [])
            if int(number) not in seen:
                seen.append(int(number))
        for reset in self.resets():
            seen = told.get(reset.id, [])
            assert seen == list(range(1, reset.sequence + 1)), f"{reset.id} was told as {seen}"

    def _nothing_lost(self) -> None:
        for number in range(1, len(self.events) + 1):
            assert self.store.state.seen.get(("/tests", str(number))), f"event {number} led to nothing"
        locked = {row.reset_id for row in self.store.state.locks}
        assert not locked, f"locks are kept by {locked}"
        quiescing = self.platform.quiescing
        for service in self.platform.services:
            assert service.replicas or service.quiesced_by, (
                f"{service.environment}/{service.name} was left without pods"
            )
        for environment, application in quiescing.applications_.items():
            held = any(
                target.environment == environment and target.kind == APPLICATION
                for target in quiescing.memories
            )
            assert application.automated != held, f"the sync of {environment} is left {application.automated}"

    def _watch_log(self) -> None:
        """A drive that ends with an error of the program is told in the log, and nowhere else."""

        def keep(
            _logger: object, _method: str, event: structlog.typing.EventDict
        ) -> structlog.typing.EventDict:
            if event["event"] == "drive.crashed":
                self.loop.errors.append(f"a drive crashed: {event['exc_info']!r}")
            raise structlog.DropEvent

        structlog.configure(processors=[keep], cache_logger_on_first_use=False)
