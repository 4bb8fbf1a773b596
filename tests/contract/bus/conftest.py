"""Each contract test of this folder runs on librdkafka's mock cluster and on the bus in memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from daemon.ports.bus import Inbox, Outlet
from tests.contract.bus.stands import KafkaStand, MemoryStand, Stand


@pytest.fixture(scope="session")
def broker() -> Iterator[str]:
    """Bootstrap address of a mock broker."""
    with subprocess.Popen(
        [sys.executable, "-m", "sandbox.kafka"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["bootstrap"]
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture(params=["kafka", "memory"])
def stand(request: pytest.FixtureRequest) -> Stand:
    if request.param == "kafka":
        return KafkaStand(request.getfixturevalue("broker"))
    return MemoryStand()


@pytest.fixture
async def inbox(stand: Stand) -> AsyncIterator[Inbox]:
    """Not started."""
    inbox = stand.inbox()
    yield inbox
    await inbox.stop()


@pytest.fixture
async def outlet(stand: Stand) -> AsyncIterator[Outlet]:
    """Started."""
    outlet = stand.outlet()
    await outlet.start()
    yield outlet
    await outlet.stop()
