"""The act in docs/extending.md: checked and decided in the core, applied once by the lease holder."""

from __future__ import annotations

from datetime import timedelta

import pytest

from schemas.audit import Verdict
from schemas.plan import Plan
from schemas.reasons import Reason
from schemas.resets import Act, ActKind, Channel, ResetState
from schemas.wire import ResetId
from statemachines import act_effects, acts
from statemachines.lifecycle import TERMINAL
from tests.contract.store.making import planned
from tests.unit.docs.extending.leasing import Leasing
from tests.unit.docs.extending.page import module
from tests.unit.engine.drives.loop import BEGAN, run

EXTEND = module("extend")
STAND_IN = ActKind.RELEASE
"""The kind that the act has here: a real one adds a word to the enum."""
PLAN: Plan = planned("seed.app")
SOON = BEGAN + timedelta(minutes=5)


@pytest.fixture(autouse=True)
def _added(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the steps 3 and 4 of the page add."""
    monkeypatch.setattr(acts, "_CHECKS", {**acts._CHECKS, STAND_IN: EXTEND.check_extend})
    monkeypatch.setattr(act_effects, "_EFFECTS", {**act_effects._EFFECTS, STAND_IN: EXTEND.extend})


def asked(reset_id: ResetId, reason: str | None = "ben is on a plane") -> Act:
    return Act(reset_id=reset_id, kind=STAND_IN, actor="olga", channel=Channel.HTTP, reason=reason, at=BEGAN)


def test_the_approval_gets_a_day_and_the_same_commit_tells_and_records_it() -> None:
    async def scenario() -> None:
        leasing = Leasing()
        reset_id = await leasing.stored(ResetState.AWAITING_APPROVAL, PLAN, approval_expires_at=SOON)
        act = await leasing.store.append_act(asked(reset_id))
        leased = await leasing.claimed(reset_id)
        told = len(await leasing.store.history(reset_id))
        version = leased.reset.version
        await leasing.apply_acts(leased)
        stored = await leasing.store.find(reset_id)
        assert stored is not None
        assert stored.approval_expires_at is not None
        assert (
            timedelta()
            <= leasing.clock.now() + EXTEND.EXTENSION - stored.approval_expires_at
            < timedelta(seconds=1)
        )
        assert (stored.state, stored.acts_seen) == (ResetState.AWAITING_APPROVAL, act.id)
        assert stored.version == version + 1
        assert len(await leasing.store.history(reset_id)) == told + 1
        [line] = [entry for entry in await leasing.store.audit() if entry.act == act.id]
        assert (line.verdict, line.actor, line.reason) == (Verdict.APPLIED, "olga", "ben is on a plane")

    run(scenario())


def test_it_takes_effect_once() -> None:
    async def scenario() -> None:
        leasing = Leasing()
        reset_id = await leasing.stored(ResetState.AWAITING_APPROVAL, PLAN, approval_expires_at=SOON)
        await leasing.store.append_act(asked(reset_id))
        await leasing.apply_acts(await leasing.claimed(reset_id))
        first = await leasing.store.find(reset_id)
        await leasing.clock.sleep(60.0)
        await leasing.apply_acts(await leasing.claimed(reset_id))
        again = await leasing.store.find(reset_id)
        assert first is not None
        assert again is not None
        assert again.approval_expires_at == first.approval_expires_at

    run(scenario())


@pytest.mark.parametrize("state", sorted(set(ResetState) - TERMINAL - {ResetState.AWAITING_APPROVAL}))
def test_in_another_state_it_is_refused_and_only_the_audit_has_it(state: ResetState) -> None:
    async def scenario() -> None:
        leasing = Leasing()
        reset_id = await leasing.stored(state, PLAN, approval_expires_at=SOON)
        act = await leasing.store.append_act(asked(reset_id))
        await leasing.apply_acts(await leasing.claimed(reset_id))
        stored = await leasing.store.find(reset_id)
        assert stored is not None
        assert (stored.approval_expires_at, stored.acts_seen) == (SOON, act.id)
        [line] = [entry for entry in await leasing.store.audit() if entry.act == act.id]
        assert (line.verdict, line.code) == (Verdict.REFUSED, Reason.WRONG_STATE)

    run(scenario())


def test_it_needs_a_reason() -> None:
    async def scenario() -> None:
        leasing = Leasing()
        reset_id = await leasing.stored(ResetState.AWAITING_APPROVAL, PLAN, approval_expires_at=SOON)
        leased = await leasing.claimed(reset_id)
        refusal = acts.check_act(asked(reset_id, reason=None), leased.reset, leased.plan, ())
        assert refusal is not None
        assert refusal.reason is Reason.REASON_REQUIRED

    run(scenario())


def test_the_effect_is_decided_by_its_arguments_alone() -> None:
    async def scenario() -> None:
        leasing = Leasing()
        reset_id = await leasing.stored(ResetState.AWAITING_APPROVAL, PLAN, approval_expires_at=SOON)
        snapshot = (await leasing.claimed(reset_id)).snapshot()
        act = asked(reset_id)
        assert act_effects.effect_of(act, snapshot, now=SOON) == act_effects.effect_of(
            act, snapshot, now=SOON
        )
        assert snapshot.reset.approval_expires_at == SOON

    run(scenario())
