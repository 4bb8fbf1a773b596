"""Two keepers of output, and the disk under each."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest

from daemon.adapters.files.logs import FileLogs
from daemon.ports.logs import Logs
from schemas.wire import AttemptId
from tests.memory.logs import MemoryLogs

ATTEMPT = AttemptId("019ab4e0-0000-7000-8000-000000000000/seed.los-core-api.system/1")
LIMIT = 4096


class Stand(Protocol):
    """A keeper, and the disk under it."""

    @property
    def logs(self) -> Logs: ...

    def fill(self) -> None: ...

    def make_room(self) -> None: ...


class FileStand:
    def __init__(self, directory: Path) -> None:
        self.logs = FileLogs(directory, limit=LIMIT)
        self._file = directory / f"{ATTEMPT}.log"

    def fill(self) -> None:
        self._file.parent.mkdir(parents=True)
        self._file.symlink_to("/dev/full")

    def make_room(self) -> None:
        self._file.unlink()


class MemoryStand:
    def __init__(self) -> None:
        self.logs = MemoryLogs(limit=LIMIT)

    def fill(self) -> None:
        self.logs.full = True

    def make_room(self) -> None:
        self.logs.full = False


@pytest.fixture(params=["files", "memory"])
def stand(request: pytest.FixtureRequest, tmp_path: Path) -> Stand:
    return FileStand(tmp_path) if request.param == "files" else MemoryStand()


@pytest.fixture
def logs(stand: Stand) -> Logs:
    return stand.logs
