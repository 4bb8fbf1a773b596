"""The schema: from nothing to the newest revision, equal to the models, on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from alembic import command
from sqlalchemy import DateTime, bindparam, create_engine, inspect, text

from daemon.adapters.store import migrations, open_store
from daemon.adapters.store.connections.addresses import parse, synchronous
from daemon.ports.errors import PermanentError, TemporaryError
from daemon.ports.store.leases import Claimed
from daemon.ports.store.store import Store
from sandbox.postgres.server import Server
from schemas.resets import Approval, ResetState
from schemas.wire import ResetId
from tests.contract.store.making import NOW, admitted, asked, begun, dead, different, moved, taken


@pytest.fixture
def empty_postgres_url(server: Server) -> str:
    with psycopg.connect(server.superuser_url, autocommit=True) as connection:
        connection.execute(b"DROP DATABASE IF EXISTS empty")
        connection.execute(b"CREATE DATABASE empty")
    return f"{server.superuser_url.rpartition('/')[0]}/empty"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'deeper' / 'new.db'}"
    url: str = request.getfixturevalue("empty_postgres_url")
    return url


async def test_an_empty_database_is_brought_up_and_equals_the_models(empty_url: str) -> None:
    assert await asyncio.to_thread(migrations.current, empty_url) is None
    [told] = await asyncio.to_thread(migrations.check, empty_url)
    assert "resetd db upgrade" in told
    await asyncio.to_thread(migrations.upgrade, empty_url)
    await asyncio.to_thread(migrations.upgrade, empty_url)
    assert await asyncio.to_thread(migrations.check, empty_url) == ()
    async with open_store(empty_url) as store:
        await admitted(store)


def test_a_schema_that_differs_from_the_models_is_told(empty_url: str) -> None:
    migrations.upgrade(empty_url)
    engine = create_engine(synchronous(parse(empty_url)))
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE resets ADD COLUMN surprise INTEGER"))
    engine.dispose()
    [difference] = migrations.check(empty_url)
    assert "surprise" in difference


def move_to(url: str, revision: str) -> None:
    """Move the schema to another revision, older or newer."""
    with migrations._connected(url) as connection:
        move = command.downgrade if revision < (migrations.current(url) or "") else command.upgrade
        move(migrations._config(connection), revision)


def outbox(url: str) -> list[tuple[object, ...]]:
    """Return all outbox rows, without the columns that 0005 adds."""
    engine = create_engine(synchronous(parse(url)))
    with engine.begin() as connection:
        found = connection.execute(text("SELECT id, key, value, headers FROM outbox ORDER BY id"))
        rows = [tuple(row) for row in found]
    engine.dispose()
    return rows


class TestAnOutboxThatHoldsCopies:
    """0005: a status in the outbox names its line of history. Rows from before it hold their messages."""

    async def test_what_waits_is_published_once_and_as_it_was(self, empty_url: str) -> None:
        migrations.upgrade(empty_url)
        async with open_store(empty_url) as store:
            for number in range(3):
                await admitted(store, asked(event=f"e-{number}", **different(number)), limit=9)
            await taken(store, dead(0), dead(1))
            before = await store.unpublished(10)
            await store.published([before[0].id], {before[3].id: "too large"}, now=NOW)
            before, position = await store.unpublished(10), await store.position()
        move_to(empty_url, "0004")
        copies = outbox(empty_url)
        assert [row[2] for row in copies if row[0] in {message.id for message in before}] == [
            waiting.message.value for waiting in before
        ]
        assert all(row[3] for row in copies)
        migrations.upgrade(empty_url)
        assert outbox(empty_url) == copies
        assert migrations.check(empty_url) == ()
        async with open_store(empty_url) as store:
            assert await store.unpublished(10) == before
            assert await store.position() == position
            assert await store.contains(position)
            found = await begun(store, "other-sandbox")
            await store.save(moved(found, ResetState.QUEUED))
            rows = await store.unpublished(10)
            assert rows[: len(before)] == before
            assert [row.id for row in rows[len(before) :]] == [copies[-1][0] + 1, copies[-1][0] + 2]  # type: ignore[operator]
            await store.published([row.id for row in rows], {}, now=NOW)
            assert await store.unpublished(10) == ()
            assert {letter["refused"] for letter in await store.dead_letters()} == {"too large", None}

    def test_the_table_is_as_it_was_but_for_what_is_new(self, empty_url: str) -> None:
        migrations.upgrade(empty_url)
        engine = create_engine(synchronous(parse(empty_url)))
        with engine.begin() as connection:
            indexes = {index["name"]: index for index in inspect(connection).get_indexes("outbox")}
            assert sorted(filter(None, indexes)) == ["ix_outbox_reset_id", "ix_outbox_waiting"]
            index = indexes["ix_outbox_waiting"]
            assert any(name.endswith("_where") for name in index["dialect_options"])
            if engine.dialect.name == "sqlite":
                made = connection.execute(text("SELECT sql FROM sqlite_master WHERE name = 'outbox'"))
                assert "AUTOINCREMENT" in made.scalar_one()
        engine.dispose()


class TestResetsFromBeforeStopsWereCounted:
    """0009: what had stopped after it destroyed something needs a new dump and a new consent, as if it stopped now."""

    async def test_d1_their_consents_are_spent_and_their_dumps_old_where_they_had_stopped(
        self, empty_url: str
    ) -> None:
        migrations.upgrade(empty_url)
        cases = {
            ResetState.FAILED: (True, 1, False, True),
            ResetState.CANCELLED: (False, 1, False, False),
            ResetState.QUEUED: (True, 1, False, True),
            ResetState.AWAITING_APPROVAL: (False, 0, False, False),
            ResetState.SEEDING: (True, 0, True, False),
            ResetState.VERIFYING: (False, 0, False, False),
        }
        ids = {}
        approvals = (Approval(actor="ben", plan_hash="h", at=NOW),)
        async with open_store(empty_url) as store:
            for state, (destroyed, *_) in cases.items():
                found = await begun(store, f"{state.value}-sandbox", idempotency_key="k", **different(1))
                ids[state] = found.reset.id
                agreed = {"approvals": approvals, "plan_hash": "h", "approvals_required": 1}
                reset = found.reset.model_copy(update=agreed | {"destroyed": destroyed})
                await store.save(moved(replace(found, reset=reset), state))
        move_to(empty_url, "0007")
        migrations.upgrade(empty_url)
        assert migrations.check(empty_url) == ()
        async with open_store(empty_url) as store:
            for state, (_, stops, used, spent) in cases.items():
                kept = await store.find(ids[state])
                assert kept is not None
                assert (kept.stops, kept.consent_spent, kept.approvals[0].spent) == (stops, used, spent), (
                    state
                )
            # The key of the first of them is the one that an older version keeps: it is that of its environment.
            again = await store.admit(
                asked("failed-sandbox", idempotency_key="k", **different(1)), now=NOW, limit_waiting=9
            )
            assert again.reset.id == ids[ResetState.FAILED]


async def test_replicas_that_upgrade_at_once_do_not_disturb_each_other(empty_postgres_url: str) -> None:
    await asyncio.gather(*(asyncio.to_thread(migrations.upgrade, empty_postgres_url) for _ in range(3)))
    assert await asyncio.to_thread(migrations.check, empty_postgres_url) == ()


async def test_a_store_without_tables_says_what_to_do(empty_url: str) -> None:
    async with open_store(empty_url) as store:
        with pytest.raises(PermanentError) as refused:
            await store.resets()
    assert refused.value.hint == "run `resetd db upgrade`"


@pytest.mark.parametrize(
    "url", ["mysql://u:secret@h/d", "sqlite://", "postgresql://u:secret@h:port/d", "nonsense"]
)
def test_other_addresses_are_refused_without_repeating_them(url: str) -> None:
    with pytest.raises(PermanentError) as refused:
        open_store(url)
    assert "secret" not in f"{refused.value} {refused.value.hint}"


def test_a_server_that_is_not_there_is_temporary_and_keeps_the_password_secret() -> None:
    with pytest.raises(TemporaryError) as refused:
        migrations.upgrade("postgresql://resetd:secret@127.0.0.1:1/state")
    assert "secret" not in str(refused.value)


async def test_what_was_remembered_of_protected_environments_outlives_0010(empty_url: str) -> None:
    migrations.upgrade(empty_url)
    move_to(empty_url, "0008")
    engine = create_engine(synchronous(parse(empty_url)))
    with engine.begin() as connection:
        row = {"key": "database/7001/a", "environment": "los-demo-production", "at": NOW}
        insert = text(
            "INSERT INTO protected_resources (key, environment, seen_at) VALUES (:key, :environment, :at)"
        )
        connection.execute(insert.bindparams(bindparam("at", type_=DateTime(timezone=True))), row)
    engine.dispose()
    migrations.upgrade(empty_url)
    assert migrations.check(empty_url) == ()
    async with open_store(empty_url) as store:
        (kept,) = await store.protected()
    assert (kept.environment, kept.service, kept.database) == ("los-demo-production", None, None)
    assert (kept.key, kept.first_seen_at, kept.last_seen_at) == ("database/7001/a", NOW, NOW)


async def test_0016_keeps_resets_with_their_parts_and_takes_the_state_paused(empty_url: str) -> None:
    migrations.upgrade(empty_url)
    async with open_store(empty_url) as store:
        found = await begun(store)
        await store.save(moved(found, ResetState.SEEDING))
    move_to(empty_url, "0015")
    move_to(empty_url, "head")
    async with open_store(empty_url) as store:
        assert [entry.data["state"] for entry in await store.history(found.reset.id)] == [
            "planning",
            "seeding",
        ]
        again = await claimed_again(store, found.reset.id)
        assert (await store.save(moved(again, ResetState.PAUSED))).state is ResetState.PAUSED
    move_to(empty_url, "0015")
    engine = create_engine(synchronous(parse(empty_url)))
    with engine.begin() as connection:
        assert connection.execute(text("SELECT state FROM resets")).scalars().all() == ["failed"]
    engine.dispose()


async def claimed_again(store: Store, reset_id: ResetId) -> Claimed:
    """Claim a reset, whoever has it."""
    (found,) = await store.seize("two", [reset_id], ttl=30.0)
    return found
