"""What the lease holder makes of acts: each is answered in one commit, with its line in the audit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta

from daemon.config.catalog_file import load_catalog
from daemon.engine.acts import Acts
from daemon.engine.commands.recorded_output import RecordedOutput
from daemon.engine.commands.termination import Termination
from daemon.engine.commands.unresolved import UnresolvedAttempts
from daemon.engine.leased_reset import LeaseDeadline, LeasedReset
from daemon.metrics import Metrics
from schemas.audit import Verdict
from schemas.reasons import Reason
from schemas.resets import Act, ActKind, Attempt, Channel, OutcomeKind, ResetState, Step, StepState
from schemas.wire import StepName
from tests.contract.store.making import NOW, begun, moved
from tests.memory.logs import MemoryLogs
from tests.memory.pods import MemoryPods
from tests.memory.store import MemoryStore
from tests.unit.statemachines.planner.world import planned

PLAN = planned()
SKIPPABLE = tuple(step.name for step in PLAN.steps if step.skippable)


class StandingClock:
    """A clock that stands."""

    def now(self) -> datetime:
        return NOW + timedelta(minutes=1)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds * 0)


async def leased(states: Mapping[StepName, StepState], state: ResetState) -> tuple[LeasedReset, MemoryStore]:
    """A reset in that state with the plan's steps in those states, in the hands of its holder."""
    clock = StandingClock()
    store = MemoryStore(clock)
    found = await begun(store)
    steps = tuple(
        Step(name=step.name, index=index, state=states.get(step.name, StepState.SUCCEEDED), attempts=1)
        for index, step in enumerate(PLAN.steps)
    )
    reset = found.reset.model_copy(
        update={"plan_hash": PLAN.hash, "destroyed": True, "stopped_at": next(iter(states), None)}
    )
    found = found.__class__(reset, found.lease, None, (), (), ())
    await store.save(moved(found, state, plan=PLAN, steps=steps, release_lease=True))
    await store.append_act(act(reset.id, ActKind.CANCEL, channel=Channel.KAFKA, sequence=0))
    [claimed] = await store.claim("one", ttl=60, limit=1, excluding=frozenset())
    return LeasedReset(
        claimed, LeaseDeadline(60, asked_at=asyncio.get_running_loop().time()), store, clock, Metrics()
    ), store


def act(reset_id: str, kind: ActKind, **fields: object) -> Act:
    base: dict[str, object] = {
        "reset_id": reset_id,
        "kind": kind,
        "actor": "olga",
        "channel": Channel.HTTP,
        "reason": "I looked",
        "at": NOW,
    }
    return Act.model_validate(base | fields)


async def _nothing_at_work(attempt: Attempt, *, must_know: bool) -> None:
    """No session of its databases is left."""


async def answered(holder: LeasedReset, store: MemoryStore, *acts: Act) -> None:
    """All of them, appended and applied; the stale cancellation that woke the reset goes first, and is refused."""
    for one in acts:
        await store.append_act(one)
    pods = MemoryPods()
    termination = Termination(pods, MemoryLogs(), StandingClock(), _nothing_at_work)
    unresolved = UnresolvedAttempts(holder, termination, RecordedOutput(holder, pods))
    answering = Acts(store, StandingClock(), load_catalog().catalog)
    await answering.apply(holder, unresolved)  # the first time those that the claim has read
    await answering.apply(holder, unresolved)


def resolve(holder: LeasedReset, step: StepName, outcome: OutcomeKind) -> Act:
    return act(holder.reset.id, ActKind.RESOLVE, step=step, outcome=outcome)


LOST = {SKIPPABLE[0]: StepState.UNKNOWN, SKIPPABLE[1]: StepState.UNKNOWN}


class TestTwoStepsAreUnknown:
    async def test_nothing_goes_on_while_one_of_them_is(self) -> None:
        for outcome in (OutcomeKind.SUCCEEDED, OutcomeKind.FAILED):
            holder, store = await leased(LOST, ResetState.NEEDS_OPERATOR)
            await answered(holder, store, resolve(holder, SKIPPABLE[0], outcome))
            assert holder.reset.state is ResetState.NEEDS_OPERATOR
            assert holder.reset.stopped_at == SKIPPABLE[1]

    async def test_it_goes_on_once_both_succeeded(self) -> None:
        holder, store = await leased(LOST, ResetState.NEEDS_OPERATOR)
        both = [resolve(holder, name, OutcomeKind.SUCCEEDED) for name in SKIPPABLE[:2]]
        await answered(holder, store, *both)
        assert (holder.reset.state, holder.reset.cause) == (ResetState.QUEUED, None)

    async def test_it_fails_once_one_of_them_did_whichever_was_said_last(self) -> None:
        for outcomes in (
            (OutcomeKind.FAILED, OutcomeKind.SUCCEEDED),
            (OutcomeKind.SUCCEEDED, OutcomeKind.FAILED),
        ):
            holder, store = await leased(LOST, ResetState.NEEDS_OPERATOR)
            await answered(holder, store, *map(resolve, [holder] * 2, SKIPPABLE, outcomes))
            assert holder.reset.state is ResetState.FAILED
            assert holder.reset.stopped_at == SKIPPABLE[outcomes.index(OutcomeKind.FAILED)]


async def test_an_act_that_the_holder_refuses_is_in_the_audit_with_the_code() -> None:
    holder, store = await leased({SKIPPABLE[0]: StepState.FAILED}, ResetState.FAILED)
    skip = act(holder.reset.id, ActKind.SKIP, step=SKIPPABLE[0])
    await answered(holder, store, skip, skip)
    lines = [entry for entry in reversed(await store.audit()) if entry.act is not None]
    assert [(one.verdict, one.code) for one in sorted(lines, key=lambda one: one.number)] == [
        (Verdict.REFUSED, Reason.STALE_SEQUENCE),
        (Verdict.APPLIED, None),
        (Verdict.REFUSED, Reason.WRONG_STATE),
    ]
    assert holder.reset.acts_seen == 3
