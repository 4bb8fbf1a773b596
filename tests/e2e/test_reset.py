"""Whole resets on a real Kubernetes, by a daemon whose account has the shipped rights and no more."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.platform.platform import Platform
from sandbox.services.standins.controls import Control
from tests.e2e.cluster import Parts, RealCluster
from tests.integration.people.asking import (
    ENVIRONMENT,
    SEEDED,
    SOON,
    ask,
    attempts,
    launched,
    left_running,
    until_running,
)
from tests.integration.stand.harness import running
from tests.integration.stand.in_holders import holder_catalog
from tests.integration.stand.waiting import wait_for

pytestmark = pytest.mark.e2e
SEQUENCE, UI = "sequence-builder-api", "ui-builder-api"
WITHIN = 300.0
Figures = Callable[[str, object], None]
PARTS = ("kube-apiserver", "kubelet", "containerd")


@pytest.fixture(scope="module")
def kubeconfig(standins: Platform, kubeconfig: str) -> str:
    """The daemon's account, in the environment with the stand-ins."""
    assert standins
    return kubeconfig


@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", ["refresh", "wipe"])
def test_a_whole_reset_in_the_services_own_pods(
    platform: Platform, kubeconfig: str, tmp_path: Path, mode: str, record_property: Figures
) -> None:
    platform.dirty(ENVIRONMENT)
    with running(platform, tmp_path, settings={"RESETD_KUBECONFIG": kubeconfig}) as harness:
        began = time.monotonic()
        reset = harness.wait_state(ask(harness, mode=mode), "done", within=WITHIN)
        record_property("seconds", time.monotonic() - began)
        counts = harness.launches(reset["id"])
        assert len(counts) > 10
        assert set(counts.values()) == {1}
        assert not harness.twice()


@pytest.mark.timeout(900)
def test_a_whole_reset_in_holders(
    platform: Platform, real: RealCluster, kubeconfig: str, tmp_path: Path, record_property: Figures
) -> None:
    platform.dirty(ENVIRONMENT)
    settings = {"RESETD_KUBECONFIG": kubeconfig, "RESETD_CATALOG": str(holder_catalog(tmp_path))}
    with running(platform, tmp_path / "daemon", settings=settings) as harness:
        began = time.monotonic()
        reset = harness.wait_state(ask(harness, mode="refresh"), "done", within=WITHIN)
        record_property("seconds", time.monotonic() - began)
        assert set(harness.launches(reset["id"]).values()) == {1}
        ran = {
            one.pod
            for one in platform.journal_reader().outermost()
            if (one.attempt or "").startswith(f"{reset['id']}/")
        }
        assert {one.partition(reset["id"])[0] for one in ran} == {"resetd-"}

        def left() -> list[str]:
            pods = real.core().list_namespaced_pod(ENVIRONMENT, label_selector="resetd.fuse.io/reset").items
            return [one.metadata.name for one in pods]

        wait_for(lambda: not left(), "its holders are gone", within=SOON)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("place", ["service", "holder"])
def test_a_command_outlives_every_part_of_the_cluster_and_is_found_again_once(
    platform: Platform, kubeconfig: str, parts: Parts, tmp_path: Path, place: str
) -> None:
    settings = {"RESETD_KUBECONFIG": kubeconfig}
    if place == "holder":
        settings["RESETD_CATALOG"] = str(holder_catalog(tmp_path))
    platform.control(ENVIRONMENT, SEQUENCE, seed=Control(seconds=90.0))
    with running(platform, tmp_path / "daemon", settings=settings) as harness:
        reference = ask(harness, SEQUENCE)
        command = until_running(harness, reference, SEEDED[SEQUENCE])
        for part in PARTS:
            parts.kill(part)
            parts.bring_back()
            assert harness.reset(reference)["state"] == "seeding", f"{part}: {harness.reset(reference)}"
        harness.daemon.kill()
        before = harness.platform.journal_reader()
        assert next(one for one in before.launches if one.id == command.id).running
        harness.start()
        harness.wait_state(reference, "done", within=WITHIN)
        assert launched(harness, reference, SEEDED[SEQUENCE]) == [1]
        (attempt,) = attempts(harness, reference, SEEDED[SEQUENCE])
        assert (attempt["outcome"]["kind"], attempt["outcome"]["exitCode"]) == ("succeeded", 0)


@pytest.mark.timeout(600)
def test_a_cancelled_seed_leaves_no_process_in_its_pod_also_when_it_is_deaf(
    platform: Platform, kubeconfig: str, tmp_path: Path
) -> None:
    platform.control(ENVIRONMENT, UI, seed=Control(seconds=120.0, ignore_term=True))
    with running(platform, tmp_path, settings={"RESETD_KUBECONFIG": kubeconfig}) as harness:
        reference = ask(harness, UI)
        until_running(harness, reference, SEEDED[UI])
        assert harness.act(reference, "cancel", reason="not today").status_code == 202
        harness.wait_state(reference, "cancelled", within=WITHIN)
        assert not left_running(harness, reference)
