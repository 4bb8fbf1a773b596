"""What keeps services at rest across stops, words of people, restored states and failing sweeps."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from daemon.engine.leased_reset import LeaseDeadline
from daemon.ports.errors import TemporaryError
from daemon.ports.quiescing import Quiesced
from daemon.restored_state.adoption import Adoption
from schemas.reasons import Reason
from schemas.requests import Mode
from schemas.resets import ActKind, OutcomeKind, Reset, ResetState, StepState
from schemas.wire import ResetId
from statemachines.act_effects import ResetSnapshot, effect_of
from statemachines.acts import check_act
from statemachines.lifecycle import needs_rest
from statemachines.reset_update import updated
from tests.memory.pods import MemoryPods
from tests.memory.processes import Process
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.resting import (
    SYNC,
    Breaks,
    quiescing_engine,
    replicas,
    says_nothing,
    sweep,
)
from tests.unit.engine.drives.stand import ENVIRONMENT, SERVICE, STEP, Engine, catalog
from tests.unit.statemachines.acts.test_acts import FREE, NOW, PLAN, act, reset, steps


def test_what_a_former_plan_keeps_down_can_be_released_although_the_catalog_quiesces_no_more() -> None:
    stopped = reset(ResetState.FAILED)
    assert needs_rest(stopped)
    assert check_act(act(ActKind.RELEASE), stopped, FREE, ()) is None


def test_a_reset_that_goes_on_by_a_persons_word_forgets_that_it_was_released() -> None:
    known = {step.name: step for step in steps(PLAN, seed__workflow_api__seed=StepState.UNKNOWN)}
    stopped = reset(ResetState.NEEDS_OPERATOR, released=True)
    effect = effect_of(
        act(ActKind.RESOLVE, step="seed.workflow-api.seed", outcome=OutcomeKind.SUCCEEDED),
        ResetSnapshot(stopped, PLAN, known, {}),
        now=NOW,
    )
    assert not updated(stopped, effect.update, state=ResetState.QUEUED, at=NOW).released


def test_an_adopted_state_knows_that_the_lost_one_destroyed() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        dump, older = engine.backups.dump, []

        async def backed_up_state(*args: Any, **named: Any) -> Any:  # noqa: ANN401 - the port's
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
        assert after.state is ResetState.FAILED
        await sweep(engine)
        assert replicas(engine) == 0

    run(scenario())


def test_services_are_not_down_while_people_are_asked_again() -> None:
    async def scenario() -> None:
        protected = {"protected": True, "approvers": 1, "approversUnattended": 2}
        engine = Engine(catalog(quiesce=[Mode.WIPE], kind=protected))
        engine.quiescing.add_application(ENVIRONMENT)
        dump = engine.backups.dump

        async def slow(*args: Any, **named: Any) -> Any:  # noqa: ANN401 - the port's
            await engine.clock.sleep(4000)
            return await dump(*args, **named)

        engine.backups.dump = slow  # type: ignore[method-assign]
        await engine.ask(Mode.WIPE)
        asked = await once(engine)
        await engine.act(ActKind.APPROVE, actor="ben", plan_hash=asked.plan_hash)
        asked = await once(engine)
        assert (asked.state, asked.destroyed) == (ResetState.AWAITING_APPROVAL, False), asked
        await sweep(engine)
        assert replicas(engine) == 1

    run(scenario())


def test_an_object_that_can_not_be_released_now_keeps_no_other_one_down() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        engine.programs["handshake"] = says_nothing
        await engine.ask(Mode.WIPE)
        await engine.drive()
        original = engine.quiescing.release_listed

        async def webhook_fails(listed: Quiesced, resets: list[ResetId]) -> bool:
            if listed.object == SYNC:
                raise TemporaryError(Reason.KUBERNETES_UNREACHABLE, "HTTP 500, failed calling webhook")
            return await original(listed, resets)

        engine.quiescing.release_listed = webhook_fails  # type: ignore[method-assign, assignment]
        with pytest.raises(TemporaryError):
            await sweep(engine)
        assert replicas(engine) == 1

    run(scenario())


def test_what_a_later_reset_has_rebuilt_does_not_stay_down_for_an_earlier_one() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        work = engine.programs["work"] = Breaks(engine)
        await engine.ask(Mode.WIPE)
        assert (await engine.drive()).destroyed
        work.mended = True
        first, engine.id = engine.id, ResetId(engine.id[:-4] + "ffff")
        # An engineer scales up by hand, and asks for a new reset.
        await engine.pods.scale(ENVIRONMENT, SERVICE, 1)
        await engine.ask(Mode.WIPE)
        assert (await engine.drive()).state is ResetState.DONE
        assert await engine.store.superseded_by(first) == engine.id
        await sweep(engine)
        assert replicas(engine) == 1

    run(scenario())


async def once(engine: Engine) -> Reset:
    """Claim and drive the reset once."""
    for claimed in await engine.store.claim("one", ttl=86400, limit=1, excluding=frozenset()):
        await engine.driver.drive(claimed, LeaseDeadline(86400, asked_at=asyncio.get_running_loop().time()))
    return await engine.reset()
