"""The embedded database: one process, told by a lock that dies with it, and every commit on the disk."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from daemon.adapters.store import SqlStore, embedded_lock, migrations, open_store
from daemon.adapters.store.connections.transactions import Tx
from daemon.ports.errors import PermanentError
from tests.contract.store.making import admitted

HOLDER = """
import sys, time
from daemon.adapters.store import embedded_lock
with embedded_lock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_until_the_first_is_dead(sqlite_url: str) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, sqlite_url], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            with pytest.raises(PermanentError, match=f"process {process.pid}"), embedded_lock(sqlite_url):
                pass
        finally:
            process.kill()
            process.wait(10)
    with embedded_lock(sqlite_url):
        pass


def test_postgresql_needs_no_lock() -> None:
    with embedded_lock("postgresql://h/d"), embedded_lock("postgresql://h/d"):
        pass


async def test_commits_are_synchronous_in_a_write_ahead_log_with_foreign_keys(sqlite_url: str) -> None:
    async with open_store(sqlite_url) as store:
        found = {name: await pragma(store, name) for name in ("journal_mode", "synchronous", "foreign_keys")}
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


async def test_what_was_committed_is_there_for_the_next_process(sqlite_url: str) -> None:
    async with open_store(sqlite_url) as store:
        reset = await admitted(store)
    async with open_store(sqlite_url) as store:
        assert await store.find(reset.id) == reset


async def pragma(store: SqlStore, name: str) -> object:
    async def work(tx: Tx) -> object:
        return (await tx.connection.execute(text(f"PRAGMA {name}"))).scalar_one()

    return await store._read(work)


async def test_many_connections_that_open_a_new_file_at_once_do_not_disturb_each_other(
    tmp_path: Path,
) -> None:
    for number in range(4):
        url = f"sqlite:///{tmp_path / f'{number}.db'}"
        await asyncio.to_thread(migrations.upgrade, url)
        stores = [open_store(url) for _ in range(3)]
        await asyncio.gather(
            *(store.resets() for store in stores * 3), *(admitted(store) for store in stores)
        )
        for store in stores:
            await store.close()
