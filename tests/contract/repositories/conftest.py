"""Each contract test of this folder runs on the sandbox's GitHub and on repositories in memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.contract.repositories.stands import GitHubStand, MemoryStand, Stand


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Return the ready line of a hub's process, and the directory of its repositories."""
    directory: Path = tmp_path_factory.mktemp("hub")
    command = [sys.executable, "-m", "sandbox.github", "--directory", str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            yield {**json.loads(process.stdout.readline()), "directory": str(directory)}
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture
def github(hub: dict[str, str]) -> GitHubStand:
    return GitHubStand(hub, f"{uuid4()}-workflows")


@pytest.fixture(params=["github", "memory"])
def stand(request: pytest.FixtureRequest) -> Stand:
    if request.param == "github":
        found: GitHubStand = request.getfixturevalue("github")
        return found
    return MemoryStand("qa-workflows")
