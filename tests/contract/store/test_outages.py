"""Outages and cancellations: told as temporary, and over once they are over."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import traceback

import pytest

from daemon.adapters.store import SqlStore, open_store
from daemon.ports.errors import TemporaryError
from sandbox.postgres.server import Server
from schemas.resets import ResetState
from tests.contract.store.making import NOBODY, admitted, asked, begun, different, eventually, moved


async def test_calls_that_are_cancelled_at_any_moment_leave_a_working_store(sql_store: SqlStore) -> None:
    found = await begun(sql_store, "other-sandbox")
    for number in range(25):
        calls = [
            asyncio.ensure_future(admitted(sql_store, asked(**different(number)), limit=1000)),
            asyncio.ensure_future(sql_store.lock(found.lease, [f"database/7/{number}"])),  # type: ignore[list-item]
            asyncio.ensure_future(sql_store.resets()),
            asyncio.ensure_future(sql_store.claim("two", ttl=30, limit=1, excluding=NOBODY)),
        ]
        await asyncio.sleep(number * 0.0005)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    rows = await sql_store.unpublished(1000)
    told = [json.loads(row.message.value or b"") for row in rows]
    numbers = [status["environmentSequence"] for status in told if status["environment"] == "qa-sandbox"]
    assert numbers == list(range(1, len(numbers) + 1))
    assert (await sql_store.save(moved(found, ResetState.QUEUED))).version == 1


async def test_a_call_that_is_cancelled_is_over_when_it_raises(sql_store: SqlStore) -> None:
    new = asked()
    call = asyncio.ensure_future(admitted(sql_store, new))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    before = await sql_store.find(new.id)
    await sql_store.ping()
    assert await sql_store.find(new.id) == before


async def test_a_restart_of_the_server_is_temporary_and_then_forgotten(
    server: Server, postgres_url: str
) -> None:
    async with open_store(postgres_url) as store:
        await admitted(store)
        await asyncio.to_thread(server.stop)
        try:
            with pytest.raises(TemporaryError) as refused:
                await store.resets()
        finally:
            await asyncio.to_thread(server.start_again)
        assert len(await store.resets()) == 1
    password = postgres_url.partition("//postgres:")[2].partition("@")[0]
    assert password not in "".join(traceback.format_exception(refused.value))


async def test_sessions_that_are_cut_under_way_are_temporary(server: Server, postgres_url: str) -> None:
    async with open_store(postgres_url) as store:
        stop = asyncio.Event()
        results: list[BaseException | None] = []

        async def admit_on(place: int) -> None:
            number = 0
            while not stop.is_set():
                number += 1
                try:
                    await admitted(store, asked(**different(place * 10000 + number)), limit=100000)
                except TemporaryError as error:
                    results.append(error)
                except Exception as error:  # noqa: BLE001 - what else came is what the test is about
                    results.append(error)
                    return

        async def enough() -> bool:
            return len(await store.resets(limit=100)) > 5

        running = [asyncio.ensure_future(admit_on(place)) for place in range(4)]
        await eventually(enough)
        await asyncio.to_thread(server.restart)
        stop.set()
        await asyncio.gather(*running)
        assert all(isinstance(result, TemporaryError) for result in results)
        resets = await store.resets(limit=100000)
        assert sorted(reset.number for reset in resets) == list(range(1, len(resets) + 1))


async def test_a_locked_file_is_temporary_and_names_no_path(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from daemon.adapters.store.connections import engine

    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)
    path = sqlite_url.removeprefix("sqlite:///")
    async with open_store(sqlite_url) as store:
        other = sqlite3.connect(path, isolation_level=None)
        try:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(TemporaryError) as refused:
                await admitted(store)
        finally:
            other.close()
        assert path not in str(refused.value)
        await admitted(store)


async def test_nothing_is_logged_by_the_drivers_in_all_this(
    sql_store: SqlStore, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        call = asyncio.ensure_future(sql_store.resets())
        await asyncio.sleep(0.001)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await sql_store.ping()
    assert caplog.records == []
