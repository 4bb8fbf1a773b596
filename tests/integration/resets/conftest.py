"""The stage on which commands of the guide are typed by hand, and resets do the same; a client with a production."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import pytest_asyncio

from sandbox.platform.platform import Platform
from tests.integration.by_hand.stage import Stage, standing
from tests.integration.people.consenting import PRODUCTION, SANDBOX


@pytest.fixture(scope="module")
def stage(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One stage for a whole file of tests."""
    with standing(platform, tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def los_demo_sandbox(platform: Platform) -> Platform:
    """The platform with a sandbox whose production is not there yet."""
    await platform.provision(SANDBOX)
    return platform


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def los_demo(los_demo_sandbox: Platform) -> Platform:
    """The sandbox and its production, which share all but the core database."""
    if PRODUCTION not in los_demo_sandbox.environments:
        await los_demo_sandbox.provision(PRODUCTION)
    return los_demo_sandbox
