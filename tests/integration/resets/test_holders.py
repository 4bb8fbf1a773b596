"""Resets whose commands run in holders, and steps whose effect lives in a container, on the whole platform."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from sandbox.journal import Launch
from sandbox.platform.platform import Platform
from sandbox.services.standins.controls import Control
from tests.integration.people.asking import (
    ENVIRONMENT,
    SEEDED,
    SOON,
    act,
    ask,
    attempts,
    left_running,
    until_running,
)
from tests.integration.stand.harness import RESET_WITHIN, Harness, running
from tests.integration.stand.in_holders import holder_catalog
from tests.integration.stand.outages import kill_container
from tests.integration.stand.waiting import wait_for

SEQUENCE = "sequence-builder-api"
DATA_BUILDER = "data-builder-api"


@contextmanager
def in_holders(platform: Platform, directory: Path, *, leaves_a_child: bool = False) -> Iterator[Harness]:
    """A daemon with the shipped catalog, but all commands in holders, and if asked a seed that leaves a child."""
    file = holder_catalog(directory, leaves_a_child=SEQUENCE if leaves_a_child else None)
    with running(platform, directory / "daemon", settings={"RESETD_CATALOG": str(file)}) as harness:
        yield harness


def holders(platform: Platform, reset_id: str) -> list[dict[str, Any]]:
    """The holder pods of a reset."""
    found = asyncio.run(platform.cluster.pods(ENVIRONMENT))
    return [one for one in found if one["metadata"].get("labels", {}).get("resetd.fuse.io/reset") == reset_id]


def marked(reset_id: str) -> list[str]:
    """Processes of this machine that carry the marker of one of the reset's attempts."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"RESETD_ATTEMPT={reset_id}/".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


def launches(harness: Harness, reset_id: str) -> list[Launch]:
    """Outermost launches of the reset's attempts."""
    return [
        one
        for one in harness.platform.journal_reader().outermost()
        if (one.attempt or "").startswith(f"{reset_id}/")
    ]


def test_a_whole_reset_in_holders_leaves_the_services_alone_and_no_holder_behind(
    platform: Platform, tmp_path: Path
) -> None:
    platform.dirty(ENVIRONMENT)
    with in_holders(platform, tmp_path) as harness:
        reset = harness.wait_state(ask(harness, mode="refresh"), "done")
        ran = launches(harness, reset["id"])
        assert {one.pod for one in ran} == {f"resetd-{reset['id']}-{one.service}" for one in ran}
        assert len({one.service for one in ran}) == 6
        assert not harness.twice()
        wait_for(lambda: not holders(platform, reset["id"]), "its holders are gone", within=SOON)


def test_a_command_in_a_holder_is_found_again_and_a_cancelled_one_leaves_neither_child_nor_holder(
    platform: Platform, tmp_path: Path
) -> None:
    platform.control(ENVIRONMENT, SEQUENCE, seed=Control(seconds=60.0, ignore_term=True))
    with in_holders(platform, tmp_path, leaves_a_child=True) as harness:
        reference = ask(harness, SEQUENCE)
        until_running(harness, reference, SEEDED[SEQUENCE])
        reset_id = harness.reset(reference)["id"]
        assert len(holders(platform, reset_id)) == 1
        assert any("sleep 100000" in one for one in marked(reset_id))
        harness.daemon.kill()
        harness.start()
        cancelled(harness, reference)
        wait_for(lambda: not holders(platform, reset_id), "its holder is gone", within=SOON)
        platform.clear_controls()
        act(harness, reference, "resume")
        # The seed itself is over soon; what it left behind is a part of it.
        wait_for(lambda: any("sleep 100000" in one for one in marked(reset_id)), "its child", within=SOON)
        assert len(holders(platform, reset_id)) == 1
        cancelled(harness, reference)
        assert [len(attempts(harness, reference, SEEDED[SEQUENCE])), harness.twice()] == [2, []]


def cancelled(harness: Harness, reference: str) -> None:
    """Cancel it; when it says so, nothing that it started is left on this machine."""
    assert harness.act(reference, "cancel", reason="not today").status_code == 202
    found = harness.wait_state(reference, "cancelled")
    assert not left_running(harness, reference)
    assert not marked(found["id"])


@pytest.mark.timeout(800)
def test_models_that_were_synced_in_a_container_are_synced_again_in_the_one_that_replaced_it(
    platform: Platform, tmp_path: Path
) -> None:
    synced = "migrate.core.sync-model"
    with running(platform, tmp_path) as harness:
        platform.control(ENVIRONMENT, DATA_BUILDER, **{"db:seed:data-builder": Control(seconds=60.0)})
        reference = ask(harness, DATA_BUILDER, "los-core-api", mode="refresh")
        until_running(harness, reference, SEEDED[DATA_BUILDER])
        assert len(attempts(harness, reference, synced)) == 1
        platform.clear_controls()
        kill_container(platform, ENVIRONMENT, DATA_BUILDER)
        # The new container migrates and seeds by itself before it is ready.
        reset = harness.wait_state(reference, "done", within=2 * RESET_WITHIN)
        first, second = attempts(harness, reference, synced)
        assert first["outcome"]["facts"]["container"] != second["outcome"]["facts"]["container"]
        seeds = [one for one in launches(harness, reset["id"]) if SEEDED[DATA_BUILDER] in str(one.attempt)]
        again = [one for one in launches(harness, reset["id"]) if one.attempt == second["id"]]
        assert len(seeds) == 2
        assert seeds[0].started < again[0].started < seeds[1].started
    asyncio.run(platform.until_ready([ENVIRONMENT]))
