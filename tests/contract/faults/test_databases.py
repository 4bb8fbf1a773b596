"""What happens to the environments' databases and to the daemon's state, as psycopg and the real pg_dump see it."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from sandbox import postgres
from sandbox.faults import Fault, FaultKind, Faults
from sandbox.faults.armoury import Armoury
from sandbox.faults.injection import Injection
from sandbox.fleet import Environment
from sandbox.polling import until
from sandbox.postgres import dump_faults
from sandbox.postgres.faults import PRISMAS_LOCK, DatabaseFaults
from sandbox.postgres.state_database import StateDatabase

PLACE = "small/workflow-builder"
ENVIRONMENT, SERVICE = "small-sandbox", "workflow-api"
HELD = (
    "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.Fleet]:
    directory = tmp_path_factory.mktemp("postgres")
    running = postgres.start_fleet(directory, [Environment(ENVIRONMENT, {(SERVICE, "DATABASE_URL"): PLACE})])
    yield running
    running.stop()


@pytest.fixture
def url(fleet: postgres.Fleet) -> str:
    """As a service's client has it."""
    return fleet.url(PLACE).partition("?")[0]


@pytest.fixture
async def faults(fleet: postgres.Fleet, armoury: Armoury) -> AsyncIterator[Faults]:
    def places(fault: Fault) -> list[tuple[postgres.Server, list[str]]]:
        meant = fault.meets(ENVIRONMENT, SERVICE)
        return [(fleet.servers["small"], ["workflow-builder"])] if meant else []

    injection = Injection(armoury, DatabaseFaults(armoury, places).injectors(), passing=(psycopg.Error,))
    injection.start()
    faults = Faults(armoury.directory)
    yield faults
    await faults.clear()
    injection.stop()


async def hit(faults: Faults, kind: FaultKind) -> None:
    """Until the fault has hit once."""
    async with asyncio.timeout(30):
        while (await faults.hits()).get(kind, 0) != 1:  # noqa: ASYNC110 - another thread's state
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("kind", [FaultKind.POSTGRES_RESTARTED, FaultKind.POSTGRES_CONNECTIONS_DROPPED])
async def test_a_session_is_cut_when_there_is_one_and_the_next_one_is_well(
    kind: FaultKind, url: str, faults: Faults
) -> None:
    await faults.arm(Fault(kind, ENVIRONMENT, SERVICE))
    await asyncio.sleep(0)
    assert not await faults.hits()
    with psycopg.connect(url, autocommit=True) as connection:
        await hit(faults, kind)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


async def test_databases_of_other_environments_and_services_are_spared(url: str, faults: Faults) -> None:
    await faults.arm(Fault(FaultKind.POSTGRES_CONNECTIONS_DROPPED, "other-sandbox"))
    await faults.arm(Fault(FaultKind.POSTGRES_CONNECTIONS_DROPPED, ENVIRONMENT, "los-core-api"))
    with psycopg.connect(url, autocommit=True) as connection:
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not await faults.hits()


async def test_prismas_lock_is_held_and_counts_when_somebody_waits_for_it(url: str, faults: Faults) -> None:
    await faults.arm(Fault(FaultKind.POSTGRES_LOCK_HELD, ENVIRONMENT, seconds=60))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET lock_timeout = '700ms'")
        assert await until(lambda: connection.execute(HELD, [PRISMAS_LOCK]).fetchone() == (True,), within=10)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            connection.execute("SELECT pg_advisory_lock(%s)", [PRISMAS_LOCK])
        await hit(faults, FaultKind.POSTGRES_LOCK_HELD)
        await faults.clear()
        connection.execute("SELECT pg_advisory_lock(%s)", [PRISMAS_LOCK])


async def test_a_lock_ends_with_the_session_that_holds_it(fleet: postgres.Fleet, faults: Faults) -> None:
    await faults.arm(Fault(FaultKind.POSTGRES_LOCK_HELD, ENVIRONMENT, seconds=60))
    fleet.servers["small"].restart()
    await faults.clear(within=10)


async def test_a_lock_for_which_nobody_waits_is_not_counted(url: str, faults: Faults) -> None:
    await faults.arm(Fault(FaultKind.POSTGRES_LOCK_HELD, ENVIRONMENT))
    await faults.clear()
    assert not await faults.hits()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET lock_timeout = '700ms'")
        connection.execute("SELECT pg_advisory_lock(%s)", [PRISMAS_LOCK])


async def test_a_dump_runs_into_a_full_disk_and_the_next_one_does_not(
    url: str, faults: Faults, tmp_path: Path
) -> None:
    environments = tmp_path / "environments.json"
    environments.write_text(f'{{"{ENVIRONMENT}": {{"{SERVICE}": {{"DATABASE_URL": "{url}"}}}}}}')
    dump_faults.make(
        tmp_path / "bin",
        faults=faults.directory,
        environments=environments,
        programs=postgres.binaries(),
    )
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE ballast AS SELECT md5(n::text) FROM generate_series(1, 2000) AS n")
        name, port = connection.info.dbname, connection.info.port
        conninfo = f"host=127.0.0.1 port={port} dbname={name} user={connection.info.user}"
        password = connection.info.password

    def dump(path: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [tmp_path / "bin" / "pg_dump", "--format=custom", f"--file={path}", f"--dbname={conninfo}"],
            env={"PGPASSWORD": password},
            capture_output=True,
            text=True,
            check=False,
        )

    await faults.arm(Fault(FaultKind.POSTGRES_DISK_FULL_IN_DUMP, "other-sandbox"))
    assert dump(tmp_path / "first").returncode == 0
    await faults.arm(Fault(FaultKind.POSTGRES_DISK_FULL_IN_DUMP, ENVIRONMENT))
    failed = dump(tmp_path / "second")
    assert failed.returncode == 1
    assert "No space left on device" in failed.stderr
    assert (await faults.hits())[FaultKind.POSTGRES_DISK_FULL_IN_DUMP] == 1
    assert dump(tmp_path / "third").returncode == 0
    assert (tmp_path / "third").stat().st_size == (tmp_path / "first").stat().st_size


@pytest.fixture
def state(armoury: Armoury, tmp_path: Path) -> Iterator[StateDatabase]:
    state = StateDatabase(armoury, tmp_path / "state")
    injection = Injection(armoury, state.injectors(), passing=(psycopg.Error,))
    injection.start()
    yield state
    injection.stop()
    state.stop()


async def test_the_state_database_is_slow_so_often_and_then_restarts(
    state: StateDatabase, armoury: Armoury
) -> None:
    faults = Faults(armoury.directory)
    with psycopg.connect(state.url("resetd"), autocommit=True) as connection:
        await faults.arm(Fault(FaultKind.STATE_SLOW, times=2, seconds=0.4))
        began = time.monotonic()
        connection.execute("SELECT 1")
        connection.execute("SELECT 1")
        assert time.monotonic() - began >= 0.8
        assert (await faults.hits())[FaultKind.STATE_SLOW] == 2
        began = time.monotonic()
        connection.execute("SELECT 1")
        assert time.monotonic() - began < 0.4
        await faults.arm(Fault(FaultKind.STATE_RESTARTED))
        await hit(faults, FaultKind.STATE_RESTARTED)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with psycopg.connect(state.url("resetd")) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("resetd",)
