"""C1, C2: doctor and `catalog check --cluster` say what a plan is refused for, for want of knowing who shares what."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.adapters.kubernetes.argocd import ArgoGate
from daemon.adapters.kubernetes.client import KubernetesSettings, open_kubernetes
from daemon.adapters.kubernetes.pods import KubernetesPods
from daemon.adapters.kubernetes.quiescing.quiescing import KubernetesQuiescing
from daemon.adapters.store import migrations, open_store
from daemon.engine.doctor import Doctor
from daemon.engine.resting import Resting
from schemas.api import Finding, FindingLevel
from schemas.catalog.operations import DoctorCheck
from schemas.plan import Plan
from statemachines.refusals import Refusal
from tests.integration.sharing.stand import (
    LABEL,
    OTHER_URL,
    PRODUCTION,
    SANDBOX,
    Cluster,
    catalog,
    planned,
    reader,
    use_of,
)
from tests.integration.stand.starts import forks
from tests.memory.store import MemoryStore
from tests.unit.engine.drives.loop import LoopClock


async def check(directory: Path, kubeconfig: Path, *absent: str) -> tuple[int, dict[str, Any], str]:
    """Run `resetd catalog check --cluster -o json`: exit code, report and what it says beside it."""
    file = directory / "catalog.yaml"
    file.write_text(yaml.safe_dump(catalog(*absent).catalog.model_dump(mode="json", by_alias=True)))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RESETD_")}
    done = await asyncio.to_thread(
        forks().run,
        ["catalog", "check", str(file), "--cluster", "-o", "json"],
        {**kept, "RESETD_KUBECONFIG": str(kubeconfig), "RESETD_DATA_DIR": str(directory / "data")},
        within=60,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


async def found(kubeconfig: Path, words: Sequence[str] = (), remembered: Sequence[str] = ()) -> list[Finding]:
    """What the doctor of the sandbox says of sharing."""
    loaded = catalog().catalog
    only = loaded.model_copy(
        update={"doctor": loaded.doctor.model_copy(update={"checks": (DoctorCheck.SHARING,)})}
    )
    async with (
        open_kubernetes(KubernetesSettings(kubeconfig=str(kubeconfig))) as kubernetes,
        reader(kubeconfig, catalog(), words, remembered) as facts,
    ):
        resting = Resting(KubernetesQuiescing(kubernetes, ""), MemoryStore(LoopClock()))
        doctor = Doctor(KubernetesPods(kubernetes), ArgoGate(kubernetes, ""), facts, only, resting)
        report = await doctor.examine(SANDBOX)
    return [finding for finding in report.findings if finding.check == "sharing"]


async def remember(directory: Path, environment: str) -> None:
    """Let the state database of the catalog check remember what an environment uses."""
    data = directory / "data"
    data.mkdir(exist_ok=True)
    url = f"sqlite+aiosqlite:///{data / 'state.sqlite3'}"
    await asyncio.to_thread(migrations.upgrade, url)
    async with open_store(url) as store:
        await store.remember_protected([use_of(environment)], now=datetime.now(UTC))


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
    await cluster.workload(PRODUCTION, replicas=1)
    await cluster.pods_ready(PRODUCTION)
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


@pytest.mark.parametrize("namespace", [PRODUCTION, "beta-prod", "tools"])
async def test_c1_what_is_scaled_to_0_is_told_wherever_it_refuses_a_plan(
    cluster: Cluster, admin: Path, tmp_path: Path, namespace: str
) -> None:
    """Also in a namespace without a kind: what is seen there counts, and what it uses protects."""
    await cluster.namespace(namespace)
    await cluster.workload(namespace, replicas=0)
    assert isinstance(await planned(admin), Refusal)
    code, report, _ = await check(tmp_path, admin)
    (told,) = [finding for finding in report["findings"] if finding["subject"] == f"{namespace}/app"]
    assert (code, report["seen"], told["level"]) == (1, False, "failed")
    assert f"resetd protected confirm {namespace}/app" in told["hint"]
    (same,) = [finding for finding in await found(admin) if finding.level is FindingLevel.FAILED]
    assert (same.subject, same.detail, same.hint) == (told["subject"], told["detail"], told["hint"])


async def test_c1_a_second_workload_that_nobody_can_ask_is_told(
    cluster: Cluster, admin: Path, tmp_path: Path
) -> None:
    await cluster.namespace(PRODUCTION)
    await cluster.workload(PRODUCTION, replicas=1, url=OTHER_URL)
    await cluster.pods_ready(PRODUCTION)
    assert (await check(tmp_path, admin))[0] == 0
    assert FindingLevel.FAILED not in {finding.level for finding in await found(admin)}
    await cluster.workload(PRODUCTION, name="app-old", label="app", replicas=0)
    assert isinstance(await planned(admin), Refusal)
    code, report, _ = await check(tmp_path, admin)
    (told,) = [finding for finding in report["findings"] if finding["level"] == "failed"]
    assert (code, told["subject"]) == (1, f"{PRODUCTION}/app")
    assert "Deployment app-old is scaled to 0" in told["detail"]
    assert "delete it" in told["hint"]
    assert told["detail"] in {finding.detail for finding in await found(admin)}


async def test_c1_what_is_not_ready_yet_is_told_as_what_may_pass(
    cluster: Cluster, admin: Path, tmp_path: Path
) -> None:
    await cluster.namespace(PRODUCTION)
    await cluster.workload(PRODUCTION, replicas=1, image="gone")
    await cluster.api.until(f"/api/v1/namespaces/{PRODUCTION}/pods", lambda seen: bool(seen["items"]))
    code, report, _ = await check(tmp_path, admin)
    levels = {finding["subject"]: finding["level"] for finding in report["findings"]}
    assert (code, levels[f"{PRODUCTION}/app"]) == (1, "unknown")


async def test_c1_a_pod_that_does_not_tell_its_database_is_told_by_the_doctor_who_asks_it(
    cluster: Cluster, admin: Path
) -> None:
    await cluster.namespace(PRODUCTION)
    await cluster.workload(PRODUCTION, replicas=1, url="")
    await cluster.api.pods(namespace=PRODUCTION)
    assert isinstance(await planned(admin), Refusal)
    (told,) = [finding for finding in await found(admin) if finding.level is FindingLevel.FAILED]
    assert told.subject == f"{PRODUCTION}/app"
    assert told.detail == "database app could not be read (database-unidentified)"
    assert f"resetd plan {PRODUCTION}" in (told.hint or "")


async def test_c1_an_environment_that_shows_nothing_and_is_remembered_is_told(
    cluster: Cluster, admin: Path, tmp_path: Path
) -> None:
    await cluster.namespace("beta-prod")
    assert isinstance(await planned(admin), Plan)
    assert (await check(tmp_path, admin))[0] == 0
    assert isinstance(await planned(admin, remembered=("beta-prod",)), Refusal)
    (told,) = [
        one for one in await found(admin, remembered=("beta-prod",)) if one.level is FindingLevel.FAILED
    ]
    assert told.subject == "beta-prod/app"
    await remember(tmp_path, "beta-prod")
    code, report, _ = await check(tmp_path, admin)
    (same,) = [finding for finding in report["findings"] if finding["level"] == "failed"]
    assert (code, same["subject"], same["detail"]) == (1, told.subject, told.detail)


async def test_c3_what_a_person_answers_for_is_told_and_refuses_nothing(
    cluster: Cluster, admin: Path
) -> None:
    await cluster.namespace(PRODUCTION)
    await cluster.workload(PRODUCTION, replicas=0)
    key = f"{PRODUCTION}/database/7001/app"
    for word in (f"{PRODUCTION}/app", key):
        assert isinstance(await planned(admin, words=(word,)), Plan)
        (told,) = [one for one in await found(admin, words=(word,)) if one.subject == f"{PRODUCTION}/app"]
        assert told.level is FindingLevel.WARNING
        assert "bob says what it uses, until" in told.detail
    (told,) = [
        one
        for one in await found(admin, words=(f"{PRODUCTION}/database/7002/app",))
        if one.subject == f"{PRODUCTION}/app"
    ]
    assert told.level is FindingLevel.FAILED


async def test_without_a_state_database_the_catalog_check_says_what_it_did_not_look_at(
    cluster: Cluster, admin: Path, tmp_path: Path
) -> None:
    assert cluster.made == []
    code, report, _ = await check(tmp_path, admin)
    (told,) = report["findings"]
    assert (code, told["subject"], told["level"]) == (0, "memory", "warning")
    assert "resetd doctor" in told["hint"]


async def test_without_a_cluster_the_catalog_check_says_so(tmp_path: Path) -> None:
    code, _, said = await check(tmp_path, tmp_path / "none")
    assert code == 5
    assert "Kubernetes" in said


@pytest.mark.parametrize(("label", "level"), [("app", FindingLevel.OK), ("web", FindingLevel.FAILED)])
async def test_c2_the_doctor_of_a_sandbox_says_what_makes_its_sharing_unknown(
    cluster: Cluster, admin: Path, label: str, level: FindingLevel
) -> None:
    await cluster.namespace(PRODUCTION)
    await cluster.workload(PRODUCTION, label=label, replicas=1)
    if label == "app":
        await cluster.pods_ready(PRODUCTION)
    assert level in {finding.level for finding in await found(admin)}
