"""The platform that integration tests share: one environment at first; a test that needs more provisions them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sandbox.platform.platform import Platform


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
