"""Each contract test of this folder runs on librdkafka's mock cluster and on the bus in memory.

With RESETD_E2E_KAFKA, `host:port` of a broker (plain text) that lets us make and delete topics, also on that one.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

import pytest

from daemon.ports.bus import Inbox, Outlet
from sandbox.platform.child_processes import start
from tests.contract.bus.stands import KafkaStand, MemoryStand, Stand, own_topic

GIVEN = pytest.param("given", marks=pytest.mark.e2e)


@pytest.fixture(scope="session")
def mock_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the bootstrap address of a mock broker."""
    broker = start("sandbox.kafka", [], log=tmp_path_factory.mktemp("kafka") / "log")
    yield broker.ready["bootstrap"]
    broker.stop()


@pytest.fixture
def given_broker() -> str:
    """Return the bootstrap address of the real broker."""
    address = os.environ.get("RESETD_E2E_KAFKA")
    if not address:
        pytest.skip("RESETD_E2E_KAFKA is not set")
    return address


async def _on_kafka(request: pytest.FixtureRequest, kind: str) -> AsyncIterator[KafkaStand]:
    if kind == "mock":
        yield KafkaStand(request.getfixturevalue("mock_broker"))
        return
    stand = KafkaStand(request.getfixturevalue("given_broker"))
    # Not left to the broker: it may not make topics by itself, and would not drop them.
    async with own_topic(stand.connection.bootstrap_servers, stand.topic):
        yield stand


@pytest.fixture(params=["mock", GIVEN])
async def kafka(request: pytest.FixtureRequest) -> AsyncIterator[KafkaStand]:
    """Make a stand on each broker."""
    async for stand in _on_kafka(request, request.param):
        yield stand


@pytest.fixture(params=["mock", "memory", GIVEN])
async def stand(request: pytest.FixtureRequest) -> AsyncIterator[Stand]:
    """Make a stand on each bus."""
    if request.param == "memory":
        yield MemoryStand()
        return
    async for stand in _on_kafka(request, request.param):
        yield stand


@pytest.fixture
async def inbox(stand: Stand) -> AsyncIterator[Inbox]:
    """Make an inbox that is not started."""
    inbox = stand.inbox()
    yield inbox
    await inbox.stop()


@pytest.fixture
async def outlet(stand: Stand) -> AsyncIterator[Outlet]:
    """Make an outlet that is started."""
    outlet = stand.outlet()
    await outlet.start()
    yield outlet
    await outlet.stop()
