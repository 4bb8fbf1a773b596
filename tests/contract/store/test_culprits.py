"""A record that the database refuses is a dead letter by itself; a database that is away is no record's fault."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from daemon.adapters.store import SqlStore
from daemon.adapters.store.connections import engine
from daemon.adapters.system.clock import SystemClock
from daemon.adapters.system.identifiers import new_reset_id
from daemon.intake.consumer import Intake
from daemon.intake.entries import IntakeRules
from daemon.metrics import Metrics
from schemas.reasons import Reason
from schemas.records import Message
from tests.contract.store.making import eventually
from tests.memory.bus import MemoryBus, MemoryInbox

RULES = IntakeRules("requests", "environments", "dead-letters", timedelta(hours=24))
ASKED = "com.fuse.environment.reset.requested.v1"
REFUSED = "refused-sandbox"


async def send(bus: MemoryBus, *environments: str) -> None:
    """Publish a request for each environment, all in one partition."""
    for environment in environments:
        value = json.dumps({"environment": environment, "requestedBy": "ci"}).encode()
        attributes = {"specversion": "1.0", "id": environment, "source": "/tests", "type": ASKED}
        headers = tuple((f"ce_{name}", text.encode()) for name, text in attributes.items())
        now = int(SystemClock().now().timestamp() * 1000)
        await bus.append(Message("requests", b"k", value, headers), partition=0, timestamp_ms=now)


@asynccontextmanager
async def reading(bus: MemoryBus, store: SqlStore) -> AsyncIterator[asyncio.Task[None]]:
    """Run an intake for as long as the block runs."""
    inbox = MemoryInbox(bus, group_id="resetd", topics=["requests"])
    intake = Intake(inbox, store, RULES, SystemClock(), Metrics(), new_id=new_reset_id, limit_waiting=100)
    task = asyncio.create_task(intake.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def execute(database_url: str, statement: str) -> None:
    """Run a statement beside the store."""
    if database_url.startswith("sqlite"):
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"), timeout=10)) as file:
            file.execute(statement)
            file.commit()
    else:
        writable = "-c default_transaction_read_only=off"
        with psycopg.connect(database_url, autocommit=True, options=writable) as connection:
            connection.execute(statement.encode())


@contextmanager
def refusing(database_url: str, table: str, column: str, value: str) -> Iterator[None]:
    """Let the database refuse one value, as it would refuse one that it can't hold."""
    if database_url.startswith("sqlite"):
        refuse = (
            f"CREATE TRIGGER refuse_{table} BEFORE INSERT ON {table} WHEN NEW.{column} = '{value}' "
            "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
        take = f"DROP TRIGGER refuse_{table}"
    else:
        refuse = f"ALTER TABLE {table} ADD CONSTRAINT refuse_{table} CHECK ({column} <> '{value}') NOT VALID"
        take = f"ALTER TABLE {table} DROP CONSTRAINT refuse_{table}"
    execute(database_url, refuse)
    try:
        yield
    finally:
        execute(database_url, take)


@contextmanager
def writing_nothing(database_url: str) -> Iterator[None]:
    """Let nobody write to the database for as long as the block runs."""
    if database_url.startswith("sqlite"):
        path = database_url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
        return
    altered = f"ALTER DATABASE {database_url.rpartition('/')[2]}"
    execute(database_url, f"{altered} SET default_transaction_read_only = on")
    try:
        yield
    finally:
        execute(database_url, f"{altered} RESET default_transaction_read_only")
        execute(
            database_url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'resetd' AND datname = current_database()",
        )


async def environments(store: SqlStore) -> list[str]:
    """Of all resets, oldest first."""
    return [reset.environment for reset in reversed(await store.resets())]


async def until_read(store: SqlStore, offset: int) -> None:
    """Wait until the stored position is this one."""

    async def look() -> bool:
        position = (await store.positions([("requests", 0)])).get(("requests", 0))
        return position is not None and position.next == offset

    await eventually(look)


async def test_the_culprit_is_a_dead_letter_and_its_neighbours_are_resets(
    sql_store: SqlStore, database_url: str
) -> None:
    bus = MemoryBus(partitions=1)
    await send(bus, "a-sandbox", REFUSED, "b-sandbox")
    with refusing(database_url, "resets", "environment", REFUSED):
        async with reading(bus, sql_store):
            await until_read(sql_store, 3)
            await send(bus, "c-sandbox")
            await until_read(sql_store, 4)
    assert sorted(await environments(sql_store)) == ["a-sandbox", "b-sandbox", "c-sandbox"]
    [letter] = await sql_store.dead_letters()
    assert (letter["reason"], letter["offset"]) == (Reason.INTERNAL, 1)
    sent = [row.message for row in await sql_store.unpublished(100) if row.message.topic == "dead-letters"]
    assert [message.value for message in sent] == [bus.records("requests")[1].value]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let SQLite give up soon."""
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)


@pytest.mark.usefixtures("impatient")
async def test_while_the_database_takes_no_writes_nothing_is_a_dead_letter(
    sql_store: SqlStore, database_url: str
) -> None:
    bus = MemoryBus(partitions=1)
    await send(bus, "a-sandbox", "b-sandbox")
    with capture_logs() as logs, writing_nothing(database_url):
        async with reading(bus, sql_store) as intake:
            await eventually(lambda: paused(logs, 2))
            assert not intake.done()
    async with reading(bus, sql_store):
        await until_read(sql_store, 2)
    assert sorted(await environments(sql_store)) == ["a-sandbox", "b-sandbox"]
    assert await sql_store.dead_letters() == ()


async def test_a_record_that_can_not_even_be_set_aside_is_kept_and_tried_again(
    sql_store: SqlStore, database_url: str
) -> None:
    bus = MemoryBus(partitions=1)
    await send(bus, REFUSED)
    with (
        capture_logs() as logs,
        refusing(database_url, "resets", "environment", REFUSED),
        refusing(database_url, "dead_letters", "reason", "internal"),
    ):
        async with reading(bus, sql_store) as intake:
            await eventually(lambda: paused(logs, 2))
            assert not intake.done()
    assert await sql_store.positions([("requests", 0)]) == {}
    async with reading(bus, sql_store):
        await until_read(sql_store, 1)
    assert await environments(sql_store) == [REFUSED]


async def paused(logs: list[MutableMapping[str, Any]], times: int) -> bool:
    """Tell whether the intake has logged so often that it waits."""
    return [line["event"] for line in logs].count("intake.paused") >= times
