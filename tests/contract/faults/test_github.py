"""What goes wrong at GitHub, as PyGithub sees it without retries."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import requests
from github import Auth, Github, GithubException, RateLimitExceededException
from github.Repository import Repository

from sandbox.faults import Fault, FaultKind, Faults
from sandbox.github.people import People
from sandbox.platform.child_processes import start

NAME = "qa-workflows"
ENVIRONMENT = "qa-sandbox"
UPDATE = "mutation($input: UpdateRefsInput!) { updateRefs(input: $input) { clientMutationId } }"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[People, Faults]]:
    directory = tmp_path_factory.mktemp("hub")
    arguments = ["--directory", str(directory / "git"), "--faults", str(directory / "faults")]
    hub = start("sandbox.github", arguments, log=directory / "log")
    yield People(**hub.ready), Faults(directory / "faults")
    hub.stop()


@pytest.fixture
def people(hub: tuple[People, Faults]) -> People:
    return hub[0]


@pytest.fixture
async def faults(hub: tuple[People, Faults]) -> AsyncIterator[Faults]:
    yield hub[1]
    await hub[1].clear()


@pytest.fixture
def repository(people: People) -> Iterator[Repository]:
    with Github(base_url=people.url, auth=Auth.Token(people.token), retry=None, timeout=5) as github:
        yield github.get_repo(f"{people.owner}/{NAME}")


def rewind(repository: Repository, before: str, after: str, backup: str) -> None:
    """As the daemon does it: a backup branch and the branch, both or neither."""
    updates: list[dict[str, Any]] = [
        {"name": f"refs/heads/{backup}", "beforeOid": "0" * 40, "afterOid": before},
        {"name": "refs/heads/main", "beforeOid": before, "afterOid": after, "force": True},
    ]
    wanted = {"repositoryId": repository.node_id, "refUpdates": updates}
    repository.requester.graphql_query(UPDATE, {"input": wanted})


async def test_a_server_error_comes_so_often_and_then_no_more(repository: Repository, faults: Faults) -> None:
    await faults.arm(Fault(FaultKind.GITHUB_5XX, ENVIRONMENT, times=2))
    for _ in range(2):
        with pytest.raises(GithubException) as failed:
            repository.get_branch("main")
        assert failed.value.status == 502
    assert repository.get_branch("main").name == "main"
    assert (await faults.hits())[FaultKind.GITHUB_5XX] == 2


async def test_the_rate_limit_says_when_it_ends(repository: Repository, faults: Faults) -> None:
    await faults.arm(Fault(FaultKind.GITHUB_RATE_LIMITED, seconds=5))
    with pytest.raises(RateLimitExceededException) as failed:
        repository.get_branch("main")
    assert failed.value.headers
    assert failed.value.headers["x-ratelimit-remaining"] == "0"
    assert 3 < int(failed.value.headers["x-ratelimit-reset"]) - time.time() < 8
    assert repository.get_branch("main").name == "main"
    assert (await faults.hits())[FaultKind.GITHUB_RATE_LIMITED] == 1


async def test_a_write_is_applied_and_its_answer_never_comes(
    repository: Repository, people: People, faults: Faults
) -> None:
    head = repository.get_branch("main").commit.sha
    root = list(repository.get_commits(sha=head))[-1].sha
    await faults.arm(Fault(FaultKind.GITHUB_TIMEOUT_AFTER_WRITE, ENVIRONMENT))
    assert repository.get_branch("main").name == "main", "reads are answered"
    with pytest.raises(requests.exceptions.RequestException):
        rewind(repository, head, root, "kept-1")
    refs = await people.refs(NAME)
    assert (refs["refs/heads/main"], refs["refs/heads/kept-1"]) == (root, head)
    assert (await faults.hits())[FaultKind.GITHUB_TIMEOUT_AFTER_WRITE] == 1


async def test_a_branch_moves_right_before_it_is_written(
    repository: Repository, people: People, faults: Faults
) -> None:
    await people.push(NAME, {"a.json": "1"})
    head = repository.get_branch("main").commit.sha
    root = list(repository.get_commits(sha=head))[-1].sha
    await faults.arm(Fault(FaultKind.GITHUB_REF_MOVED, ENVIRONMENT))
    with pytest.raises(GithubException):
        rewind(repository, head, root, "kept-2")
    refs = await people.refs(NAME)
    moved = refs["refs/heads/main"]
    assert moved not in {head, root}
    assert "refs/heads/kept-2" not in refs
    assert (await faults.hits())[FaultKind.GITHUB_REF_MOVED] == 1
    rewind(repository, moved, root, "kept-2")
    assert await people.head(NAME) == root


async def test_repositories_of_other_clients_are_spared(repository: Repository, faults: Faults) -> None:
    await faults.arm(Fault(FaultKind.GITHUB_5XX, "acme-sandbox"))
    assert repository.get_branch("main").name == "main"
