"""Findings of the review, each as a test that fails."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daemon.adapters.kubernetes.quiescing.quiescing import KubernetesQuiescing
from daemon.adapters.kubernetes.quiescing.undoers import application_set_undoes
from daemon.engine.facts.reader import FactsReader
from daemon.engine.high_water import HighWater
from daemon.engine.sweepers.quiesced import QuiesceSweeper
from daemon.ports.errors import PermanentError, TemporaryError
from daemon.restored_state.adoption import Adoption
from schemas.plan import RunIn
from schemas.quiescing import ObjectRef
from schemas.reasons import Reason
from schemas.requests import Mode, ResetRequested
from schemas.resets import ActKind, Channel, OutcomeKind, ResetState, StepState
from schemas.wire import ResetId, ResourceKey
from statemachines.act_effects import ResetSnapshot, effect_of
from statemachines.acts import check_act
from statemachines.lifecycle import needs_rest
from statemachines.planning.planner import plan
from statemachines.reset_update import updated
from tests.memory.databases import MemoryDatabase, MemoryDatabases
from tests.memory.pods import MemoryPods
from tests.memory.processes import Process
from tests.memory.quiescing import MemoryQuiescing
from tests.memory.repositories import MemoryRepositories
from tests.memory.store import MemoryStore
from tests.unit.engine.drives.loop import LoopClock, run
from tests.unit.engine.drives.stand import ENVIRONMENT, SERVICE, STEP, catalog
from tests.unit.engine.drives.test_quiescing import DEPLOYMENT, SYNC, quiescing_engine, replicas, sweep

X, Y, Z = (f"postgresql://app:secret@db/{name}" for name in "xyz")
KEYS = {url: ResourceKey(f"database/7001/{url[-1]}") for url in (X, Y, Z)}
A, B = (ResetId(f"01900000-0000-7000-8000-00000000000{number}") for number in (1, 2))
SHARED, THIRD = "los-sandbox", "acme-sandbox"
THEIRS = ObjectRef(environment=SHARED, kind="Deployment", name=SERVICE)


class TwoDatabases:
    """qa uses x and z, los uses x and y, acme uses y alone."""

    def __init__(self) -> None:
        databases, self.pods, clock = MemoryDatabases(), MemoryPods(), LoopClock()
        for url in (X, Y, Z):
            databases.add(url, MemoryDatabase("7001", url[-1]))
        for environment, one, two in ((ENVIRONMENT, X, Z), (SHARED, X, Y), (THIRD, Y, Y)):
            self.pods.add(environment, SERVICE, variables={"DATABASE_URL": one, "SECOND_URL": two})
        self.quiescing = MemoryQuiescing(self.pods, clock.now)
        loaded = catalog(quiesce=[Mode.WIPE])
        (service,) = loaded.catalog.services
        (first,) = service.databases
        second = first.model_copy(update={"name": "second", "url_variable": "SECOND_URL"})
        work = {mode: tuple(step.model_copy(update={"databases": ("app",)}) for step in steps)
                for mode, steps in service.steps.items()}
        service = service.model_copy(update={"databases": (first, second), "steps": work})
        self.catalog = loaded.catalog.model_copy(update={"services": (service,)})
        self.catalog_id = loaded.id
        self.reader = FactsReader(
            self.pods, databases, MemoryRepositories(), MemoryStore(clock), clock, self.catalog, self.quiescing
        )

    async def plan(self, environment: str, mode: Mode = Mode.WIPE, holding: ResetId | None = None) -> Any:
        request = ResetRequested(environment=environment, requested_by="ann", mode=mode)
        facts = await self.reader.read(request, holding)
        return plan(request, Channel.HTTP, self.catalog, self.catalog_id, facts), facts


def test_1_a_workload_at_rest_is_still_known_to_use_its_other_databases() -> None:
    async def story() -> None:
        world = TwoDatabases()
        before, _ = await world.plan(THIRD)  # resets y
        assert any(step.object == THEIRS for step in before.steps)
        of_a, _ = await world.plan(ENVIRONMENT)  # resets x
        step = next(step for step in of_a.steps if step.object == THEIRS)
        await world.quiescing.quiesce(THEIRS, A, [key for key in step.touches if key != THEIRS.key])
        after, facts = await world.plan(THIRD)
        assert SHARED in facts.users[KEYS[Y]], facts.users
        assert any(step.object == THEIRS for step in after.steps)

    run(story())


def test_2_a_seed_in_a_services_pod_and_a_reset_that_scales_that_service_to_0_exclude_each_other() -> None:
    async def story() -> None:
        world = TwoDatabases()
        # THIRD seeds y... take los: its step writes x. Let another environment seed y in its own pods.
        service = world.catalog.services[0]
        other = {**service.steps, Mode.SEED: tuple(
            step.model_copy(update={"databases": ("second",)}) for step in service.steps[Mode.SEED]
        )}
        world.catalog = world.catalog.model_copy(update={"services": (service.model_copy(update={"steps": other}),)})
        world.reader = FactsReader(
            world.pods, world.reader._databases, MemoryRepositories(), MemoryStore(LoopClock()), LoopClock(),
            world.catalog, world.quiescing,
        )
        seeding, _ = await world.plan(SHARED, Mode.SEED)  # los seeds y, in the pod of its own service
        wiping, _ = await world.plan(ENVIRONMENT)  # qa wipes x, and scales los's service to 0
        assert any(step.object == THEIRS for step in wiping.steps)
        assert any(step.run_in is RunIn.SERVICE for step in seeding.steps)
        assert {r.key for r in seeding.resources} & {r.key for r in wiping.resources}

    run(story())


def test_3_what_a_later_reset_has_rebuilt_does_not_stay_down_for_an_earlier_one() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        # Reset A failed after it destroyed something; an engineer scaled up by hand, and asks for a new reset.
        await engine.quiescing.quiesce(SYNC, A)
        await engine.quiescing.quiesce(DEPLOYMENT, A)
        await engine.pods.scale(ENVIRONMENT, SERVICE, 1)
        await engine.ask(Mode.WIPE)
        done = await engine.drive()
        await sweep(engine)
        assert (done.state, replicas(engine)) == (ResetState.DONE, 1)

    run(scenario())


def test_5_what_a_former_plan_keeps_down_can_be_released_although_the_catalog_quiesces_no_more() -> None:
    from tests.unit.statemachines.acts.test_acts import FREE, act, reset

    stopped = reset(ResetState.FAILED)
    assert needs_rest(stopped)
    assert check_act(act(ActKind.RELEASE), stopped, FREE, ()) is None


def test_6_a_reset_that_goes_on_by_a_persons_word_forgets_that_it_was_released() -> None:
    from tests.unit.statemachines.acts.test_acts import NOW, PLAN, act, reset, steps

    known = {step.name: step for step in steps(PLAN, seed__workflow_api__seed=StepState.UNKNOWN)}
    stopped = reset(ResetState.NEEDS_OPERATOR, released=True)
    effect = effect_of(
        act(ActKind.RESOLVE, step="seed.workflow-api.seed", outcome=OutcomeKind.SUCCEEDED),
        ResetSnapshot(stopped, PLAN, known, {}),
        now=NOW,
    )
    after = updated(stopped, effect.update, state=ResetState.QUEUED, at=NOW)
    assert not after.released


def test_7_an_adopted_state_knows_that_the_lost_one_destroyed() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        dump, older = engine.backups.dump, []

        async def backed_up_state(*args: Any, **named: Any) -> Any:
            older.append(copy.deepcopy(engine.store._state))
            return await dump(*args, **named)

        engine.backups.dump = backed_up_state  # type: ignore[method-assign]

        async def fail(_: Process) -> int:
            return 1

        engine.programs["work"] = fail
        await engine.ask(Mode.WIPE)
        stopped = await engine.drive()
        assert stopped.destroyed
        engine.store._state = older[0]  # the state database is restored

        @asynccontextmanager
        async def pods() -> AsyncIterator[MemoryPods]:
            yield engine.pods

        adoption = Adoption(engine.store, engine.marks, engine.clock, pods, owner="adopt")
        lack = await adoption.look()
        assert lack.behind
        await adoption.adopt(lack, actor="root", reason="the disk died", ended=True)
        unknown = [s for s in await engine.store.steps(engine.id) if s.state is StepState.UNKNOWN]
        assert STEP in {s.name for s in unknown}
        for one in unknown:
            await engine.act(ActKind.RESOLVE, step=one.name, outcome=OutcomeKind.FAILED)
        after = await engine.drive()
        print(after.state, after.cause, after.destroyed, [s.name for s in unknown])
        assert after.state is ResetState.FAILED
        await sweep(engine)
        assert replicas(engine) == 0

    run(scenario())


def test_8_what_can_not_be_scaled_is_an_obstacle_and_not_an_error() -> None:
    async def story() -> None:
        quiescing = KubernetesQuiescing.__new__(KubernetesQuiescing)
        job = ObjectRef(environment=ENVIRONMENT, kind="Job", name="migrate-1")
        assert (await quiescing.obstacles(job)).undone_by

    run(story())


@pytest.mark.parametrize("expression", [".spec.syncPolicy.syncOptions", ".spec.syncPolicy.retry.limit"])
def test_9_ignored_sync_options_do_not_keep_automated_sync_off(expression: str) -> None:
    spec = {"ignoreApplicationDifferences": [{"jqPathExpressions": [expression]}]}
    assert application_set_undoes({"spec": spec}, ENVIRONMENT)


def test_9b_an_application_set_that_takes_our_annotation_away_undoes_it() -> None:
    spec = {"ignoreApplicationDifferences": [{"jsonPointers": ["/spec/syncPolicy"]}]}
    assert application_set_undoes({"spec": spec}, ENVIRONMENT)


def test_10_services_are_not_down_while_people_are_asked_again() -> None:
    async def scenario() -> None:
        from tests.unit.engine.drives.stand import Engine

        engine = Engine(catalog(quiesce=[Mode.WIPE], kind={"protected": True, "approvers": 1, "approversUnattended": 2}))
        engine.quiescing.add_application(ENVIRONMENT)
        dump = engine.backups.dump

        async def slow(*args: Any, **named: Any) -> Any:
            await engine.clock.sleep(4000)
            return await dump(*args, **named)

        engine.backups.dump = slow  # type: ignore[method-assign]
        await engine.ask(Mode.WIPE)
        from daemon.engine.leased_reset import LeaseDeadline
        import asyncio

        async def once() -> Any:
            for claimed in await engine.store.claim("one", ttl=86400, limit=1, excluding=frozenset()):
                await engine.driver.drive(claimed, LeaseDeadline(86400, asked_at=asyncio.get_running_loop().time()))
            return await engine.reset()

        asked = await once()
        assert asked.state is ResetState.AWAITING_APPROVAL, asked
        await engine.act(ActKind.APPROVE, actor="ben", plan_hash=asked.plan_hash)
        asked = await once()
        assert (asked.state, asked.destroyed) == (ResetState.AWAITING_APPROVAL, False), asked
        await sweep(engine)
        assert replicas(engine) == 1

    run(scenario())


def test_11_an_object_that_can_not_be_released_now_keeps_no_other_one_down() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        engine.programs["handshake"] = lambda _: _zero()
        await engine.ask(Mode.WIPE)
        await engine.drive()
        original = engine.quiescing.release_listed

        async def webhook_fails(listed: Any, resets: Any) -> bool:
            if listed.object == SYNC:
                raise TemporaryError(Reason.KUBERNETES_UNREACHABLE, "HTTP 500, failed calling webhook")
            return await original(listed, resets)

        engine.quiescing.release_listed = webhook_fails  # type: ignore[method-assign]
        with pytest.raises(TemporaryError):
            await sweep(engine)
        assert replicas(engine) == 1

    run(scenario())


async def _zero() -> int:
    return 0


def test_12_a_service_of_the_same_environment_that_can_not_be_asked_is_told_or_quiesced() -> None:
    async def story() -> None:
        world = TwoDatabases()
        (app,) = world.catalog.services
        beta = app.model_copy(update={"name": "beta"})
        world.catalog = world.catalog.model_copy(update={"services": (app, beta), "order": ("app", "beta")})
        crashing = world.pods.add(ENVIRONMENT, "beta", variables={"DATABASE_URL": X, "SECOND_URL": Z})
        crashing.ready = False
        world.reader = FactsReader(
            world.pods, world.reader._databases, MemoryRepositories(), MemoryStore(LoopClock()), LoopClock(),
            world.catalog, world.quiescing,
        )
        request = ResetRequested(environment=ENVIRONMENT, requested_by="ann", mode=Mode.WIPE, services=("app",))
        facts = await world.reader.read(request)
        made = plan(request, Channel.HTTP, world.catalog, world.catalog_id, facts)
        print(made, facts.unreadable)
        if hasattr(made, "steps"):
            told = " ".join(made.warnings)
            assert "beta" in told or any(step.object and step.object.name == "beta" for step in made.steps)

    run(story())


def test_13_nothing_counts_as_ended_before_its_controller_has_seen_the_0() -> None:
    from types import SimpleNamespace

    async def story() -> None:
        document = {
            "metadata": {"name": SERVICE, "generation": 5},
            "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "app"}}},
            "status": {"observedGeneration": 4, "replicas": 1},
        }

        async def get(*_: Any) -> Any:
            return document

        async def pods(*_: Any, **__: Any) -> Any:
            return SimpleNamespace(items=[])  # evicted a moment ago; its ReplicaSet still asks for one

        quiescing = KubernetesQuiescing.__new__(KubernetesQuiescing)
        quiescing._documents = SimpleNamespace(get=get)  # type: ignore[assignment]
        quiescing._core = SimpleNamespace(list_namespaced_pod=pods)  # type: ignore[assignment]
        assert await quiescing.running(DEPLOYMENT)

    run(story())


def test_14_a_workload_that_both_use_supersedes_nobody() -> None:
    async def story() -> None:
        from tests.contract.store.making import begun, different
        from tests.contract.store.test_locks import A as DATABASE, B as OTHER, let_go

        store = MemoryStore(LoopClock())
        one, two = [await begun(store, **different(number)) for number in range(2)]
        await store.lock(one.lease, [DATABASE, DEPLOYMENT.key])
        await let_go(store, one)
        await store.lock(two.lease, [OTHER, DEPLOYMENT.key])
        await let_go(store, two)
        assert await store.superseded_by(one.reset.id) is None

    run(story())


def test_15_an_old_rollouts_generation_is_a_hash() -> None:
    from daemon.adapters.kubernetes.quiescing.health import why_not_running

    target = DEPLOYMENT.model_copy(update={"kind": "Rollout"})
    why_not_running(target, {"metadata": {"generation": 3}, "spec": {"replicas": 1}, "status": {"observedGeneration": "6b8f9cdd4"}})
