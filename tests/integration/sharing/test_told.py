"""C2: a selector that matches nothing in a protected environment is said by doctor and `catalog check --cluster`."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.adapters.kubernetes.argocd import ArgoGate
from daemon.adapters.kubernetes.client import KubernetesSettings, open_kubernetes
from daemon.adapters.kubernetes.pods import KubernetesPods
from daemon.engine.doctor import Doctor
from schemas.api import Finding, FindingLevel
from schemas.catalog.operations import DoctorCheck
from tests.integration.sharing.stand import LABEL, PRODUCTION, SANDBOX, Cluster, catalog


async def check(directory: Path, kubeconfig: Path, *absent: str) -> tuple[int, dict[str, Any], str]:
    """Run `resetd catalog check --cluster -o json`: exit code, report and what it says beside it."""
    file = directory / "catalog.yaml"
    file.write_text(yaml.safe_dump(catalog(*absent).catalog.model_dump(mode="json", by_alias=True)))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RESETD_")}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "daemon", "catalog", "check", str(file), "--cluster", "-o", "json"],
        env={**kept, "KUBECONFIG": str(kubeconfig)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


async def found(kubeconfig: Path) -> list[Finding]:
    """What the doctor of the sandbox says of sharing."""
    loaded = catalog().catalog
    only = loaded.model_copy(
        update={"doctor": loaded.doctor.model_copy(update={"checks": (DoctorCheck.SHARING,)})}
    )
    async with open_kubernetes(KubernetesSettings(kubeconfig=str(kubeconfig))) as kubernetes:
        report = await Doctor(KubernetesPods(kubernetes), ArgoGate(kubernetes, ""), only).examine(SANDBOX)
    return [finding for finding in report.findings if finding.check == "sharing"]


async def test_c2_the_catalog_check_names_the_service_that_is_not_seen_and_exits_with_1(
    cluster: Cluster, admin: Path, tmp_path: Path
) -> None:
    await cluster.namespace(PRODUCTION)
    await cluster.workload(PRODUCTION, label="web")
    code, report, _ = await check(tmp_path, admin)
    assert (code, report["seen"]) == (1, False)
    (unseen,) = [finding for finding in report["findings"] if finding["level"] == "failed"]
    assert unseen["subject"] == f"{PRODUCTION}/app"
    assert f"the labels of Deployment app are {LABEL}=web" in unseen["detail"]
    assert "selector" in unseen["hint"]


async def test_where_all_is_seen_or_said_to_be_absent_the_catalog_check_exits_with_0(
    cluster: Cluster, admin: Path, tmp_path: Path
) -> None:
    await cluster.namespace(PRODUCTION)
    assert (await check(tmp_path, admin, PRODUCTION))[0] == 0
    await cluster.workload(PRODUCTION)
    code, report, _ = await check(tmp_path, admin)
    assert (code, report["seen"]) == (0, True)


async def test_c5_the_catalog_check_tells_of_what_may_not_be_read_and_fails_where_it_is_protected(
    cluster: Cluster, account: Path, tmp_path: Path
) -> None:
    await cluster.namespace("cert-manager")
    await cluster.grant(SANDBOX)
    code, report, _ = await check(tmp_path, account)
    levels = {finding["subject"]: finding["level"] for finding in report["findings"]}
    assert (code, levels["cert-manager"]) == (0, "warning")
    await cluster.namespace(PRODUCTION)
    code, report, _ = await check(tmp_path, account)
    levels = {finding["subject"]: finding["level"] for finding in report["findings"]}
    assert (code, levels[PRODUCTION]) == (1, "failed")


async def test_without_a_cluster_the_catalog_check_says_so(tmp_path: Path) -> None:
    code, _, said = await check(tmp_path, tmp_path / "none")
    assert code == 5
    assert "Kubernetes" in said


@pytest.mark.parametrize(("label", "level"), [("app", FindingLevel.OK), ("web", FindingLevel.FAILED)])
async def test_c2_the_doctor_of_a_sandbox_says_what_makes_its_sharing_unknown(
    cluster: Cluster, admin: Path, label: str, level: FindingLevel
) -> None:
    await cluster.namespace(PRODUCTION)
    await cluster.workload(PRODUCTION, label=label)
    assert level in {finding.level for finding in await found(admin)}
