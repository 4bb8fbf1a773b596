"""The flow that is measured: resets side by side, each ten steps one after the other, launch and outcome durable.

Nothing else of a reset is done: no pod, no Kafka. A step is two commits of the engine: `LeasedReset.started` records
the attempt before it would act, and `LeasedReset.finished` records its outcome before anything follows from it. Each
commit writes the reset's row, a step, an attempt, a line of history and a message in the outbox.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter

from daemon.adapters.store import SqlStore, migrations, open_store
from daemon.adapters.system.clock import SystemClock
from daemon.adapters.system.identifiers import new_reset_id
from daemon.engine.leased_reset import LeaseDeadline, LeasedReset
from daemon.metrics import Metrics
from schemas.intake import NewRequest
from schemas.plan import Phase, Plan, PlannedStep, StepKind
from schemas.requests import Mode, ResetRequested
from schemas.resets import Attempt, Channel, Control, Outcome, OutcomeKind, StepState
from schemas.wire import AttemptId, StepName
from statemachines.intake.content_hash import content_hash
from statemachines.reset_update import ResetUpdate

STEPS = tuple(StepName(f"seed.service-{number}.system") for number in range(10))


def steps_a_second(url: str, resets: int, seconds: float) -> float:
    """Durable steps each second with that many resets running, in a database of its own."""
    migrations.upgrade(url)
    return asyncio.run(_measure(url, resets, seconds))


async def _measure(url: str, resets: int, seconds: float) -> float:
    async with open_store(url) as store:
        metrics = Metrics()
        running = [await _begun(store, number, metrics) for number in range(resets)]
        steps, began = 0, perf_counter()
        while perf_counter() - began < seconds:
            await asyncio.gather(*(_ten_steps(leased) for leased in running))
            steps += len(running) * len(STEPS)
        return steps / (perf_counter() - began)


async def _begun(store: SqlStore, number: int, metrics: Metrics) -> LeasedReset:
    environment = f"bench{number}-sandbox"
    request = ResetRequested(environment=environment, requested_by="bench")
    new = NewRequest(
        id=new_reset_id(),
        request=request,
        channel=Channel.HTTP,
        source=None,
        event_id=None,
        content_hash=content_hash(request),
    )
    await store.admit(new, now=datetime.now(UTC), limit_waiting=3)
    deadline = LeaseDeadline(600, asked_at=asyncio.get_running_loop().time())
    [claimed] = await store.claim("bench", ttl=600, limit=1, excluding=frozenset())
    leased = LeasedReset(claimed, deadline, store, SystemClock(), metrics)
    plan = _plan(environment)
    await leased.commit(ResetUpdate(plan_hash=plan.hash), plan=plan)
    await store.renew([leased.lease], ttl=600)
    return LeasedReset(
        replace(claimed, reset=leased.reset, plan=plan, steps=await store.steps(new.id)),
        deadline,
        store,
        SystemClock(),
        metrics,
    )


def _plan(environment: str) -> Plan:
    return Plan(
        environment=environment,
        mode=Mode.SEED,
        service_modes={},
        core=False,
        git=False,
        catalog="bench@sha256:0",
        steps=tuple(
            PlannedStep(name=name, phase=Phase.SEED, kind=StepKind.COMMAND, batch=index, argv=("true",))
            for index, name in enumerate(STEPS)
        ),
        resources=(),
        images={},
        approvals_required=0,
        hash="sha256:bench",
    )


async def _ten_steps(leased: LeasedReset) -> None:
    for name in STEPS:
        attempt_id = leased.attempt_id(name)
        attempt = Attempt(
            id=attempt_id,
            reset_id=leased.reset.id,
            step=name,
            number=leased.steps[name].attempts + 1,
            started_at=datetime.now(UTC),
            control=_control(leased.reset.environment, attempt_id),
        )
        await leased.started(attempt)
        outcome = Outcome(kind=OutcomeKind.SUCCEEDED, exit_code=0)
        ended = attempt.model_copy(update={"outcome": outcome, "finished_at": datetime.now(UTC)})
        step = leased.steps[name].model_copy(update={"state": StepState.SUCCEEDED, "outcome": outcome})
        await leased.finished(step, ended)


def _control(environment: str, attempt: AttemptId) -> Control:
    return Control(
        environment=environment,
        pod="los-core-api-7d4b9c6f5-x2x7p",
        pod_uid="0f8fad5b-d9cb-469f-a165-70867728950e",
        container="los-core-api",
        container_id="containerd://" + "5" * 64,
        restart_count=0,
        incarnation="4711 0f8fad5b-d9cb-469f-a165-70867728950e",
        directory=f"/tmp/.resetd/{attempt}",  # noqa: S108 - a path in a pod
    )
