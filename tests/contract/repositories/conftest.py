"""Each contract test of this folder runs on the sandbox's GitHub and on repositories in memory."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from sandbox.platform.child_processes import start
from tests.contract.repositories.stands import GitHubStand, MemoryStand, Stand


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Return the ready line of a hub's process, with the directory of its repositories."""
    directory = tmp_path_factory.mktemp("hub")
    log = tmp_path_factory.mktemp("hub-log") / "log"
    hub = start("sandbox.github", ["--directory", str(directory)], log=log)
    yield {**hub.ready, "directory": str(directory)}
    hub.stop()


@pytest.fixture
def github(hub: dict[str, str]) -> GitHubStand:
    return GitHubStand(hub, f"{uuid4()}-workflows")


@pytest.fixture(params=["github", "memory"])
def stand(request: pytest.FixtureRequest) -> Stand:
    if request.param == "github":
        found: GitHubStand = request.getfixturevalue("github")
        return found
    return MemoryStand("qa-workflows")
