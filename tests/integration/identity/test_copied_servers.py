"""A copy of a server has its identifier, databases, roles and passwords: nothing is destroyed on their word."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.postgres.fronts import turned
from schemas.reasons import Reason
from schemas.requests import Mode
from schemas.resets import ResetState
from tests.integration.identity.stand import PSQL, Pair, Services, services, two_servers


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with two_servers(tmp_path_factory.mktemp("servers")) as pair:
        yield pair


@pytest.fixture
def pair(servers: Pair) -> Pair:
    servers.fill()
    return servers


@pytest.mark.parametrize("mode", list(Mode))
async def test_b1_a_service_whose_address_is_that_of_a_copied_server_stops_the_reset_in_every_mode(
    pair: Pair, tmp_path: Path, mode: Mode
) -> None:
    engine = Services(tmp_path, services(), alpha=pair.url(pair.first.port), beta=pair.url(pair.second.port))
    reset = await engine.reset_in(mode)
    assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.DATABASE_MISMATCH)
    assert reset.hint
    assert (engine.emptied, pair.rows()) == ([], (3, 3))


@pytest.mark.parametrize("mode", list(Mode))
async def test_b1_two_services_that_share_one_database_are_reset(
    pair: Pair, tmp_path: Path, mode: Mode
) -> None:
    url = pair.url(pair.first.port)
    engine = Services(tmp_path, services(), alpha=url, beta=f"{url}?schema=public&connection_limit=5")
    reset = await engine.reset_in(mode)
    assert (reset.state, reset.cause) == (ResetState.DONE, None)
    assert (engine.emptied, pair.rows()) == (["alpha", "beta"], (0, 3))


@pytest.mark.parametrize(
    "handshake",
    [
        pytest.param([*PSQL, "--command=SELECT pg_notify('resetd', 'nobody')"], id="another nonce"),
        pytest.param([*PSQL, "--command=\\q"], id="nothing"),
        pytest.param([*PSQL, "--command", "BEGIN", "--command", "{statement}"], id="never committed"),
        pytest.param(
            ["psql", "--quiet", "--single-transaction", "--file=-", "--command=ROLLBACK"], id="rolled back"
        ),
    ],
)
async def test_a4_a_real_tool_that_exits_0_and_sent_nothing_has_shown_nothing(
    pair: Pair, tmp_path: Path, handshake: list[str]
) -> None:
    url = pair.url(pair.first.port)
    engine = Services(tmp_path, services(beta=handshake), alpha=url, beta=url)
    reset = await engine.reset_in(Mode.WIPE)
    assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.DATABASE_MISMATCH)
    assert (engine.emptied, pair.rows()) == ([], (3, 3))


async def test_b2_an_address_that_is_turned_to_a_copy_after_the_handshake_stops_the_next_launch(
    pair: Pair, tmp_path: Path
) -> None:
    async with turned(pair.first.port) as front:
        engine = Services(tmp_path, services(), alpha=pair.url(front.port), beta=pair.url(front.port))

        async def turn() -> None:
            front.leads_to = pair.second.port

        engine.meanwhile["alpha"] = turn
        reset = await engine.reset_in(Mode.WIPE)
    assert (reset.state, reset.cause, reset.stopped_at) == (
        ResetState.FAILED,
        Reason.DATABASE_MISMATCH,
        "migrate.beta.empty",
    )
    assert (engine.emptied, pair.rows()) == (["alpha"], (0, 3))


async def test_b2_an_address_of_one_service_alone_that_is_turned_stops_that_services_launch(
    pair: Pair, tmp_path: Path
) -> None:
    async with turned(pair.first.port) as front:
        engine = Services(tmp_path, services(), alpha=pair.url(pair.first.port), beta=pair.url(front.port))

        async def turn() -> None:
            front.leads_to = pair.second.port

        engine.meanwhile["alpha"] = turn
        reset = await engine.reset_in(Mode.REFRESH)
    assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.DATABASE_MISMATCH)
    assert (engine.emptied, pair.rows()) == (["alpha"], (0, 3))


async def test_b2_a_front_that_stays_where_it_is_holds_nothing_up(pair: Pair, tmp_path: Path) -> None:
    async with turned(pair.first.port) as front:
        engine = Services(tmp_path, services(), alpha=pair.url(front.port), beta=pair.url(front.port))
        reset = await engine.reset_in(Mode.SEED)
    assert (reset.state, reset.cause) == (ResetState.DONE, None)
    assert (engine.emptied, pair.rows()) == (["alpha", "beta"], (0, 3))


async def test_b2_a_failover_that_ends_every_session_stops_the_next_launch(
    pair: Pair, tmp_path: Path
) -> None:
    async with turned(pair.first.port) as front:
        engine = Services(tmp_path, services(), alpha=pair.url(front.port), beta=pair.url(front.port))

        async def fail_over() -> None:
            front.leads_to = pair.second.port
            pair.first.restart()

        engine.meanwhile["alpha"] = fail_over
        reset = await engine.reset_in(Mode.WIPE)
    assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.DATABASE_MISMATCH)
    assert (engine.emptied, pair.rows()) == (["alpha"], (0, 3))


async def test_b2_a_daemon_that_was_killed_does_not_go_on_in_a_copy_that_answers_by_then(
    pair: Pair, tmp_path: Path
) -> None:
    async with turned(pair.first.port) as front:
        engine = Services(tmp_path, services(), alpha=pair.url(front.port), beta=pair.url(front.port))
        restarted = asyncio.Event()
        engine.meanwhile["alpha"] = restarted.wait
        await engine.request(Mode.WIPE)
        await engine.drive_until(lambda: "alpha" in engine.emptied)
        front.leads_to = pair.second.port
        restarted.set()
        reset = await engine.drive()
    assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.DATABASE_MISMATCH)
    assert (engine.emptied, pair.rows()) == (["alpha"], (0, 3))
