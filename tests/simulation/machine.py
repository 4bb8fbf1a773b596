"""What Hypothesis may let happen, in any order: the rules of the simulation.

A rule draws small numbers only and reads them against what there is, so that a history stays the same history when
Hypothesis makes it smaller. Every rule may be followed by a stretch of turns, so that the next one finds the
workers in the middle of something.

Over 300 lines: Hypothesis wants all rules in one class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, ClassVar, cast

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from schemas.requests import Mode, ResetRequested
from schemas.resets import ActKind, Reset, ResetState
from schemas.wire import StepName
from tests.simulation.history import History
from tests.simulation.world.network import AWAY, POINTS
from tests.simulation.world.platform import ENVIRONMENTS
from tests.simulation.world.witness import STOPPED

REQUESTERS = ("ana", "bob")
APPROVERS = ("ben", "pat", "ana")
INDEX = st.integers(0, 5)
TURNS = st.integers(0, 120)
ON_COMMANDS = ("prepare", "launch", "follow", "give_up", "stop", "gone", "fate")
MOMENTS = (
    *(("store", "save"), ("store", "lock"), ("pods", "prepare"), ("pods", "launch"), ("pods", "give_up")),
    *(
        ("pods", "choose"),
        ("pods", "gone"),
        ("quiescing", "quiesce"),
        ("quiescing", "running"),
        ("quiescing", "release"),
        ("repositories", "read"),
        ("repositories", "rewind"),
        ("backups", "dump"),
    ),
)
"""Calls in the middle of which a worker is stopped."""
SECONDS = st.sampled_from([0.5, 2.0, 5.0, 15.0, 40.0])


def happens(**drawn: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A rule, counted under its name."""

    def counting(what: Callable[..., None]) -> Callable[..., None]:
        @wraps(what)
        def counted(self: Simulation, **values: Any) -> None:  # noqa: ANN401 - what was drawn
            type(self).counts[f"rule: {what.__name__}"] += 1
            what(self, **values)

        # mypy can't tell names of values from the options of `rule`.
        made: Callable[..., None] = cast("Any", rule)(**drawn)(counted)
        return made

    return counting


class Simulation(RuleBasedStateMachine):
    """One history. `counts` is over all of them: how often each rule and each fault took place."""

    counts: ClassVar[Counter[str]] = Counter()
    history: History

    def begin(self, seed: int, workers: int) -> History:
        """The history that the rules act on; another one in tests that break something."""
        return History(seed, workers=workers)

    @initialize(seed=st.integers(0, 2**32 - 1), workers=st.integers(2, 3), environment=INDEX, mode=INDEX)
    def begins(self, seed: int, workers: int, environment: int, mode: int) -> None:
        self.history = self.begin(seed, workers)
        self.asked_by_event(environment=environment, mode=mode, who=0, git=True, turns=60)

    # -- time and machines -------------------------------------------------------------------------------------------
    @happens(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.history.pass_time(seconds)

    @happens(seconds=SECONDS)
    def more_time_passes(self, seconds: float) -> None:
        self.history.pass_time(seconds)

    @happens(turns=st.integers(1, 300))
    def everybody_gets_on(self, turns: int) -> None:
        self._then(turns)

    @happens(worker=INDEX, turns=TURNS)
    def a_worker_crashes(self, worker: int, turns: int) -> None:
        self.history.crash(worker)
        self._then(turns)

    @happens(turns=TURNS)
    def dead_workers_are_started(self, turns: int) -> None:
        for worker in self.history.workers:
            worker.boot()
        self._then(turns)

    @happens(worker=INDEX, seconds=st.sampled_from([3.0, 12.0, 30.0, 90.0]))
    def a_worker_stands_still(self, worker: int, seconds: float) -> None:
        one = self.history.workers[worker % len(self.history.workers)]
        one.stand_still()
        self.history.pass_time(seconds)

    @happens(turns=TURNS)
    def workers_go_on(self, turns: int) -> None:
        for worker in self.history.workers:
            worker.go_on()
        self._then(turns)

    @happens(who=INDEX, seconds=st.sampled_from([-120, -15, -3, 3, 15, 120, 3600]))
    def a_clock_is_set(self, who: int, seconds: int) -> None:
        clocks = [self.history.server_clock, *(worker.clock for worker in self.history.workers)]
        clocks[who % len(clocks)].ahead += timedelta(seconds=seconds)

    @happens(
        point=st.sampled_from(MOMENTS),
        after=st.booleans(),
        skip=st.integers(0, 8),
        kill=st.booleans(),
        turns=TURNS,
    )
    def a_worker_is_stopped_at(
        self, point: tuple[str, str], skip: int, turns: int, *, after: bool, kill: bool
    ) -> None:
        self.history.stop_at(point, after=after, skip=skip, kill=kill)
        self._then(turns)

    # -- requests and acts -------------------------------------------------------------------------------------------
    @happens(environment=INDEX, mode=INDEX, who=INDEX, git=st.booleans(), turns=TURNS)
    def asked_by_event(self, environment: int, mode: int, who: int, *, git: bool, turns: int) -> None:
        self.history.publish(_request(environment, mode, who, git=git))
        self._then(turns)

    @happens(environment=INDEX, mode=INDEX, who=INDEX, git=st.booleans(), turns=TURNS)
    def asked_by_a_person(self, environment: int, mode: int, who: int, *, git: bool, turns: int) -> None:
        self.history.ask(_request(environment, mode, who, git=git))
        self._then(turns)

    @happens(mode=INDEX, seconds=SECONDS)
    def a_production_is_asked_for_and_agreed_to(self, mode: int, seconds: float) -> None:
        self.history.ask(_request(ENVIRONMENTS.index("qa-production"), mode, 0, git=True))
        self.history.pass_time(10.0)
        for one in self.history.resets():
            if one.state is ResetState.AWAITING_APPROVAL:
                for person in APPROVERS:
                    self.history.act(one, ActKind.APPROVE, person, plan_hash=one.plan_hash)
        self.history.pass_time(seconds)

    @happens(seconds=SECONDS)
    def all_that_stopped_are_resumed(self, seconds: float) -> None:
        for one in self.history.resets():
            if one.state in STOPPED:
                self.history.resolve(one, "oli")
                self.history.act(one, ActKind.RESUME, "oli")
        self.history.pass_time(seconds)

    @happens(event=INDEX, turns=TURNS)
    def an_event_comes_again(self, event: int, turns: int) -> None:
        self.history.publish_again(event)
        self._then(turns)

    @happens(reset=INDEX, who=INDEX, right=st.integers(0, 3), turns=TURNS)
    def somebody_approves(self, reset: int, who: int, right: int, turns: int) -> None:
        for one in self._some(reset):
            hashed = one.plan_hash if right else "sha256:0"
            self.history.act(one, ActKind.APPROVE, APPROVERS[who % len(APPROVERS)], plan_hash=hashed)
            self._then(turns)

    @happens(reset=INDEX, turns=TURNS)
    def all_approve(self, reset: int, turns: int) -> None:
        for one in self._some(reset):
            for person in APPROVERS:
                self.history.act(one, ActKind.APPROVE, person, plan_hash=one.plan_hash)
            self._then(turns)

    @happens(reset=INDEX, turns=TURNS)
    def somebody_cancels(self, reset: int, turns: int) -> None:
        for one in self._some(reset):
            self.history.act(one, ActKind.CANCEL, "oli")
            self._then(turns)

    @happens(reset=INDEX)
    def somebody_denies(self, reset: int) -> None:
        for one in self._some(reset):
            self.history.act(one, ActKind.DENY, "ben")

    @happens(reset=INDEX, step=st.none() | st.integers(0, 12), replan=st.booleans(), turns=TURNS)
    def somebody_resumes(self, reset: int, step: int | None, *, replan: bool, turns: int) -> None:
        for one in self._some(reset):
            where = None if step is None else self._step(one, step)
            self.history.act(one, ActKind.RESUME, "oli", step=where, replan=replan)
            self._then(turns)

    @happens(reset=INDEX, step=st.integers(0, 12))
    def somebody_skips(self, reset: int, step: int) -> None:
        for one in self._some(reset):
            self.history.act(one, ActKind.SKIP, "oli", step=self._step(one, step))

    @happens(reset=INDEX, turns=TURNS)
    def somebody_resolves(self, reset: int, turns: int) -> None:
        for one in self._some(reset):
            self.history.resolve(one, "oli")
            self._then(turns)

    @happens(reset=INDEX, who=INDEX, turns=TURNS)
    def somebody_accepts(self, reset: int, who: int, turns: int) -> None:
        for one in self._some(reset):
            person = (*APPROVERS, one.request.requested_by)[who % (len(APPROVERS) + 1)]
            self.history.accept(one, person)
            self._then(turns)

    @happens(environment=INDEX, who=INDEX, wipes=st.integers(2, 4), seconds=SECONDS)
    def wipes_are_compared_and_accepted(self, environment: int, who: int, wipes: int, seconds: float) -> None:
        for number in range(wipes):
            # Where nobody is known to have asked for what is protected, two have to accept.
            ask = self.history.publish if who % 2 and number else self.history.ask
            ask(_request(environment, list(Mode).index(Mode.WIPE), who, git=False))
            for turn in range(6):
                self.history.pass_time(20.0, until=self.history.nobody_is_at_work)
                for one in self.history.resets():
                    if one.state is ResetState.AWAITING_APPROVAL:
                        for person in APPROVERS:
                            self.history.act(one, ActKind.APPROVE, person, plan_hash=one.plan_hash)
                    if one.state is ResetState.FAILED:
                        self.history.accept(one, APPROVERS[(who + turn // 2) % len(APPROVERS)])
        self.history.pass_time(seconds)

    @happens(
        environment=INDEX,
        seconds=st.sampled_from([20.0, 90.0, 600.0]),
        now=st.booleans(),
        ends=st.booleans(),
        turns=TURNS,
    )
    def somebody_freezes(
        self, environment: int, seconds: float, turns: int, *, now: bool, ends: bool
    ) -> None:
        """Half of the times what is at work pauses, too; half of the times somebody ends it before its time."""
        scope = (*ENVIRONMENTS, None)[environment % 4]
        self.history.freeze(scope, seconds, now_too=now)
        self._then(turns)
        if ends:
            self.history.unfreeze(scope)

    @happens(
        environment=INDEX,
        who=INDEX,
        seconds=st.sampled_from([20.0, 90.0, 600.0]),
        after=st.booleans(),
        ends=st.booleans(),
        turns=TURNS,
    )
    def somebody_holds(
        self, environment: int, who: int, seconds: float, turns: int, *, after: bool, ends: bool
    ) -> None:
        """Half of the times somebody gives everything back before its time."""
        name = ENVIRONMENTS[environment % 3]
        self.history.hold(name, APPROVERS[who % len(APPROVERS)], seconds, after=after)
        self._then(turns)
        if ends:
            self.history.unhold()

    # -- faults ------------------------------------------------------------------------------------------------------
    @happens(
        points=st.lists(st.tuples(st.sampled_from(POINTS), st.booleans()), min_size=1, max_size=4),
        turns=TURNS,
    )
    def calls_fail(self, points: list[tuple[tuple[str, str], bool]], turns: int) -> None:
        for point, after in points:
            self.history.network.fail(point, after=after)
        self._then(turns)

    @happens(method=st.sampled_from(ON_COMMANDS), after=st.booleans(), seconds=SECONDS)
    def a_command_is_hard_to_reach(self, method: str, *, after: bool, seconds: float) -> None:
        for _ in range(3):
            self.history.network.fail(("pods", method), after=after)
        self.history.pass_time(seconds)

    @happens(method=st.sampled_from(ON_COMMANDS), turns=TURNS)
    def a_right_is_missing(self, method: str, turns: int) -> None:
        self.history.network.fail(("pods", method), after=False, forbidden=True)
        self._then(turns)

    @happens(late=st.sampled_from([5.0, 40.0, 150.0]), seconds=SECONDS, cancel=st.booleans())
    def a_launch_is_late(self, late: float, seconds: float, *, cancel: bool) -> None:
        self.history.launch_late(late, cancel=cancel)
        self.history.pass_time(seconds)

    @happens(port=st.sampled_from(sorted(AWAY)), seconds=st.sampled_from([3.0, 20.0, 90.0]), turns=TURNS)
    def a_port_is_down(self, port: str, seconds: float, turns: int) -> None:
        self.history.network.down[port] = self.history.loop.time() + seconds
        self._then(turns)

    @happens(seconds=st.sampled_from([0.0, 0.5, 4.0]))
    def the_network_is_slow(self, seconds: float) -> None:
        self.history.network.slow = seconds

    @happens(turns=TURNS)
    def streams_are_cut(self, turns: int) -> None:
        self.history.network.cut_streams()
        self._then(turns)

    @happens(service=INDEX, turns=TURNS)
    def a_container_restarts(self, service: int, turns: int) -> None:
        one = self.history.platform.services[service]
        self.history.do(self.history.platform.pods.restart(one, "OOMKilled"))
        self._then(turns)

    @happens(service=INDEX, turns=TURNS)
    def a_pod_vanishes(self, service: int, turns: int) -> None:
        self.history.do(self.history.platform.pods.replace(self.history.platform.services[service]))
        self._then(turns)

    @happens(service=INDEX)
    def a_pod_is_not_ready(self, service: int) -> None:
        one = self.history.platform.services[service]
        one.ready = not one.ready
        self.history.platform.unready.add(id(one))

    @happens(service=INDEX)
    def a_tool_is_misled(self, service: int) -> None:
        self.history.do(self.history.platform.mislead(self.history.platform.services[service]))

    @happens(environment=INDEX, turns=TURNS)
    def somebody_pushes(self, environment: int, turns: int) -> None:
        self.history.platform.push(ENVIRONMENTS[environment % 3])
        self._then(turns)

    @happens(service=INDEX, replicas=st.integers(0, 1), turns=TURNS)
    def somebody_scales(self, service: int, replicas: int, turns: int) -> None:
        one = self.history.platform.services[service]
        self.history.do(self.history.platform.scale(one, replicas))
        self._then(turns)

    @happens(turns=TURNS)
    def argocd_looks(self, turns: int) -> None:
        self.history.do(self.history.platform.argocd_looks())
        self._then(turns)

    @happens(environment=INDEX, turns=TURNS)
    def a_sync_goes_on(self, environment: int, turns: int) -> None:
        one = self.history.platform.quiescing.applications_[ENVIRONMENTS[environment % 3]]
        one.syncing = not one.syncing
        self._then(turns)

    @happens(environment=INDEX)
    def a_gate_is_moved(self, environment: int) -> None:
        closed = self.history.platform.deployments.closed
        if closed.pop(ENVIRONMENTS[environment % 3], None) is None:
            closed[ENVIRONMENTS[environment % 3]] = "OutOfSync"

    # -- what must hold ----------------------------------------------------------------------------------------------
    @invariant()
    def nothing_forbidden_happened(self) -> None:
        if hasattr(self, "history"):
            self.history.look()

    def teardown(self) -> None:
        """Peace, in which all comes to rest."""
        if not hasattr(self, "history"):
            return
        try:
            if not self.history.failed:
                self.history.make_peace()
        finally:
            self._count()
            self.history.close()

    def _count(self) -> None:
        history, counts = self.history, type(self).counts
        counts["histories"] += 1
        counts["turns"] += history.loop.turns
        counts["seconds simulated"] += int(history.loop.time())
        counts["crashes"] += history.crashes
        counts["commands"] += len(history.witness.runs)
        counts["acceptances"] += history.witness.acceptances
        counts["acceptances of two"] += history.witness.second_acceptances
        for entries in history.store.state.history.values():
            counts["paused"] += any(entry.data["state"] == "paused" for entry in entries)
            waits = {(entry.data.get("waitingFor") or {}).get("reason") for entry in entries}
            counts.update(f"waited for a {reason}" for reason in waits & {"freeze", "hold"})
        counts["holds granted"] += sum(
            each.granted_at is not None for each in history.store.state.holds.values()
        )
        counts["branches moved"] += len(history.witness.rewound)
        counts.update({f"fault: {name}": number for name, number in history.network.hits.items()})
        counts.update(f"ended: {reset.state}" for reset in history.resets())
        counts.update(
            f"outcome: {one.outcome.kind}" for one in history.store.state.attempts.values() if one.outcome
        )

    def _then(self, turns: int) -> None:
        self.history.turns(turns)

    def _some(self, index: int) -> list[Reset]:
        """One of the resets, or none where there is none."""
        resets = self.history.resets()
        return [resets[index % len(resets)]] if resets else []

    def _step(self, reset: Reset, index: int) -> StepName | None:
        names = list(self.history.store.state.steps[reset.id])
        return StepName(names[index % len(names)]) if names else None


def _request(environment: int, mode: int, who: int, *, git: bool) -> ResetRequested:
    return ResetRequested(
        environment=ENVIRONMENTS[environment % len(ENVIRONMENTS)],
        mode=list(Mode)[mode % len(Mode)],
        requested_by=REQUESTERS[who % len(REQUESTERS)],
        git=git,
    )
