"""The platform that integration tests share, and a daemon that the tests of one file share.

The platform has one environment at first; a test that needs more provisions them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from sandbox.platform.platform import Platform
from tests.integration.people.asking import ENVIRONMENT
from tests.integration.stand.harness import Harness, running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A running platform with `qa-sandbox`, migrated and seeded; `await platform.provision(...)` adds others.

    Its calls make their own connections, so tests with an event loop each may use it.
    """
    directory: Path = tmp_path_factory.mktemp("platform")
    async with Platform.start(directory, environments=["qa-sandbox"]) as platform:
        yield platform


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sharing(platform: Platform) -> Platform:
    """The platform with two environments more that share their core database."""
    await platform.provision("acme-sandbox", "beta-sandbox")
    return platform


@pytest.fixture(scope="module")
def daemon(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """One daemon for a whole file of tests; `harness` is for one test."""
    with running(platform, tmp_path_factory.mktemp("daemon")) as harness:
        yield harness


@pytest.fixture
def harness(daemon: Harness) -> Iterator[Harness]:
    """The daemon that the tests of the file share; after each the environment is as it was."""
    yield daemon
    daemon.platform.clear_controls()
    asyncio.run(daemon.platform.until_ready([ENVIRONMENT]))
