"""Dumps of a real server on their way into a store: what goes wrong fails the dump, and leaves nothing that counts."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from daemon.adapters.dumps.directory import DirectoryDumps
from daemon.adapters.postgres.backups import PostgresBackups
from daemon.adapters.postgres.databases import PostgresDatabases
from daemon.ports.backups import Backup
from daemon.ports.dump_store import Checksum, DumpStore
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from sandbox.s3.server import S3, serving
from schemas.reasons import Reason
from tests.contract.backups.conftest import CHANGE, ENVIRONMENT, contents_of
from tests.contract.conftest import NETWORK, PASSWORD, libpq
from tests.contract.dumps.conftest import KEYS, PREFIX, bucket_of, encrypted

# What gzip can't make small, so that a dump has several parts.
NOISE = """
INSERT INTO people (name, mood)
SELECT string_agg(md5(random()::text), ''), 'fine'
  FROM generate_series(1, 400) row, generate_series(1, 1200) word GROUP BY row
"""


@pytest.fixture
async def s3() -> AsyncIterator[S3]:
    """Serve an empty bucket."""
    async with serving("dumps", KEYS) as s3:
        yield s3


async def dumped(
    store: DumpStore,
    url: str,
    *,
    timeout: float = 60,
    backups: PostgresBackups | None = None,
    number: int = 1,
) -> Backup:
    backups = backups or PostgresBackups(store, network=NETWORK, timeout=timeout)
    async with PostgresDatabases(NETWORK).witness(url, environment=ENVIRONMENT) as witness:
        return await backups.dump(
            url,
            environment=ENVIRONMENT,
            resource=witness.identity.key,
            attempt=f"r/backup.core/{number}",
            witness=witness,
        )


def fill(url: str) -> None:
    with psycopg.connect(libpq(url), autocommit=True) as connection:
        connection.execute(NOISE)


async def test_a_dump_of_several_parts_streams_into_a_bucket_and_its_manifest_comes_last(
    url: str, s3: S3, tmp_path: Path
) -> None:
    fill(url)
    backup = await dumped(bucket_of(s3, tmp_path), url)
    assert backup.proven
    assert backup.size_bytes > 6 * 1024**2
    manifest = json.loads(s3.bucket.objects[f"{PREFIX}{backup.path}.json"].content)
    assert (manifest["sha256"], manifest["size_bytes"]) == (backup.sha256, backup.size_bytes)
    assert PASSWORD not in json.dumps(manifest)
    writes = [request for request in s3.bucket.requests if request.split()[0] in {"PUT", "POST"}]
    assert writes[-1] == f"PUT {PREFIX}{backup.path}.json"


async def test_s3_answering_500_in_the_middle_of_a_dump_fails_it_and_leaves_nothing(
    url: str, s3: S3, tmp_path: Path
) -> None:
    fill(url)
    store = bucket_of(s3, tmp_path, retries=1)
    s3.bucket.faults.part_errors = 100
    with pytest.raises(TemporaryError) as failed:
        await dumped(store, url)
    assert failed.value.reason is Reason.BACKUP_FAILED
    assert s3.bucket.objects == {}


async def test_a_bit_flipped_after_writing_fails_the_dump_before_it_counts(
    url: str, s3: S3, tmp_path: Path
) -> None:
    s3.bucket.faults.flips_a_bit = True
    with pytest.raises(PermanentError) as failed:
        await dumped(bucket_of(s3, tmp_path), url)
    assert failed.value.reason is Reason.BACKUP_UNPROVEN
    assert s3.bucket.objects == {}


async def test_s3_slow_for_an_hour_fails_the_dump_at_its_limit(url: str, s3: S3, tmp_path: Path) -> None:
    fill(url)
    s3.bucket.faults.part_seconds = 3600
    with pytest.raises(TemporaryError) as failed:
        await dumped(bucket_of(s3, tmp_path), url, timeout=3)
    assert "took more than 3 s" in failed.value.detail
    assert s3.bucket.objects == {}


async def test_a_store_that_ignores_the_condition_gets_no_dump(url: str, s3: S3, tmp_path: Path) -> None:
    s3.bucket.faults.ignores_conditions = True
    with pytest.raises(PortError) as failed:
        await dumped(bucket_of(s3, tmp_path), url)
    assert failed.value.reason is Reason.BACKUP_STORE_UNFIT
    assert s3.bucket.objects == {}


async def test_an_encrypted_dump_is_proven_and_restored_and_holds_no_row_in_clear(
    url: str, s3: S3, tmp_path: Path
) -> None:
    before = await contents_of(url)
    store = encrypted(bucket_of(s3, tmp_path), tmp_path)
    backup = await dumped(store, url)
    assert s3.bucket.objects[PREFIX + backup.path].content.startswith(b"age-encryption.org/v1\n")
    with psycopg.connect(libpq(url), autocommit=True) as connection:
        connection.execute(CHANGE)
    await PostgresBackups(store, network=NETWORK).restore(backup, url, environment=ENVIRONMENT)
    assert await contents_of(url) == before


async def test_a_daemon_that_lost_its_identity_takes_no_dump(url: str, tmp_path: Path) -> None:
    store = encrypted(DirectoryDumps(tmp_path / "store"), tmp_path)
    (tmp_path / "identities").unlink()
    with pytest.raises(PermanentError) as lost:
        await dumped(store, url)
    assert lost.value.reason is Reason.BACKUP_FAILED
    assert await store.list() == []


@contextmanager
def no_file_over(size: int) -> Iterator[None]:
    """Let the system refuse to write more into any file, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_directory_that_is_full_in_the_middle_is_temporary_and_leaves_nothing(
    url: str, tmp_path: Path
) -> None:
    fill(url)
    with no_file_over(2 * 1024**2), pytest.raises(TemporaryError) as failed:
        await dumped(DirectoryDumps(tmp_path / "store"), url)
    assert failed.value.reason is Reason.BACKUP_FAILED
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []


class Narrow(DirectoryDumps):
    """A directory on a small disk."""

    free = 10_000

    async def free_bytes(self) -> int | None:
        """See the port."""
        return self.free


async def test_a_dump_that_will_not_fit_is_refused_before_it_is_begun(url: str, tmp_path: Path) -> None:
    fill(url)
    store = Narrow(tmp_path / "store")
    with pytest.raises(TemporaryError, match="10000 bytes are free"):
        await dumped(store, url)
    assert not (tmp_path / "store").exists()
    store.free = 1024**3
    backup = await dumped(store, url)
    store.free = backup.size_bytes + 1
    with pytest.raises(TemporaryError, match="the dump needs about"):
        await dumped(store, url)


class Counting(DirectoryDumps):
    """A directory that counts how many dumps are written at the same time."""

    now = most = 0

    async def put(self, name: str, pieces: AsyncIterator[bytes], *, expected_bytes: int = 0) -> Checksum:
        """See the port."""
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            return await super().put(name, pieces, expected_bytes=expected_bytes)
        finally:
            self.now -= 1


async def test_dumps_of_one_server_run_at_once_but_bounded(url: str, tmp_path: Path) -> None:
    fill(url)
    store = Counting(tmp_path / "store")
    backups = PostgresBackups(store, network=NETWORK, at_once=2)
    made = await asyncio.gather(*(dumped(store, url, backups=backups, number=n) for n in range(5)))
    assert len({backup.path for backup in made}) == 5
    assert store.most == 2


async def test_four_dumps_at_once_into_a_bucket_are_four_proven_dumps(
    url: str, s3: S3, tmp_path: Path
) -> None:
    store = bucket_of(s3, tmp_path)
    backups = await asyncio.gather(*(dumped(store, url) for _ in range(4)))
    assert len({backup.path for backup in backups}) == 4
    assert all(backup.proven for backup in backups)
