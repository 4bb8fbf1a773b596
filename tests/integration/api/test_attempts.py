"""What follows when an attempt ends badly: causes, checks, and whether the command runs again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from daemon.config.catalog_file import load_catalog
from daemon.ports.errors import TemporaryError
from schemas.catalog.catalog import Catalog
from schemas.plan import NOTHING_LEFT
from schemas.reasons import Reason
from tests.integration.api.stand import Stand, running

REVERT = "db:revert-migration"
CHECK = '*"[X]"*) exit 0'
NEVER = "seed:reset"


async def restarted_under(
    stand: Stand, command: str, service: str, reason: str, mode: str = "refresh"
) -> dict[str, Any]:
    """Ask for a reset, and restart a container while the command runs in it."""
    stand.held[command] = asyncio.Event()
    reset = await stand.asked(mode=mode)
    await stand.until_launched(command)
    del stand.held[command]
    await stand.pods.restart(stand.services["qa-sandbox", service], reason)
    return reset


@pytest.mark.parametrize(
    ("reason", "cause"),
    [("OOMKilled", "out-of-memory"), ("Evicted", "evicted"), ("Error", "command-interrupted")],
)
async def test_a_container_that_ends_under_a_command_says_why_and_never_means_never(
    stand: Stand, reason: str, cause: str
) -> None:
    reset = await restarted_under(stand, NEVER, "los-integrations", reason)
    failed = await stand.until(reset, "failed", "done", "needs-operator")
    assert (failed["state"], failed["cause"]) == ("failed", cause)
    assert failed["hint"]
    assert stand.runs(NEVER) == 1
    assert failed["attempts"][-1]["outcome"]["kind"] == "interrupted"


async def test_what_is_safe_runs_again_after_an_interruption(stand: Stand) -> None:
    reset = await restarted_under(stand, "seed:system", "los-core-api", "Error")
    await stand.until(reset, "done")
    assert stand.runs("seed:system") == 2


async def test_a_command_past_its_time_limit_is_stopped_and_says_so(tmp_path: Path) -> None:
    async with running(tmp_path, catalog=hasty("los-core-api", 1.0)) as stand:
        stand.held["seed:system"] = asyncio.Event()
        reset = await stand.asked()
        failed = await stand.until(reset, "failed", "done", "needs-operator")
        assert (failed["state"], failed["cause"]) == ("failed", "command-timed-out")
        assert "stopped after 1 s" in failed["detail"]
        assert stand.runs("seed:system") == 1


def hasty(service: str, seconds: float) -> Catalog:
    """The shipped catalog, with this time limit for every step of the service."""
    written = load_catalog().catalog.model_dump(mode="json", by_alias=True)
    for described in written["services"]:
        if described["name"] == service:
            for steps in described["steps"].values():
                for step in steps:
                    step["timeout"] = seconds
    return Catalog.model_validate(written)


class TestWhatRunsAgainAfterACheck:
    async def interrupted(self, stand: Stand) -> dict[str, Any]:
        return await restarted_under(stand, REVERT, "workflow-api", "Error", mode="wipe")

    async def test_runs_again_where_the_check_says_so(self, stand: Stand) -> None:
        stand.codes[CHECK] = 0
        reset = await self.interrupted(stand)
        await stand.until(reset, "done", "failed")
        assert stand.runs(REVERT) >= 2

    async def test_is_done_where_the_check_says_that_nothing_is_left(self, stand: Stand) -> None:
        stand.codes[CHECK] = NOTHING_LEFT
        reset = await self.interrupted(stand)
        await stand.until(reset, "done")
        assert stand.runs(REVERT) == 1

    async def test_is_neither_run_nor_called_done_until_the_check_can_tell(self, stand: Stand) -> None:
        stand.codes[CHECK] = 2
        reset = await self.interrupted(stand)
        async with asyncio.timeout(30), stand.client("oli") as client:
            ended: list[dict[str, Any]] = []
            while len(ended) < 2:
                await asyncio.sleep(0.02)
                found = (await client.get(f"/resets/{reset['id']}")).json()
                ended = [
                    attempt
                    for attempt in found["attempts"]
                    if "revert" in attempt["step"] and attempt["outcome"] is not None
                ]
        assert ended[-1]["outcome"]["cause"] == "check-failed"
        assert (found["state"], stand.runs(REVERT)) == ("seeding", 1)
        stand.codes[CHECK] = NOTHING_LEFT
        await stand.until(reset, "done")
        assert stand.runs(REVERT) == 1

    async def test_is_checked_also_when_the_attempt_before_was_never_launched(self, stand: Stand) -> None:
        stand.codes[CHECK] = NOTHING_LEFT
        stand.pods.fail("prepare", TemporaryError(Reason.POD_NOT_READY, "not yet"))
        stand.held[REVERT] = asyncio.Event()
        reset = await stand.asked(mode="wipe")
        async with asyncio.timeout(60):
            while not stand.runs(REVERT):  # noqa: ASYNC110 - the pods in memory send no event
                await asyncio.sleep(0.02)
        del stand.held[REVERT]
        stand.pods.fail("read", TemporaryError(Reason.POD_NOT_READY, "not yet"))
        await stand.pods.restart(stand.services["qa-sandbox", "workflow-api"], "Error")
        await stand.until(reset, "done", "failed")
        assert stand.runs(REVERT) == 1
