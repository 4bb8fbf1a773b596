"""A dump is read again where anything says that it may have changed, and only there."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Any

import pytest

from daemon.adapters.dumps.checksums import Checksums
from daemon.ports.dump_store import Checksum


def of(content: bytes) -> Checksum:
    return Checksum(len(content), hashlib.sha256(content).hexdigest())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "dump"
    path.write_bytes(b"whole")
    return path


def test_a_file_is_that_one_until_it_is_rewritten_replaced_or_gone(path: Path) -> None:
    sums = Checksums()
    assert sums.read(path) == of(b"whole")
    assert sums.is_of(path, of(b"whole"))
    assert not sums.is_of(path, of(b"whale"))
    path.write_bytes(b"whale")
    assert not sums.is_of(path, of(b"whole"))
    path.write_bytes(b"whole")
    assert sums.is_of(path, of(b"whole"))
    other = path.with_name("other")
    other.write_bytes(b"while")
    other.rename(path)
    assert not sums.is_of(path, of(b"whole"))
    path.unlink()
    assert not sums.is_of(path, of(b"while"))


def test_a_write_that_sets_the_old_time_again_is_seen(path: Path) -> None:
    sums = Checksums()
    sums.read(path)
    status = path.stat()
    path.write_bytes(b"whale")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert not sums.is_of(path, of(b"whole"))


class Watched(type(Path())):  # type: ignore[misc] # a class that is chosen by the system
    """A path that counts how often it was opened."""

    opened = 0

    def open(self, *args: Any, **more: Any) -> Any:  # noqa: ANN401 - as `Path.open`
        Watched.opened += 1
        return super().open(*args, **more)


@pytest.mark.parametrize(("seconds_later", "opened"), [(0, 3), (10, 1)])
def test_only_a_file_that_was_written_a_while_ago_is_not_read_again(
    path: Path, seconds_later: int, opened: int
) -> None:
    watched, Watched.opened = Watched(path), 0
    sums = Checksums(lambda: time.time_ns() + seconds_later * 10**9)
    assert sums.read(watched) == of(b"whole")
    assert sums.is_of(watched, of(b"whole"))
    assert not sums.is_of(watched, of(b"whale"))
    assert Watched.opened == opened


def test_a_file_that_nobody_has_read_yet_is_read(path: Path) -> None:
    assert Checksums().is_of(path, of(b"whole"))
    assert not Checksums().is_of(path, of(b"whale"))
