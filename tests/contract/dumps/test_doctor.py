"""What `resetd doctor` says of the store of dumps."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from daemon.adapters.system.clock import SystemClock
from daemon.engine.doctor import Doctor
from daemon.engine.resting import Resting
from daemon.ports.dump_store import DumpStore
from sandbox.s3.server import S3
from schemas.api import Finding, FindingLevel
from schemas.catalog.catalog import Catalog
from schemas.catalog.operations import Doctor as Checks
from tests.contract.dumps.conftest import bucket_of, encrypted
from tests.memory.pods import MemoryPods
from tests.memory.quiescing import MemoryQuiescing
from tests.memory.store import MemoryStore


class NoServices:
    """A catalog that has nothing else looked at."""

    doctor = Checks(checks=())
    in_order = ()


async def found(store: DumpStore) -> tuple[bool, Finding]:
    nobody, clock = cast("Any", None), SystemClock()
    resting = Resting(MemoryQuiescing(MemoryPods(), clock.now), MemoryStore(clock))
    doctor = Doctor(nobody, nobody, nobody, cast("Catalog", NoServices()), resting, store)
    report = await doctor.examine("qa-sandbox")
    [finding] = report.findings
    return report.healthy, finding


async def test_a_fit_store_is_well(store: DumpStore) -> None:
    healthy, finding = await found(store)
    assert healthy
    assert (finding.check, finding.level) == ("backup-store", FindingLevel.OK)


async def test_the_doctor_finds_a_store_that_ignores_the_condition(s3: S3, tmp_path: Path) -> None:
    s3.bucket.faults.ignores_conditions = True
    healthy, finding = await found(bucket_of(s3, tmp_path))
    assert not healthy
    assert finding.level is FindingLevel.FAILED
    assert "replaced" in finding.detail
    assert finding.hint


async def test_the_doctor_finds_a_store_that_does_not_answer(s3: S3, tmp_path: Path) -> None:
    elsewhere = S3("http://127.0.0.1:9", s3.name, s3.bucket)
    healthy, finding = await found(bucket_of(elsewhere, tmp_path, retries=0))
    assert not healthy
    assert finding.check == "backup-store"


async def test_the_doctor_tells_who_lost_the_identity(s3: S3, tmp_path: Path) -> None:
    store = encrypted(bucket_of(s3, tmp_path), tmp_path)
    (tmp_path / "identities").unlink()
    healthy, finding = await found(store)
    assert not healthy
    assert "RESETD_BACKUP_AGE_IDENTITIES_FILE" in f"{finding.detail} {finding.hint}"
