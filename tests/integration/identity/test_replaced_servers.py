"""A copied server takes the place of the first one under its address: nothing is written or verified there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sandbox.postgres import ADDRESS
from sandbox.postgres.fronts import Turned, turned
from schemas.reasons import Reason
from schemas.requests import Mode
from schemas.resets import ActKind, ResetState
from tests.integration.identity.stand import Pair, Services, services, two_servers

GENTLE: dict[str, Any] = {"destructive": False, "checks": [{"rows": {"table": ["emptied"]}}]}
"""Steps of which the catalog says that no backup is needed to bring back what they change."""
VERIFY_ROWS = "verify.alpha.rows"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with two_servers(tmp_path_factory.mktemp("servers")) as pair:
        yield pair


@pytest.fixture
def pair(servers: Pair) -> Pair:
    servers.fill()
    return servers


def replacing(pair: Pair, front: Turned) -> Callable[[], Awaitable[None]]:
    """The copy answers under the address, and every session with the first server is over."""

    async def replace() -> None:
        front.leads_to = pair.second.port
        pair.first.restart()

    return replace


@pytest.mark.parametrize("mode", [Mode.SEED, Mode.REFRESH])
async def test_b2_a_seed_or_a_migration_that_destroys_nothing_writes_in_no_server_that_took_the_firsts_place(
    pair: Pair, tmp_path: Path, mode: Mode
) -> None:
    async with turned(pair.first.port) as front:
        url = pair.url(front.port)
        engine = Services(tmp_path, services(GENTLE), alpha=url, beta=url)
        if mode is Mode.SEED:
            engine.afterwards["alpha"] = replacing(pair, front)
        else:
            engine.meanwhile["alpha"] = replacing(pair, front)
        reset = await engine.reset_in(mode)
    assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.DATABASE_MISMATCH)
    assert "resetd resume" in (reset.hint or "")
    assert (engine.emptied, pair.rows()) == (["alpha"], (0, 3))


async def test_b2_a_server_that_was_only_started_again_is_written_to_once_a_person_resumes_with_a_new_dump(
    pair: Pair, tmp_path: Path
) -> None:
    url = pair.url(pair.first.port)
    engine = Services(tmp_path, services(GENTLE), alpha=url, beta=url)

    async def restart() -> None:
        pair.first.restart()

    engine.afterwards["alpha"] = restart
    assert (await engine.reset_in(Mode.SEED)).cause is Reason.DATABASE_MISMATCH
    assert engine.emptied == ["alpha"]
    await engine.act(ActKind.RESUME)
    assert (await engine.drive()).state is ResetState.DONE
    assert (engine.emptied, pair.rows()) == (["alpha", "beta"], (0, 3))


@pytest.mark.parametrize("filled", [True, False])
async def test_b2_verify_passes_and_fails_on_no_rows_of_a_copy_that_took_the_firsts_place(
    pair: Pair, tmp_path: Path, filled: bool
) -> None:
    async with turned(pair.first.port) as front:
        url = pair.url(front.port)
        engine = Services(tmp_path, services({"checks": GENTLE["checks"]}), alpha=url, beta=url)
        with psycopg.connect(pair.url(pair.second.port), hostaddr=ADDRESS) as connection:
            connection.execute("TRUNCATE emptied")
            if filled:
                connection.execute("INSERT INTO emptied VALUES ('somebody')")

        async def lead_away() -> None:
            front.leads_to = (
                pair.second.port
            )  # the first server lives on, and so does the daemon's witness in it

        engine.afterwards["beta"] = lead_away
        reset = await engine.reset_in(Mode.REFRESH)
    assert (reset.state, reset.cause, reset.stopped_at) == (
        ResetState.FAILED,
        Reason.DATABASE_MISMATCH,
        VERIFY_ROWS,
    )


async def test_b2_a_check_after_a_step_is_met_by_no_rows_of_a_copy(pair: Pair, tmp_path: Path) -> None:
    async with turned(pair.first.port) as front:
        url = pair.url(front.port)
        engine = Services(tmp_path, services({"checks": GENTLE["checks"]}), alpha=url, beta=url)
        with psycopg.connect(pair.url(pair.second.port), hostaddr=ADDRESS) as connection:
            connection.execute("INSERT INTO emptied VALUES ('somebody')")

        async def lead_away() -> None:
            front.leads_to = pair.second.port

        engine.meanwhile["alpha"] = lead_away
        reset = await engine.reset_in(Mode.SEED)
    assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.DATABASE_MISMATCH)
    assert "can't tell" in (reset.detail or "")
    assert engine.emptied == ["alpha"]
