"""Changes that are saved at the same time share a commit, and nothing else: each is stored or refused by itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import IntegrityError

from daemon.adapters.store import SqlStore, open_store
from daemon.adapters.store.connections.transactions import Tx
from daemon.adapters.store.leases.shared_commits import MAX_CHANGES
from daemon.adapters.store.outbox import history
from daemon.ports.errors import LeaseLostError, TemporaryError
from daemon.ports.store.leases import Change, Claimed
from daemon.ports.store.store import Store
from sandbox.postgres.server import Server
from schemas.resets import Reset, ResetState
from schemas.wire import ResetId
from statemachines.history.status import next_status
from tests.contract.store.conftest import TOPICS
from tests.contract.store.making import NOBODY, NOW, asked, attempt, begun, dead, moved, taken


async def many(store: Store, count: int = 6) -> list[Claimed]:
    """Make resets of as many environments, and claim them for long."""
    await taken(store, *(asked(f"qa{number}-sandbox") for number in range(count)))
    found = await store.claim("one", ttl=600, limit=count, excluding=NOBODY)
    assert len(found) == count
    return list(found)


def lost(found: Claimed) -> Change:
    change = moved(found, ResetState.QUEUED)
    return replace(change, lease=replace(found.lease, fence=found.lease.fence + 1))


def with_a_gap(found: Claimed) -> Change:
    skipped = found.reset.model_copy(update={"sequence": found.reset.sequence + 1})
    return Change(reset=skipped, lease=found.lease)


def followed_by(first: Change, state: ResetState) -> Change:
    """Make the change that a holder makes once `first` is stored."""
    stored = first.reset.model_copy(update={"version": first.reset.version + 1, "state": state})
    reset, entry = next_status(stored, at=NOW)
    return replace(first, reset=reset, history=(entry,))


@contextmanager
def commits_counted() -> Iterator[list[object]]:
    """Collect every commit of every connection for as long as the block runs."""
    seen: list[object] = []

    def count(connection: object) -> None:
        seen.append(connection)

    event.listen(Engine, "commit", count)
    try:
        yield seen
    finally:
        event.remove(Engine, "commit", count)


@asynccontextmanager
async def writers_held_up(store: SqlStore) -> AsyncIterator[None]:
    """Let every transaction that publishes wait until the block ends."""
    ready, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(tx: Tx) -> None:
        await history.append(tx, [], others=[dead(0).message])
        ready.set()
        await go_on.wait()

    slow = asyncio.ensure_future(store._write(slowly))
    await ready.wait()
    try:
        yield
    finally:
        go_on.set()
        await slow


async def turns(count: int = 5) -> None:
    """Let new tasks run as far as they can without the database."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_who_lost_the_lease_fails_alone(store: Store) -> None:
    found = await many(store)
    changes = [moved(claim, ResetState.QUEUED) for claim in found]
    changes[2] = lost(found[2])
    answers = await asyncio.gather(*(store.save(change) for change in changes), return_exceptions=True)
    assert isinstance(answers.pop(2), LeaseLostError)
    assert [answer.version for answer in answers if isinstance(answer, Reset)] == [1] * 5
    assert await store.find(found[2].reset.id) == found[2].reset
    assert len(await store.history(found[2].reset.id)) == 1
    assert len(await store.unpublished(100)) == 6 + 5


async def test_a_change_with_a_gap_fails_alone(store: Store) -> None:
    found = await many(store)
    changes = [moved(claim, ResetState.QUEUED) for claim in found]
    changes[2] = with_a_gap(found[2])
    answers = await asyncio.gather(*(store.save(change) for change in changes), return_exceptions=True)
    assert isinstance(answers.pop(2), ValueError)
    assert [answer.version for answer in answers if isinstance(answer, Reset)] == [1] * 5
    assert await store.find(found[2].reset.id) == found[2].reset


async def test_a_change_whose_lease_is_another_resets_is_refused(store: Store) -> None:
    one, two = await many(store, 2)
    with pytest.raises(LeaseLostError):
        await store.save(replace(moved(one, ResetState.QUEUED), lease=two.lease))
    assert await store.find(one.reset.id) == one.reset


async def test_changes_of_one_reset_are_stored_in_the_order_of_their_calls(store: Store) -> None:
    found = await many(store)
    first = [moved(claim, ResetState.QUEUED) for claim in found]
    second = [followed_by(change, ResetState.QUIESCING) for change in first]
    saved = await asyncio.gather(*(store.save(change) for change in (*first, *second)))
    assert [(reset.version, reset.state) for reset in saved[6:]] == [(2, ResetState.QUIESCING)] * 6
    for claim in found:
        assert [entry.sequence for entry in await store.history(claim.reset.id)] == [1, 2, 3]


async def test_changes_of_one_environment_are_told_in_the_order_of_the_outbox(store: Store) -> None:
    found = [await begun(store, reason=f"number {number}") for number in range(8)]
    await asyncio.gather(*(store.save(moved(claim, ResetState.QUEUED)) for claim in found))
    told = [entry for claim in found for entry in await store.history(claim.reset.id)]
    numbers = {(entry.reset_id, entry.sequence): entry.data["environmentSequence"] for entry in told}
    rows = await store.unpublished(100)
    sent = [json.loads(row.message.value or b"") for row in rows]
    assert [numbers[status["resetId"], status["sequence"]] for status in sent] == list(range(1, 17))


async def test_an_attempt_that_is_given_twice_in_one_change_is_stored_as_it_was_given_last(
    store: Store,
) -> None:
    found = await begun(store)
    first = attempt(found.reset.id, "seed.a")
    last = first.model_copy(update={"log_offset": 7})
    await store.save(Change(reset=found.reset, lease=found.lease, attempts=(first, last)))
    assert await store.attempts(found.reset.id) == (last,)


@pytest.mark.parametrize("microsecond", [0, 1, 120_000, 999_999])
async def test_moments_come_back_to_the_microsecond(store: Store, microsecond: int) -> None:
    found = await begun(store)
    at = NOW.replace(microsecond=microsecond)
    reset = found.reset.model_copy(update={"updated_at": at, "wake_at": at})
    saved = await store.save(Change(reset=reset, lease=found.lease))
    assert (saved.updated_at, saved.wake_at) == (at, at)
    assert await store.find(reset.id) == saved


async def test_fifty_that_save_at_once_share_two_commits(sql_store: SqlStore) -> None:
    found = await many(sql_store, 50)
    with commits_counted() as commits:
        await asyncio.gather(*(sql_store.save(moved(claim, ResetState.QUEUED)) for claim in found))
    assert len(commits) <= 2


async def test_more_than_fit_into_one_commit_are_all_stored(sql_store: SqlStore) -> None:
    found = await many(sql_store, MAX_CHANGES + 5)
    async with writers_held_up(sql_store):
        saving = asyncio.gather(*(sql_store.save(moved(claim, ResetState.QUEUED)) for claim in found))
        await turns()
    assert {saved.version for saved in await saving} == {1}


async def test_a_change_that_the_database_refuses_fails_alone(sql_store: SqlStore) -> None:
    found = await many(sql_store)
    changes = [moved(claim, ResetState.QUEUED) for claim in found]
    changes[2] = replace(changes[2], attempts=(attempt(ResetId("nobody"), "seed.a"),))
    async with writers_held_up(sql_store):
        saving = asyncio.gather(*(sql_store.save(change) for change in changes), return_exceptions=True)
        await turns()
    answers = await saving
    assert isinstance(answers.pop(2), IntegrityError)
    assert [answer.version for answer in answers if isinstance(answer, Reset)] == [1] * 5
    assert await sql_store.find(found[2].reset.id) == found[2].reset
    assert len(await sql_store.history(found[2].reset.id)) == 1


async def test_a_caller_that_is_cancelled_while_it_waits_its_turn_has_stored_nothing(
    sql_store: SqlStore,
) -> None:
    first, second = await many(sql_store, 2)
    async with writers_held_up(sql_store):
        writing = asyncio.ensure_future(sql_store.save(moved(first, ResetState.QUEUED)))
        await turns()
        waiting = asyncio.ensure_future(sql_store.save(moved(second, ResetState.QUEUED)))
        await turns()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert (await writing).version == 1
    assert await sql_store.find(second.reset.id) == second.reset
    assert (await sql_store.save(moved(second, ResetState.QUEUED))).version == 1


async def test_a_caller_that_is_cancelled_while_its_change_is_written_goes_when_it_is_stored(
    sql_store: SqlStore,
) -> None:
    found = await many(sql_store, 2)
    async with writers_held_up(sql_store):
        writing = [asyncio.ensure_future(sql_store.save(moved(claim, ResetState.QUEUED))) for claim in found]
        await turns()
        writing[0].cancel()
        await turns()
        assert not writing[0].done()
    with pytest.raises(asyncio.CancelledError):
        await writing[0]
    stored = await sql_store.find(found[0].reset.id)
    assert stored is not None
    assert stored.version == 1
    assert (await writing[1]).version == 1


async def test_a_store_that_is_closed_answers_what_waits_first(database_url: str) -> None:
    store = open_store(database_url, TOPICS)
    found = await many(store)
    saving = [asyncio.ensure_future(store.save(moved(claim, ResetState.QUEUED))) for claim in found]
    await turns(1)
    await store.close()
    assert [save.result().version for save in saving] == [1] * 6


async def test_an_outage_is_told_to_all_who_share_the_commit_and_is_over_when_it_is_over(
    server: Server, postgres_url: str
) -> None:
    async with open_store(postgres_url, TOPICS) as store:
        found = await many(store)
        await asyncio.to_thread(server.stop)
        try:
            answers = await asyncio.gather(
                *(store.save(moved(claim, ResetState.QUEUED)) for claim in found), return_exceptions=True
            )
        finally:
            await asyncio.to_thread(server.start_again)
        assert all(isinstance(answer, TemporaryError) for answer in answers)
        saved = await asyncio.gather(*(store.save(moved(claim, ResetState.QUEUED)) for claim in found))
        assert [reset.version for reset in saved] == [1] * 6


async def test_leases_are_renewed_beside_shared_commits(sql_store: SqlStore) -> None:
    found = await many(sql_store, 20)
    leases = [claim.lease for claim in found]

    async def renew() -> None:
        for _ in range(10):
            assert len(await sql_store.renew(leases[::-1], ttl=60)) == len(leases)

    async def save(claim: Claimed) -> None:
        change = moved(claim, ResetState.QUEUED)
        for state in (ResetState.QUIESCING, ResetState.SEEDING, ResetState.VERIFYING):
            await sql_store.save(change)
            change = followed_by(change, state)

    await asyncio.gather(renew(), *(save(claim) for claim in found))
