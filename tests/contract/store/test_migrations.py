"""The schema: from nothing to the newest revision, equal to the models, on both databases."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

from daemon.adapters.store import migrations, open_store
from daemon.adapters.store.addresses import parse, synchronous
from daemon.ports.errors import PermanentError, TemporaryError
from sandbox.postgres.server import Server
from tests.contract.store.making import admitted


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
