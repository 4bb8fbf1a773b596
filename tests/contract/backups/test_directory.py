"""What only real programs, a real server and a real disk show."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest

from daemon.adapters.dumps.directory import DirectoryDumps
from daemon.adapters.postgres import restoring
from daemon.adapters.postgres.backups import PostgresBackups
from daemon.adapters.postgres.databases import PostgresDatabases
from daemon.adapters.postgres.programs import newest_programs, programs_for
from daemon.adapters.postgres.urls import KEEPALIVE_OPTIONS
from daemon.ports.backups import Backup
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from schemas.reasons import Reason
from tests.contract.backups.conftest import CHANGE, ENVIRONMENT, contents_of
from tests.contract.conftest import NETWORK, PASSWORD, libpq

ATTEMPT = "r/backup.core/1"


async def dumped(root: Path, url: str, *, attempt: str = ATTEMPT, pg_bin: Path | None = None) -> Backup:
    backups = PostgresBackups(DirectoryDumps(root), pg_bin, NETWORK)
    async with PostgresDatabases(NETWORK).witness(url, environment=ENVIRONMENT) as witness:
        return await backups.dump(
            url,
            environment=ENVIRONMENT,
            resource=witness.identity.key,
            attempt=attempt,
            witness=witness,
        )


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def program(directory: Path, name: str, script: str) -> None:
    """Replace one of PostgreSQL's programs by one of our own."""
    directory.mkdir(exist_ok=True)
    real = programs_for(160000, None).directory
    for other in ("pg_dump", "pg_restore", "psql"):
        if not (directory / other).exists():
            (directory / other).symlink_to(real / other)
    (directory / name).unlink()
    (directory / name).write_text(
        f'#!/bin/sh\nreal={real}/{name}\n[ "$1" != --version ] || exec "$real" "$1"\n{script}\n'
    )
    (directory / name).chmod(0o755)


async def test_the_manifest_says_what_the_dump_is(tmp_path: Path, url: str) -> None:
    backup = await dumped(tmp_path, url)
    assert files(tmp_path) == {backup.path, f"{backup.path}.json"}
    told = json.loads((tmp_path / f"{backup.path}.json").read_text())
    content = (tmp_path / backup.path).read_bytes()
    assert told["proven"] is True
    assert (told["size_bytes"], told["sha256"]) == (len(content), sha256(content).hexdigest())
    assert PASSWORD not in json.dumps(told)
    assert (tmp_path / backup.path).stat().st_mode & 0o077 == 0


async def test_reading_through_finds_a_cut_that_the_checksum_agrees_with(tmp_path: Path, url: str) -> None:
    backup = await dumped(tmp_path, url)
    path = tmp_path / backup.path
    third = path.read_bytes()[: backup.size_bytes // 3]
    path.write_bytes(third)
    claimed = replace(backup, size_bytes=len(third), sha256=sha256(third).hexdigest())
    with pytest.raises(PermanentError) as raised:
        await PostgresBackups(DirectoryDumps(tmp_path), network=NETWORK).prove(claimed)
    assert raised.value.reason is Reason.BACKUP_UNPROVEN


async def test_a_dump_that_fails_halfway_leaves_nothing(tmp_path: Path, url: str) -> None:
    program(tmp_path / "bin", "pg_dump", '"$real" "$@"; echo "pg_dump: error: it broke" >&2; exit 1')
    with pytest.raises(PermanentError) as raised:
        await dumped(tmp_path / "store", url, pg_bin=tmp_path / "bin")
    assert raised.value.reason is Reason.BACKUP_FAILED
    assert files(tmp_path / "store") == set()


async def test_a_backup_cut_at_70_percent_by_pg_dump_leaves_nothing(tmp_path: Path, url: str) -> None:
    whole = f"{tmp_path}/whole"
    size = f'$(($(stat -c %s "{whole}") * 7 / 10))'
    cutting = f'"$real" "$@" >"{whole}" && head -c {size} "{whole}"'
    program(tmp_path / "bin", "pg_dump", cutting)
    with pytest.raises(PermanentError) as raised:
        await dumped(tmp_path / "store", url, pg_bin=tmp_path / "bin")
    assert raised.value.reason is Reason.BACKUP_UNPROVEN
    assert files(tmp_path / "store") == set()


async def test_a_full_disk_is_temporary(tmp_path: Path, url: str) -> None:
    full = 'echo "pg_dump: error: could not write to file: No space left on device" >&2; exit 1'
    program(tmp_path / "bin", "pg_dump", full)
    with pytest.raises(TemporaryError) as raised:
        await dumped(tmp_path / "store", url, pg_bin=tmp_path / "bin")
    assert raised.value.reason is Reason.BACKUP_FAILED


async def test_a_store_that_takes_no_manifest_is_temporary_and_leaves_nothing_half_written(
    tmp_path: Path, url: str
) -> None:
    backup = await dumped(tmp_path, url)
    manifest = tmp_path / f"{backup.path}.json"
    manifest.unlink()
    (manifest / "in the way").mkdir(parents=True)
    with pytest.raises(TemporaryError) as refused:
        await PostgresBackups(DirectoryDumps(tmp_path), network=NETWORK).prove(backup)
    assert refused.value.reason is Reason.BACKUP_UNPROVEN
    assert files(tmp_path) == {backup.path}


async def test_a_dump_whose_counted_rows_are_lost_is_proven_only_where_it_was_before(
    tmp_path: Path, url: str
) -> None:
    backup = await dumped(tmp_path, url)
    manifest = tmp_path / f"{backup.path}.json"
    for lost in ("", "[1", "{}"):
        manifest.write_text(lost)
        store = PostgresBackups(DirectoryDumps(tmp_path), network=NETWORK)
        assert (await store.prove(backup)).proven
        manifest.unlink()
        with pytest.raises(PermanentError) as refused:
            await store.prove(replace(backup, proven=False))
        assert refused.value.reason is Reason.BACKUP_UNPROVEN


async def test_a_cancelled_dump_leaves_neither_files_nor_processes(tmp_path: Path, url: str) -> None:
    program(tmp_path / "bin", "pg_dump", f'echo $$ >"{tmp_path}/pid"; "$real" "$@"; exec sleep 60')
    dump = asyncio.create_task(dumped(tmp_path / "store", url, pg_bin=tmp_path / "bin"))
    async with asyncio.timeout(20):
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.02)
    dump.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dump
    assert files(tmp_path / "store") == set()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


async def test_what_a_killed_daemon_left_goes_with_the_next_dump(tmp_path: Path, url: str) -> None:
    folder = tmp_path / ENVIRONMENT / "core"
    folder.mkdir(parents=True)
    own, long_ago = folder / ".r.backup.core.1.01234567.partial", folder / ".q.backup.core.1.01234567.partial"
    for left in (own, long_ago):
        left.write_bytes(b"half")
    os.utime(long_ago, (0, 0))
    backup = await dumped(tmp_path, url)
    assert files(tmp_path) == {backup.path, f"{backup.path}.json"}


async def test_dumps_of_equally_named_databases_at_once_leave_each_other_alone(
    tmp_path: Path, url: str
) -> None:
    waits = f'touch "{tmp_path}/dumping"; while [ ! -e "{tmp_path}/go" ]; do sleep 0.05; done'
    waits = f'"$real" "$@" || exit 1; {waits}'
    program(tmp_path / "bin", "pg_dump", waits)
    slow = asyncio.create_task(dumped(tmp_path / "store", url, pg_bin=tmp_path / "bin"))
    async with asyncio.timeout(20):
        while not (tmp_path / "dumping").exists():  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.02)
    another = "r/backup.core-of-another-server/1"
    quick = await dumped(tmp_path / "store", url, attempt=another)
    (tmp_path / "go").touch()
    both = {quick.path, (await slow).path}
    assert files(tmp_path / "store") == both | {f"{path}.json" for path in both}


async def arguments(directory: Path, url: str) -> str:
    """Return the arguments that a dump gives to pg_dump."""
    program(directory / "bin", "pg_dump", f'printf "%s\\n" "$@" >"{directory}/argv"; exec "$real" "$@"')
    await dumped(directory / "store", url, pg_bin=directory / "bin")
    return (directory / "argv").read_text()


async def test_the_password_is_in_no_argument(tmp_path: Path, url: str) -> None:
    said = await arguments(tmp_path, url)
    assert "user=fuse" in said
    assert PASSWORD not in said


async def test_the_programs_get_no_secret_of_the_store(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3-s3cret-K3y")
    monkeypatch.setenv("RESETD_GITHUB_TOKEN", "gh-s3cret")
    program(tmp_path / "bin", "pg_dump", f'env >"{tmp_path}/env"; exec "$real" "$@"')
    await dumped(tmp_path / "store", url, pg_bin=tmp_path / "bin")
    said = (tmp_path / "env").read_text()
    assert "s3-s3cret-K3y" not in said
    assert "gh-s3cret" not in said


async def test_a_dump_notices_a_server_that_vanished_without_a_word_as_the_daemon_does(
    tmp_path: Path, url: str
) -> None:
    said = await arguments(tmp_path, url)
    assert all(f"{name}={value}" in said for name, value in KEEPALIVE_OPTIONS.items())


async def test_a_restore_whose_reader_breaks_off_changes_nothing(tmp_path: Path, url: str) -> None:
    backup = await dumped(tmp_path, url)
    before = await contents_of(url)
    breaking = 'case "$*" in *--file=-*) "$real" "$@" | head -c 3000; exit 1;; esac; exec "$real" "$@"'
    program(tmp_path / "bin", "pg_restore", breaking)
    with pytest.raises(PermanentError) as raised:
        await PostgresBackups(DirectoryDumps(tmp_path), tmp_path / "bin", NETWORK).restore(
            backup, url, environment=ENVIRONMENT
        )
    assert raised.value.reason is Reason.BACKUP_UNPROVEN
    assert await contents_of(url) == before


async def test_a_restore_that_the_server_refuses_changes_nothing(tmp_path: Path, url: str) -> None:
    backup = await dumped(tmp_path, url)
    before = await contents_of(url)
    refusing = 'case "$*" in *--file=-*) "$real" "$@"; echo "SELECT 1/0;"; exit 0;; esac; exec "$real" "$@"'
    program(tmp_path / "bin", "pg_restore", refusing)
    with pytest.raises(PortError) as raised:
        await PostgresBackups(DirectoryDumps(tmp_path), tmp_path / "bin", NETWORK).restore(
            backup, url, environment=ENVIRONMENT
        )
    assert "division by zero" in raised.value.detail
    assert PASSWORD not in str(raised.value)
    assert await contents_of(url) == before


async def test_programs_newer_than_the_server_dump_and_restore_it(tmp_path: Path, url: str) -> None:
    newest = newest_programs(None)
    assert newest.major > 16
    before = await contents_of(url)
    backup = await dumped(tmp_path, url, pg_bin=newest.directory)
    async with await psycopg.AsyncConnection.connect(libpq(url)) as connection:
        await connection.execute(CHANGE)
    await PostgresBackups(DirectoryDumps(tmp_path), newest.directory, NETWORK).restore(
        backup, url, environment=ENVIRONMENT
    )
    assert await contents_of(url) == before


async def test_a_restore_that_brought_too_little_is_taken_back(tmp_path: Path, url: str) -> None:
    backup = await dumped(tmp_path, url)
    before = await contents_of(url)
    program(tmp_path / "bin", "pg_restore", 'case "$*" in *--file=-*) exit 0;; esac; exec "$real" "$@"')
    with pytest.raises(PermanentError) as raised:
        await PostgresBackups(DirectoryDumps(tmp_path), tmp_path / "bin", NETWORK).restore(
            backup, url, environment=ENVIRONMENT
        )
    assert "tables" in raised.value.detail
    assert await contents_of(url) == before


async def test_a_restore_waits_for_no_lock_for_ever(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = await dumped(tmp_path, url)
    quick = tmp_path / "quick.sql"
    quick.write_text(restoring.CLEARING.read_text(encoding="utf-8").replace("'30s'", "'300ms'"))
    monkeypatch.setattr(restoring, "CLEARING", quick)
    async with await psycopg.AsyncConnection.connect(libpq(url)) as connection:
        await connection.execute("LOCK TABLE people IN ACCESS SHARE MODE")
        with pytest.raises(TemporaryError):
            await PostgresBackups(DirectoryDumps(tmp_path), network=NETWORK).restore(
                backup, url, environment=ENVIRONMENT
            )


def test_programs_are_never_older_than_the_server_and_as_near_as_can_be(tmp_path: Path) -> None:
    for major in (15, 16, 18):
        directory = tmp_path / str(major)
        directory.mkdir()
        for name in ("pg_dump", "pg_restore", "psql"):
            (directory / name).write_text(f'#!/bin/sh\necho "{name} (PostgreSQL) {major}.4"\n')
            (directory / name).chmod(0o755)
    assert programs_for(150004, tmp_path / "18").major == 18
    with pytest.raises(PermanentError) as raised:
        programs_for(160004, tmp_path / "15")
    assert "PostgreSQL 16" in raised.value.detail
    assert "15 in" in raised.value.detail
    assert programs_for(160004, None).major == 16
