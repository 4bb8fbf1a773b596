"""A wipe that quiesces, on the whole platform: nothing else starts meanwhile, and all of it is given back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sandbox.platform.platform import Platform
from sandbox.services.standins.controls import Control
from tests.integration.people.asking import ENVIRONMENT, SOON, act, ask, until_running
from tests.integration.stand.harness import Harness, running
from tests.integration.stand.shipped_catalog import quiescing_catalog
from tests.integration.stand.waiting import wait_for

SEQUENCE, UI = "sequence-builder-api", "ui-builder-api"
WIPED = f"seed.{SEQUENCE}.reset"


@contextmanager
def quiescing(platform: Platform, directory: Path) -> Iterator[Harness]:
    """A daemon with the shipped catalog, which quiesces wipes."""
    file = quiescing_catalog(directory)
    with running(platform, directory / "daemon", settings={"RESETD_CATALOG": str(file)}) as harness:
        yield harness


def deployment(platform: Platform, service: str) -> dict[str, Any]:
    """A service's Deployment."""
    found = asyncio.run(platform.cluster.deployments(ENVIRONMENT))
    return next(one for one in found if one["metadata"]["name"] == service)


def replicas(platform: Platform, *services: str) -> list[int]:
    """How many pods these services ask for."""
    return [int(deployment(platform, service)["spec"]["replicas"]) for service in services]


def syncs(platform: Platform) -> bool:
    """Whether ArgoCD syncs the environment by itself."""
    application = asyncio.run(platform.cluster.application(ENVIRONMENT))
    automated = application["spec"]["syncPolicy"].get("automated")
    return automated is not None and automated.get("enabled") is not False


def test_services_are_down_while_their_databases_are_rebuilt_also_when_the_daemon_is_killed_in_the_middle(
    platform: Platform, tmp_path: Path
) -> None:
    platform.dirty(ENVIRONMENT)
    platform.control(ENVIRONMENT, SEQUENCE, **{"prisma migrate reset": Control(seconds=4.0)})
    with quiescing(platform, tmp_path) as harness:
        reference = ask(harness, SEQUENCE, UI, mode="wipe", git=False)
        until_running(harness, reference, WIPED)
        assert replicas(platform, SEQUENCE, UI, "workflow-api") == [0, 0, 1]
        assert not syncs(platform)
        harness.daemon.kill()
        harness.start()
        harness.wait_state(reference, "done")
        assert replicas(platform, SEQUENCE, UI) == [1, 1]
        assert syncs(platform)
        assert not harness.twice()
        names = [one["name"] for one in harness.reset(reference)["steps"]]
        assert names[0] == f"quiesce.{ENVIRONMENT}.application.{ENVIRONMENT}"
        assert names[-1] == f"release.health.{ENVIRONMENT}"
        assert "resetd" not in json.dumps(deployment(platform, SEQUENCE)["metadata"])


def test_a_person_who_scales_up_in_the_middle_stops_the_reset_and_a_resume_quiesces_again(
    platform: Platform, tmp_path: Path
) -> None:
    platform.control(ENVIRONMENT, SEQUENCE, **{"prisma migrate reset": Control(seconds=4.0)})
    with quiescing(platform, tmp_path) as harness:
        reference = ask(harness, SEQUENCE, UI, mode="wipe", git=False)
        until_running(harness, reference, WIPED)
        asyncio.run(platform.cluster.scale(ENVIRONMENT, UI, 1))
        failed = harness.wait_state(reference, "failed")
        assert failed["cause"] == "quiesce-undone"
        assert f"Deployment {ENVIRONMENT}/{UI} was set free by somebody" in failed["detail"]
        # Something was destroyed: the services stay down until the reset goes on.
        assert replicas(platform, SEQUENCE) == [0]
        platform.clear_controls()
        act(harness, reference, "resume", reason="it was me")
        harness.wait_state(reference, "done")
        assert replicas(platform, SEQUENCE, UI) == [1, 1]


def test_a_reset_that_is_cancelled_before_it_destroyed_anything_gives_the_services_back(
    platform: Platform, tmp_path: Path
) -> None:
    platform.clear_controls()
    with quiescing(platform, tmp_path) as harness:
        platform.control(ENVIRONMENT, UI, **{"prisma db execute": Control(seconds=20.0)})
        reference = ask(harness, UI, mode="wipe", git=False)
        wait_for(lambda: replicas(platform, UI) == [0], "it is quiesced", within=SOON)
        act(harness, reference, "cancel", reason="not today")
        harness.wait_state(reference, "cancelled")
        wait_for(lambda: replicas(platform, UI) == [1] and syncs(platform), "it is given back", within=SOON)


pytestmark = pytest.mark.timeout(300)
