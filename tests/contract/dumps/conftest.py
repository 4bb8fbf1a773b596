"""The same contract on every store of dumps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from daemon.adapters.dumps.directory import DirectoryDumps
from daemon.ports.dump_store import DumpStore


async def pieces_of(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Return them one after another, as a dump's stream does."""
    for piece in pieces:
        yield piece


@pytest.fixture(params=["directory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> DumpStore:
    """Make an empty store."""
    del request
    return DirectoryDumps(tmp_path / "store")
