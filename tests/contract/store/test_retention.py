"""Old rows go, and nothing that anybody may still need goes with them.

Over 300 lines: its rows of every kind are made by one set of makers.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from daemon.adapters.store import SqlStore
from daemon.ports.backups import Backup
from daemon.ports.errors import PermanentError
from daemon.ports.store.leases import Change
from daemon.ports.store.store import Store
from schemas.intake import NewRequest
from schemas.learned import Learned, LearnedKey
from schemas.reasons import Reason
from schemas.requests import Option
from schemas.resets import ActKind, Channel, Reset, ResetState
from schemas.retention import Pruned, Retention
from schemas.wire import ResetId, ResourceKey, StepName
from tests.contract.store.making import (
    ENVIRONMENT,
    NOW,
    act,
    act_by_event,
    admitted,
    asked,
    attempt,
    begun,
    claimed,
    dead,
    different,
    moved,
    planned,
    taken,
)

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
SOON = NOW + SECOND
LATER = NOW + 1000 * DAY
FEW_DAYS = 31 * DAY
FEW = Retention(most_unknown=2, most_answers=4, most_names=6, most_letters=3, most_pending=2)


async def over(
    store: Store,
    environment: str = ENVIRONMENT,
    state: ResetState = ResetState.DONE,
    *,
    destroyed: bool = False,
    stopped_in: ResetState | None = None,
    **fields: object,
) -> Reset:
    """Make a reset that has come to a state with a plan and an attempt, and let its lease go."""
    found = await begun(store, environment, **fields)
    plan = planned("seed.app", environment=environment)
    reset = found.reset.model_copy(
        update={"plan_hash": plan.hash, "destroyed": destroyed, "stopped_in": stopped_in}
    )
    change = moved(replace(found, reset=reset), state, plan=plan, release_lease=True)
    return await store.save(replace(change, attempts=(attempt(reset.id, "seed.app"),)))


async def refused(
    store: Store, environment: str, cause: Reason = Reason.UNKNOWN_ENVIRONMENT, **fields: object
) -> Reset:
    """Make a request that planning rejects."""
    found = await begun(store, environment, **fields)
    reset = found.reset.model_copy(update={"cause": cause})
    change = moved(replace(found, reset=reset), ResetState.REJECTED, release_lease=True)
    return await store.save(change)


async def publish(store: Store, *, at: datetime = NOW) -> None:
    rows = await store.unpublished(10_000)
    await store.published([row.id for row in rows], {}, now=at)


async def pruned(store: Store, retention: Retention = FEW, *, at: datetime = SOON) -> Pruned:
    """Prune until nothing more goes, and return all that went."""
    rows: dict[str, int] = {}
    resets: list[ResetId] = []
    while (step := await store.prune(retention, now=at, limit=3)).rows:
        for table, number in step.rows.items():
            rows[table] = rows.get(table, 0) + number
        resets += step.resets
    return Pruned(rows, tuple(resets))


async def kept(store: Store) -> set[str]:
    return {reset.id for reset in await store.resets(limit=1000)}


def at(new: NewRequest, when: datetime) -> NewRequest:
    return replace(new, at=when)


async def test_h5_requests_for_environments_that_do_not_exist_leave_one_bounded_place(store: Store) -> None:
    for number in range(40):
        await refused(store, f"no{number}-sandbox", event=f"event-{number}")
    await admitted(store, asked("qa-sandbox"))
    await publish(store)
    await pruned(store)
    sizes = await store.table_sizes()
    assert sizes["refusals"] == FEW.most_names
    assert sizes["resets"] == FEW.most_unknown + 1
    # What is left of two refused requests and of one that is under way.
    assert {
        name: number for name, number in sizes.items() if number > sizes["resets"] * 2 and name != "refusals"
    } == {}
    told = {refusal.environment: refusal for refusal in await store.refusals(limit=1)}
    [refusal] = told.values()
    assert (refusal.reason, refusal.count, refusal.requested_by) == (Reason.UNKNOWN_ENVIRONMENT, 1, "ann")


async def test_h5_a_minute_later_not_even_the_newest_refusals_have_rows_of_their_own(store: Store) -> None:
    for _ in range(2):
        await refused(store, "none-sandbox")
    await admitted(store)
    await publish(store)
    assert (await pruned(store)).resets == ()
    await pruned(store, at=NOW + FEW.unknown + timedelta(seconds=1))
    sizes = await store.table_sizes()
    assert (sizes["resets"], sizes["history"], sizes["outbox"], sizes["seen_events"]) == (1, 1, 1, 1)
    assert (sizes["environments"], sizes["refusals"]) == (1, 1)
    [refusal] = await store.refusals()
    assert (refusal.environment, refusal.count) == ("none-sandbox", 2)


@pytest.mark.parametrize("reason", [Reason.SCHEMA_VIOLATION, Reason.TOO_OLD, Reason.ENVIRONMENT_BUSY])
async def test_h5_requests_that_are_refused_unread_are_bounded_too(store: Store, reason: Reason) -> None:
    for number in range(20):
        await admitted(store, asked(f"no{number}-sandbox", refused=reason))
    await admitted(store)
    await publish(store)
    await pruned(store)
    sizes = await store.table_sizes()
    assert sizes["resets"] == FEW.most_answers + 1
    assert sizes["audit"] == sizes["history"] == sizes["resets"]
    passes = reason is Reason.ENVIRONMENT_BUSY
    assert sizes["seen_events"] == (21 if passes else sizes["resets"])
    assert sizes["refusals"] == FEW.most_names


async def test_h5_dead_letters_and_acts_that_wait_are_bounded_too(store: Store) -> None:
    await taken(store, *(dead(number) for number in range(10)))
    await taken(store, *(act_by_event(f"never-{number}") for number in range(10)), first=10)
    await admitted(store)
    await pruned(store)
    assert (await store.table_sizes())["dead_letters"] == 10, "nobody has read them yet"
    await publish(store)
    await pruned(store)
    sizes = await store.table_sizes()
    assert (sizes["dead_letters"], sizes["pending_acts"]) == (FEW.most_letters, FEW.most_pending)
    assert [letter["offset"] for letter in await store.dead_letters()] == [9, 8, 7]
    await admitted(store, asked(event="never-9"))
    assert (await store.table_sizes())["acts"] == 1, "the newest act still meets its request"


async def test_h5_dry_runs_are_bounded_too(store: Store) -> None:
    for number in range(10):
        await over(store, state=ResetState.PLANNED, **different(number))
    await admitted(store)
    await publish(store)
    await pruned(store)
    assert (await store.table_sizes())["resets"] == FEW.most_answers + 1


async def test_the_same_refused_event_again_is_refused_again(store: Store) -> None:
    event = at(asked("none-sandbox", event="again"), NOW - timedelta(minutes=1))
    await store.admit(event, now=NOW, limit_waiting=3)
    first = await claimed(store, event.id)
    reset = first.reset.model_copy(update={"cause": Reason.UNKNOWN_ENVIRONMENT})
    await store.save(moved(replace(first, reset=reset), ResetState.REJECTED, release_lease=True))
    await admitted(store)
    await publish(store)
    much_later = NOW + timedelta(hours=1)
    await pruned(store, at=much_later)
    assert await store.find(event.id) is None
    again = replace(
        at(asked("none-sandbox", event="again"), NOW - timedelta(minutes=1)), id=ResetId("f" * 36)
    )
    admission = await store.admit(again, now=much_later, limit_waiting=3)
    assert (admission.reset.state, admission.reset.cause) == (ResetState.REJECTED, Reason.UNKNOWN_ENVIRONMENT)
    new = at(asked("none-sandbox"), NOW + timedelta(minutes=1))
    assert (await store.admit(new, now=much_later, limit_waiting=3)).reset.state is ResetState.PLANNING


async def test_an_event_whose_request_a_rule_refused_is_never_done_because_its_answer_went(
    store: Store,
) -> None:
    await refused(store, ENVIRONMENT, Reason.SHARING_UNKNOWN, event="refused", idempotency_key="its key")
    await refused(store, ENVIRONMENT, Reason.SHARING_UNKNOWN, event="keyless", **different(0))
    for number in range(1, 10):
        await refused(store, ENVIRONMENT, Reason.SHARING_UNKNOWN, **different(number))
    await admitted(store)
    await publish(store)
    gone = await pruned(store)
    assert len(gone.resets) == 6
    # Nobody gets rid of a refused try by asking again and again.
    assert set(gone.resets) <= {line.chain for line in await store.audit()}
    again = await store.admit(asked(idempotency_key="its key"), now=SOON, limit_waiting=3)
    assert again.reset.state is ResetState.REJECTED
    with pytest.raises(ValueError, match="handled"):
        await store.admit(asked(event="keyless", **different(0)), now=SOON, limit_waiting=3)
    # Longer than any event is taken in the event and the key are known; then they go as well.
    await pruned(store, at=NOW + FEW_DAYS)
    sizes = await store.table_sizes()
    assert (sizes["seen_events"], sizes["idempotency_keys"]) == (1, 0)


async def test_requests_for_environments_that_are_none_push_no_other_answer_out(store: Store) -> None:
    plan = await over(store, state=ResetState.PLANNED)
    for number in range(FEW.most_answers * 3):
        await refused(store, f"no{number}-sandbox")
    await admitted(store)
    await publish(store)
    await pruned(store)
    assert plan.id in await kept(store)


async def test_counters_of_an_environment_that_was_forgotten_go_on(store: Store) -> None:
    one = await refused(store, "one-sandbox")
    two = await refused(store, "two-sandbox")
    await refused(store, "two-sandbox")
    await admitted(store)
    await publish(store)
    await pruned(store, at=NOW + timedelta(hours=1))
    assert "two-sandbox" not in {reset.environment for reset in await store.resets()}
    assert (await admitted(store, asked("two-sandbox"))).number == two.number + 2
    assert (await admitted(store, asked("one-sandbox"))).number == one.number + 1
    rows = await store.unpublished(10)
    assert [b'"environmentSequence":5' in (row.message.value or b"") for row in rows] == [True, False]


async def test_an_environment_whose_name_went_too_begins_above_all_that_were_forgotten(store: Store) -> None:
    for name in "abcdefgh":
        await refused(store, f"{name}-sandbox")
    await admitted(store)
    await publish(store)
    await pruned(store, at=NOW + timedelta(hours=1))
    names = {refusal.environment for refusal in await store.refusals()}
    [gone, _] = {f"{name}-sandbox" for name in "abcdefgh"} - names
    assert (await admitted(store, asked(gone))).number > 1


async def test_an_answer_that_its_environment_may_still_need_stays(store: Store) -> None:
    await refused(store, "new-sandbox", channel=Channel.PROVISIONING)
    await admitted(store)
    await publish(store)
    assert (await pruned(store, at=NOW + DAY)).resets == ()


async def test_what_was_not_told_yet_stays(store: Store) -> None:
    first = await refused(store, "none-sandbox")
    await admitted(store)
    assert (await pruned(store, at=LATER)).resets == ()
    await publish(store)
    assert first.id in (await pruned(store, at=LATER)).resets


async def test_a_reset_that_is_over_goes_with_its_parts_and_leaves_its_audit(store: Store) -> None:
    old = await over(store, event="old")
    await store.append_act(act(old.id))
    found = await claimed(store, old.id)
    await store.save(
        Change(
            reset=found.reset.model_copy(update={"acts_seen": found.acts[-1].id}),
            lease=found.lease,
            release_lease=True,
        )
    )
    await over(store)
    await publish(store)
    before = await store.audit()
    assert (await pruned(store, at=NOW + 399 * DAY)).resets == ()
    gone = await pruned(store, at=NOW + 401 * DAY)
    assert gone.resets == (old.id,)
    assert await store.find(old.id) is None
    assert (await store.steps(old.id), await store.attempts(old.id), await store.history(old.id)) == (
        (),
        (),
        (),
    )
    assert await store.plan(old.id) is None
    assert await store.audit() == before
    if isinstance(store, SqlStore):
        assert await store.broken_chains() == ()


@pytest.mark.parametrize(
    "state",
    [
        ResetState.FAILED,
        ResetState.CANCELLED,
        ResetState.NEEDS_OPERATOR,
        ResetState.QUEUED,
        ResetState.AWAITING_APPROVAL,
        ResetState.SEEDING,
        ResetState.CANCELLING,
    ],
)
async def test_what_goes_on_or_can_be_resumed_never_goes(store: Store, state: ResetState) -> None:
    one = await over(store, state=state, destroyed=True, event="its event", idempotency_key="key")
    await over(store, **different(2))
    await publish(store)
    await pruned(store, at=LATER)
    assert one.id in await kept(store)
    # By its event and by its key it is still found.
    again = await store.admit(asked(event="its event"), now=LATER, limit_waiting=1)
    assert again.reset.id == one.id
    again = await store.admit(asked(idempotency_key="key"), now=LATER, limit_waiting=1)
    assert again.reset.id == one.id


async def test_h5_a_reset_that_was_cancelled_before_it_destroyed_anything_goes_as_one_that_is_done(
    store: Store,
) -> None:
    cancelled = [
        await over(store, state=ResetState.CANCELLED, idempotency_key=f"key {number}", **different(number))
        for number in range(5)
    ]
    await over(store)
    await publish(store)
    assert (await pruned(store, at=NOW + 399 * DAY)).resets == ()
    gone = await pruned(store, at=NOW + 401 * DAY)
    assert set(gone.resets) == {each.id for each in cancelled}
    assert {each.id for each in cancelled} <= {line.chain for line in await store.audit()}


async def test_h5_a_reset_that_failed_at_planning_goes_as_one_that_is_done(store: Store) -> None:
    async def stopped(number: int, where: ResetState, *, destroyed: bool = False) -> Reset:
        fields = different(number) | {"idempotency_key": f"key {number}"}
        return await over(store, state=ResetState.FAILED, stopped_in=where, destroyed=destroyed, **fields)

    failed = [await stopped(number, ResetState.PLANNING) for number in range(5)]
    at_work = await stopped(6, ResetState.BACKING_UP)
    planned_again = await stopped(7, ResetState.PLANNING, destroyed=True)
    last = await over(store)
    await publish(store)
    assert (await pruned(store, at=NOW + 399 * DAY)).resets == ()
    gone = await pruned(store, at=NOW + 401 * DAY)
    assert set(gone.resets) == {each.id for each in failed}
    assert await kept(store) == {at_work.id, planned_again.id, last.id}


async def test_h5_what_was_learned_of_an_image_goes_once_it_is_old_and_others_followed(store: Store) -> None:
    found = await begun(store)
    key = LearnedKey(environment=ENVIRONMENT, step=StepName("seed.app.work"), check="learned.app", image="0")
    keys = [key.model_copy(update={"image": str(number)}) for number in range(5)]
    other = [
        key.model_copy(update=different)
        for different in (
            {"options": (Option.MOCK,)},
            {"integrations": ("crm",)},
            {"environment": "a-sandbox"},
        )
    ]
    learned = tuple(
        Learned(key=each, tables=("public.a",), reset_id=found.reset.id, at=NOW + days * DAY)
        for days, each in enumerate([*keys, *other])
    )
    await store.save(Change(reset=found.reset, lease=found.lease, learned=learned))
    await pruned(store, at=NOW + 402 * DAY + SECOND)
    assert {one.key for one in await store.learned(ENVIRONMENT)} == {*keys[3:], *other[:2]}
    await pruned(store, at=LATER)
    assert {one.key for one in await store.learned(ENVIRONMENT)} == {keys[4], *other[:2]}
    assert [one.key for one in await store.learned("a-sandbox")] == other[2:]


@pytest.mark.parametrize("state", [ResetState.FAILED, ResetState.CANCELLED])
async def test_h5_a_stopped_reset_that_a_later_one_superseded_goes_as_one_that_is_done(
    store: Store, state: ResetState
) -> None:
    async def held(state: ResetState, key: str, number: int) -> Reset:
        found = await begun(store, **different(number), idempotency_key=f"{number}")
        assert (await store.lock(found.lease, [ResourceKey(key)])).granted
        reset = found.reset.model_copy(update={"destroyed": True})
        changed = replace(found, reset=reset)
        return await store.save(moved(changed, state, release_locks=True, release_lease=True))

    superseded = await held(state, "db", 1)
    free = await held(state, "another db", 2)
    done = await held(ResetState.DONE, "db", 3)
    last = await held(state, "db", 4)
    await publish(store)
    assert (await pruned(store, at=NOW + 399 * DAY)).resets == ()
    assert set((await pruned(store, at=NOW + 401 * DAY)).resets) == {superseded.id, done.id}
    assert await kept(store) == {free.id, last.id}


async def test_a_dump_that_is_gone_is_recorded_no_more_and_only_that_one(store: Store) -> None:
    found = await begun(store)
    backups = tuple(Backup(ResourceKey("db"), f"/b/{n}", 1, "0", NOW, proven=True) for n in (1, 2))
    await store.save(moved(found, ResetState.DONE, backups=backups, release_lease=True))
    for _ in range(2):
        await store.forget_backup("/b/1")
    assert [row["path"] for row in await store.backups()] == ["/b/2"]


async def test_the_last_reset_of_an_environment_stays_and_so_does_one_with_a_backup(store: Store) -> None:
    found = await begun(store)
    backup = Backup(ResourceKey("db"), "/b/1", 1, "0", NOW, proven=True)
    dumped = await store.save(moved(found, ResetState.DONE, backups=(backup,), release_lease=True))
    plain = await over(store)
    last = await over(store, **different(3))
    answer = await refused(store, ENVIRONMENT, Reason.MOCK_IN_PRODUCTION, **different(4))
    await publish(store)
    assert (await pruned(store, at=LATER)).resets == (plain.id,)
    assert await kept(store) == {dumped.id, last.id, answer.id}


async def test_a_reset_with_an_unread_act_or_a_lease_stays(store: Store) -> None:
    with_act = await over(store)
    leased = await begun(store, **different(1))
    await store.save(moved(leased, ResetState.DONE))
    await over(store, **different(2))
    await publish(store)
    await store.append_act(act(with_act.id, ActKind.RESUME))
    assert (await pruned(store, at=LATER)).resets == ()


async def test_a_key_is_known_as_long_as_it_is_promised_and_then_is_new(store: Store) -> None:
    first = await over(store, idempotency_key="key")
    await publish(store)
    await pruned(store, at=NOW + 29 * DAY)
    assert (await admitted(store, asked(idempotency_key="key"))).id == first.id
    await pruned(store, at=NOW + 31 * DAY)
    assert (await admitted(store, asked(idempotency_key="key"))).id != first.id


async def test_an_event_is_known_longer_than_its_reset_where_that_is_asked_for(store: Store) -> None:
    old = await over(store, event="once")
    await over(store, **different(1))
    await publish(store)
    short = Retention(resets=DAY, records=3 * DAY)
    assert (await pruned(store, short, at=NOW + 2 * DAY)).resets == (old.id,)
    assert await taken(store, asked(event="once")) == ()
    await pruned(store, short, at=NOW + 4 * DAY)
    [admission] = await taken(store, asked(event="once"), first=1)
    assert admission.created


async def test_what_was_superseded_stays_so(store: Store) -> None:
    async def held(environment: str, state: ResetState, number: int) -> Reset:
        found = await begun(store, environment, **different(number))
        assert (await store.lock(found.lease, [ResourceKey("db")])).granted
        return await store.save(moved(found, state, release_locks=True, release_lease=True))

    failed = await held("a-sandbox", ResetState.FAILED, 0)
    assert await store.superseded_by(failed.id) is None
    later = [await held("b-sandbox", ResetState.DONE, number) for number in range(1, 6)]
    assert await store.superseded_by(failed.id) == later[-1].id
    await over(store, "b-sandbox")
    await publish(store)
    gone = await pruned(store, at=LATER)
    assert set(gone.resets) == {each.id for each in later}
    assert gone.rows["lock_history"] == 3
    assert await store.superseded_by(failed.id) == later[-1].id


async def test_a_state_still_knows_how_far_it_had_come(store: Store) -> None:
    marks = [await store.position()]
    for number in range(4):
        await refused(store, f"no{number}-sandbox")
        marks.append(await store.position())
    await publish(store)
    await pruned(store, at=LATER)
    assert await store.position() == marks[-1], "the newest message stays"
    assert all([await store.contains(mark) for mark in marks])
    assert not await store.contains(marks[-1].model_copy(update={"digest": "0" * 32}))
    assert not await store.contains(marks[-1].model_copy(update={"number": marks[-1].number + 1}))


async def test_published_messages_go_and_their_history_stays(store: Store) -> None:
    for number in range(3):
        await over(store, **different(number))
    await publish(store)
    gone = await pruned(store, Retention(resets=None, answers=None), at=NOW + 31 * DAY)
    assert gone.rows["outbox"] == 5
    assert (await store.table_sizes())["history"] == 6


async def test_the_audit_goes_only_where_that_is_asked_for_and_in_whole_chains(store: Store) -> None:
    old = await over(store)
    last = await over(store, **different(1))
    await publish(store)
    await pruned(store, at=LATER)
    assert {line.chain for line in await store.audit()} == {old.id, last.id}
    await pruned(store, replace(FEW, audit=500 * DAY), at=LATER)
    assert {line.chain for line in await store.audit()} == {last.id}
    if isinstance(store, SqlStore):
        assert await store.broken_chains() == ()


async def test_without_limits_nothing_goes(store: Store) -> None:
    for number in range(4):
        await over(store, **different(number))
        await refused(store, f"no{number}-sandbox")
    await publish(store)
    keep_all = Retention(resets=None, records=None, answers=None, most_unknown=1, most_answers=1)
    assert (await pruned(store, keep_all, at=LATER)).rows == {}


async def test_h5_an_act_on_a_reset_that_was_pruned_is_one_on_no_reset(store: Store) -> None:
    gone = await over(store)
    await over(store)
    await publish(store)
    assert (await pruned(store, at=LATER)).resets == (gone.id,)
    with pytest.raises(PermanentError) as refused_act:
        await store.append_act(act(gone.id))
    assert refused_act.value.reason is Reason.UNKNOWN_RESET
    assert (await store.unread_acts(gone.id, 0)) == ()


async def test_h5_a_reset_with_an_act_that_nobody_has_read_stays_also_where_both_come_at_once(
    store: Store,
) -> None:
    old = [await over(store) for _ in range(6)]
    await over(store)
    await publish(store)

    async def ask(reset: Reset) -> bool:
        try:
            await store.append_act(act(reset.id))
        except PermanentError as error:
            if error.reason is not Reason.UNKNOWN_RESET:
                raise
            return False
        return True

    *appended, _, _ = await asyncio.gather(
        *(ask(reset) for reset in old), pruned(store, at=LATER), pruned(store, at=LATER)
    )
    left = await kept(store)
    assert [reset.id in left for reset in old] == appended
    for reset, taken_in in zip(old, appended, strict=True):
        assert len(await store.unread_acts(reset.id, 0)) == taken_in
