"""Compare and set: all of a change by the holder of the lease, or nothing of it.

Over 300 lines: one contract, played on each store.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.ports.backups import Backup
from daemon.ports.errors import LeaseLostError
from daemon.ports.store.leases import Change
from daemon.ports.store.store import Store
from schemas.reasons import Reason
from schemas.resets import (
    Approval,
    Channel,
    Control,
    Outcome,
    OutcomeKind,
    ResetState,
    Step,
    StepState,
    Waiting,
)
from schemas.wire import ResourceKey, StepName
from statemachines.history.status import next_status
from statemachines.lifecycle import WORKING
from tests.contract.store.conftest import Opener
from tests.contract.store.making import NOBODY, NOW, asked, attempt, begun, claimed, moved, planned

CONTROL = Control(
    environment="qa-sandbox",
    pod="p",
    pod_uid="u",
    container="c",
    container_id="containerd://1",
    restart_count=0,
    incarnation="12 boot",
    directory="/tmp/x",
)
FAILED = Outcome(
    kind=OutcomeKind.FAILED,
    exit_code=3,
    cause=Reason.COMMAND_FAILED,
    detail="it said \u00e4",
    hint="look",
    temporary=True,
    delay=1.5,
    facts={"size": 2**40, "path": "a/b", "none": None},
)


async def test_every_field_of_the_holder_comes_back_as_it_was_saved(store: Store) -> None:
    found = await begun(store)
    reset = found.reset.model_copy(
        update={
            "state": ResetState.FAILED,
            "plan_hash": "sha256:x",
            "approvals_required": 2,
            "approvals": (Approval(actor="olga", plan_hash="sha256:x", at=NOW),),
            "approval_expires_at": NOW + timedelta(hours=1),
            "waiting_for": Waiting(
                reason="locks", detail="d", until=NOW, resources=(ResourceKey("database/1/a"),)
            ),
            "cause": Reason.COMMAND_FAILED,
            "detail": "d",
            "hint": "h",
            "stopped_in": ResetState.SEEDING,
            "stopped_at": StepName("seed.a"),
            "destroyed": True,
            "cancel_requested": True,
            "acts_seen": 5,
            "wake_at": NOW + timedelta(days=1),
            "updated_at": NOW + timedelta(minutes=1),
        }
    )
    saved = await store.save(Change(reset=reset, lease=found.lease))
    assert saved == reset.model_copy(update={"version": 1})
    assert await store.find(reset.id) == saved


async def test_a_plan_may_be_longer_than_one_statement_takes(store: Store) -> None:
    found = await begun(store)
    steps = (f"seed.{number}" for number in range(5000))
    plan = planned(*steps).model_copy(update={"hash": "sha256:long"})
    reset = found.reset.model_copy(update={"plan_hash": plan.hash})
    await store.save(Change(reset=reset, lease=found.lease, plan=plan))
    assert [step.name for step in await store.steps(reset.id)] == [step.name for step in plan.steps]


@pytest.mark.parametrize("state", WORKING)
async def test_nothing_works_without_the_consent_that_its_plan_needs(store: Store, state: ResetState) -> None:
    found = await begun(store, channel=Channel.HTTP)
    needing = {"state": state, "plan_hash": "sha256:x", "approvals_required": 2}
    for given in (
        (),
        (("olga", "sha256:x"),),
        (("olga", "sha256:x"), ("ann", "sha256:x"), ("ben", "sha256:y")),
    ):
        approvals = tuple(Approval(actor=actor, plan_hash=plan, at=NOW) for actor, plan in given)
        reset = found.reset.model_copy(update={**needing, "approvals": approvals})
        with pytest.raises(ValueError, match="without consent"):
            await store.save(Change(reset=reset, lease=found.lease))
    assert (await store.find(found.reset.id)) == found.reset


async def test_a_stale_version_changes_nothing(store: Store) -> None:
    found = await begun(store)
    await store.save(moved(found, ResetState.QUEUED))
    before = await store.unpublished(10)
    with pytest.raises(LeaseLostError):
        await store.save(
            replace(moved(found, ResetState.SEEDING), attempts=(attempt(found.reset.id, "seed.a"),))
        )
    assert await store.attempts(found.reset.id) == ()
    assert await store.unpublished(10) == before


async def test_a_stale_version_without_history_changes_nothing_either(store: Store) -> None:
    found = await begun(store)
    silent = Change(reset=found.reset.model_copy(update={"detail": "first"}), lease=found.lease)
    saved = await store.save(silent)
    with pytest.raises(LeaseLostError):
        await store.save(silent)
    assert await store.find(found.reset.id) == saved


async def test_of_two_saves_of_one_version_one_wins(another: Opener) -> None:
    stores = [another(), another()]
    found = await begun(stores[0])
    results = await asyncio.gather(
        *(store.save(moved(found, ResetState.QUEUED)) for store in stores * 3), return_exceptions=True
    )
    assert sum(isinstance(result, LeaseLostError) for result in results) == 5
    assert len(await stores[0].history(found.reset.id)) == 2


async def test_another_owner_with_the_same_fence_is_refused(store: Store) -> None:
    found = await begun(store)
    change = moved(found, ResetState.QUEUED)
    with pytest.raises(LeaseLostError):
        await store.save(replace(change, lease=replace(found.lease, owner="somebody")))
    with pytest.raises(LeaseLostError):
        await store.save(replace(change, lease=replace(found.lease, fence=found.lease.fence + 1)))


@pytest.mark.parametrize("gap", [-1, 1])
async def test_history_that_would_leave_a_gap_is_refused_whole(store: Store, gap: int) -> None:
    found = await begun(store)
    wrong = found.reset.model_copy(
        update={"sequence": found.reset.sequence + gap, "state": ResetState.QUEUED}
    )
    reset, entry = next_status(wrong, at=NOW)
    with pytest.raises(ValueError, match="gap"):
        await store.save(Change(reset=reset, lease=found.lease, history=(entry,)))
    further = found.reset.model_copy(update={"sequence": found.reset.sequence + 1})
    with pytest.raises(ValueError, match="gap"):
        await store.save(Change(reset=further, lease=found.lease))
    assert await store.find(found.reset.id) == found.reset


async def test_states_that_are_passed_through_are_all_told_in_order(store: Store) -> None:
    found = await begun(store)
    one, first = next_status(found.reset.model_copy(update={"state": ResetState.QUEUED}), at=NOW)
    two, second = next_status(one.model_copy(update={"state": ResetState.QUIESCING}), at=NOW)
    saved = await store.save(Change(reset=two, lease=found.lease, history=(first, second)))
    history = await store.history(found.reset.id)
    assert saved.sequence == 3
    assert [(entry.sequence, entry.data["environmentSequence"]) for entry in history] == [
        (1, 1),
        (2, 2),
        (3, 3),
    ]
    assert [entry.type.split(".")[-2] for entry in history] == ["planning", "queued", "quiescing"]
    assert await store.history(found.reset.id, after=2) == history[2:]


async def test_a_plan_brings_its_steps_and_the_next_plan_others(store: Store) -> None:
    found = await begun(store)
    plan = planned("seed.a", "seed.b")
    reset = found.reset.model_copy(update={"plan_hash": plan.hash})
    saved = await store.save(Change(reset=reset, lease=found.lease, plan=plan))
    assert await store.plan(reset.id) == plan
    assert [(step.name, step.index, step.state) for step in await store.steps(reset.id)] == [
        ("seed.a", 0, StepState.PENDING),
        ("seed.b", 1, StepState.PENDING),
    ]
    done = Step(name=StepName("seed.b"), index=0, state=StepState.SUCCEEDED, attempts=2, outcome=FAILED)
    other = planned("seed.b", "seed.c")
    again = saved.model_copy(update={"plan_hash": other.hash})
    await store.save(Change(reset=again, lease=found.lease, plan=other, steps=(done,)))
    assert await store.plan(reset.id) == other
    assert await store.steps(reset.id) == (done, Step(name=StepName("seed.c"), index=1))


async def test_a_plan_that_the_reset_does_not_name_is_refused(store: Store) -> None:
    found = await begun(store)
    with pytest.raises(ValueError, match="another plan"):
        await store.save(Change(reset=found.reset, lease=found.lease, plan=planned("seed.a")))


async def test_a_step_that_a_new_plan_brings_again_goes_on_counting_its_attempts(store: Store) -> None:
    found = await begun(store)
    plan = planned("seed.a")
    reset = found.reset.model_copy(update={"plan_hash": plan.hash})
    tries = (attempt(reset.id, "seed.a", 1), attempt(reset.id, "seed.a", 2))
    saved = await store.save(Change(reset=reset, lease=found.lease, plan=plan, attempts=tries))
    other = planned("seed.a", "seed.b")
    again = saved.model_copy(update={"plan_hash": other.hash})
    await store.save(Change(reset=again, lease=found.lease, plan=other))
    assert [step.attempts for step in await store.steps(reset.id)] == [2, 0]


async def test_a_claim_finds_plan_steps_and_the_attempts_that_are_open(store: Store) -> None:
    found = await begun(store)
    plan = planned("seed.a", "seed.b")
    reset = found.reset.model_copy(update={"plan_hash": plan.hash})
    first = attempt(reset.id, "seed.a").model_copy(update={"finished_at": NOW, "outcome": FAILED})
    second = attempt(reset.id, "seed.a", 2).model_copy(update={"control": CONTROL})
    saved = await store.save(
        Change(reset=reset, lease=found.lease, plan=plan, attempts=(first, second), release_lease=True)
    )
    again = await claimed(store, reset.id, owner="two")
    assert (again.plan, again.open_attempts, len(again.steps)) == (plan, (second,), 2)
    assert await store.attempts(reset.id) == (first, second)
    ended = second.model_copy(update={"finished_at": NOW, "outcome": FAILED, "log_offset": 7})
    step = again.steps[0].model_copy(update={"state": StepState.FAILED, "outcome": FAILED, "attempts": 2})
    await store.save(
        Change(
            reset=saved.model_copy(update={"fence": 0}), lease=again.lease, steps=(step,), attempts=(ended,)
        )
    )
    assert await store.attempts(reset.id) == (first, ended)
    assert (await store.steps(reset.id))[0] == step


async def test_backups_are_recorded_once_and_proven_later(store: Store) -> None:
    found = await begun(store)
    key = ResourceKey("database/7/los-sandbox")
    taken = [Backup(key, f"{number}.dump", 2**33, "ab", NOW, proven=False) for number in range(2)]
    saved = await store.save(Change(reset=found.reset, lease=found.lease, backups=tuple(taken)))
    await store.save(Change(reset=saved, lease=found.lease, backups=(replace(taken[0], proven=True),)))
    rows = await store.backups(reset_id=found.reset.id)
    assert [(row["path"], row["proven"], row["size_bytes"]) for row in rows] == [
        ("1.dump", False, 2**33),
        ("0.dump", True, 2**33),
    ]
    assert {row["reset_id"] for row in rows} == {found.reset.id}
    assert await store.backups() == rows


async def test_d1_stops_spent_approvals_and_which_dump_is_the_first_are_kept(store: Store) -> None:
    found = await begun(store, channel=Channel.HTTP)
    given = (
        Approval(actor="ben", plan_hash="h", at=NOW, spent=True),
        Approval(actor="cleo", plan_hash="h", at=NOW),
    )
    fields = {
        "plan_hash": "h",
        "approvals": given,
        "stops": 2,
        "consent_spent": True,
        "approvals_required": 1,
    }
    dump = Backup(ResourceKey("database/7/a"), "a.dump", 1, "ab", NOW, proven=True, stops=2, first=True)
    saved = await store.save(
        Change(reset=found.reset.model_copy(update=fields), lease=found.lease, backups=(dump,))
    )
    for reset in (saved, await store.find(saved.id)):
        assert reset is not None
        assert (reset.stops, reset.consent_spent, reset.approvals) == (2, True, given)
    [row] = await store.backups(reset_id=saved.id)
    assert (row["stops"], row["first"]) == (2, True)


async def test_d1_nothing_is_destroyed_by_a_commit_on_a_spent_consent(store: Store) -> None:
    found = await begun(store, channel=Channel.HTTP)
    spent = (Approval(actor="ben", plan_hash="h", at=NOW, spent=True),)
    fields = {
        "state": ResetState.SEEDING,
        "plan_hash": "h",
        "approvals": spent,
        "approvals_required": 1,
        "stops": 1,
    }
    reset = found.reset.model_copy(update=fields)
    saved = await store.save(Change(reset=reset, lease=found.lease))
    destroys = saved.model_copy(update={"consent_spent": True})
    with pytest.raises(ValueError, match="without consent"):
        await store.save(Change(reset=destroys, lease=found.lease))
    assert await store.find(saved.id) == saved


async def test_sequences_have_no_gaps_when_many_resets_are_saved_at_once(another: Opener) -> None:
    stores = [another(), another()]
    found = [await begun(stores[0], reason=f"number {number}") for number in range(6)]

    async def walk(place: int) -> None:
        reset, lease = found[place].reset, found[place].lease
        for state in (ResetState.QUEUED, ResetState.QUIESCING, ResetState.SEEDING):
            told, entry = next_status(reset.model_copy(update={"state": state}), at=NOW)
            reset = await stores[place % 2].save(Change(reset=told, lease=lease, history=(entry,)))

    await asyncio.gather(*(walk(place) for place in range(6)))
    rows = await stores[0].unpublished(100)
    told = [entry for claim in found for entry in await stores[1].history(claim.reset.id)]
    for claim in found:
        assert [entry.sequence for entry in await stores[0].history(claim.reset.id)] == [1, 2, 3, 4]
    assert sorted(entry.data["environmentSequence"] for entry in told) == list(range(1, 25))
    assert len(rows) == 24
    assert await stores[0].claim("x", ttl=1, limit=1, excluding=NOBODY) == ()


async def test_who_joins_while_a_reset_starts_is_known_to_its_holder_or_has_a_reset_of_its_own(
    another: Opener,
) -> None:
    stores = [another(), another()]
    for number in range(10):
        found = await begun(stores[0], reason=f"number {number}")
        admission, saved = await asyncio.gather(
            stores[1].admit(asked(by="bob", reason=f"number {number}"), now=NOW, limit_waiting=1000),
            stores[0].save(moved(found, ResetState.QUIESCING)),
        )
        assert admission.joined == ("bob" in saved.requested_by)
        assert admission.created != admission.joined


async def test_who_agreed_to_one_that_is_queued_does_not_join_it_and_it_may_start(store: Store) -> None:
    """The holder asks for consent, and begins to work, before it reads who joined."""
    holder = await begun(store)
    consent = {
        "plan_hash": "h",
        "approvals_required": 1,
        "approvals": (Approval(actor="cleo", plan_hash="h", at=NOW),),
    }
    agreed = replace(holder, reset=holder.reset.model_copy(update=consent))
    queued = replace(holder, reset=await store.save(moved(agreed, ResetState.QUEUED)))
    bob, cleo = [
        await store.admit(asked(by=who, channel=Channel.HTTP), now=NOW, limit_waiting=3)
        for who in ("bob", " Cleo")
    ]
    assert (bob.joined, cleo.joined, cleo.created) == (True, False, True)
    started = await store.save(moved(queued, ResetState.QUIESCING))
    assert started.requested_by == ("ann", "bob")
    await store.save(moved(replace(holder, reset=started), ResetState.BACKING_UP))
