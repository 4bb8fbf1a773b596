"""The sandbox's GitHub answers as the real one does: every answer fits GitHub's published description of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from tests.contract.repositories.stands import GitHubStand

SCHEMAS = json.loads((Path(__file__).parent / "github-openapi.json").read_text())


class Caller:
    """Calls to the API of one repository."""

    def __init__(self, stand: GitHubStand) -> None:
        self.stand = stand
        self._path = f"/repos/{stand.hub['owner']}/{stand.name}"
        self._url = stand.hub["url"]
        self._headers = {"Authorization": f"Bearer {stand.hub['token']}"}

    def __call__(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        return httpx.request(
            method, self._url + self._path + path, json=body, headers={**self._headers, **headers}
        )

    def graphql(self, query: str, variables: object) -> dict[str, Any]:
        answer = httpx.post(
            self._url + "/graphql", json={"query": query, "variables": variables}, headers=self._headers
        )
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
async def caller(github: GitHubStand) -> Caller:
    await github.push()
    await github.push()
    await github.push("feature/x")
    github.control("POST", "/pulls", {"title": "A change", "head": "feature/x"})
    refs = await github.refs()
    github.control("PUT", "/refs/tags/v1", {"sha": refs["main"]})
    await github.protect("main")
    return Caller(github)


def fits(answer: httpx.Response, name: str, status: int = 200) -> Any:  # noqa: ANN401 - JSON
    assert answer.status_code == status, answer.text
    jsonschema.Draft202012Validator(SCHEMAS[name]).validate(answer.json())
    return answer.json()


async def test_what_is_read_fits_the_description(caller: Caller) -> None:
    head = (await caller.stand.refs())["main"]
    fits(caller("GET", ""), "repository")
    assert len(fits(caller("GET", "/branches"), "branches")) == 2
    assert fits(caller("GET", "/branches/feature/x"), "branch")["protected"] is False
    assert fits(caller("GET", "/git/ref/heads/main"), "ref")["object"]["sha"] == head
    assert len(fits(caller("GET", "/git/matching-refs/heads/"), "matching-refs")) == 2
    assert len(fits(caller("GET", f"/commits?sha={head}"), "commits")) == 2
    assert fits(caller("GET", f"/git/commits/{head}"), "git-commit")["sha"] == head
    assert fits(caller("GET", "/rules/branches/main"), "rules")[0]["type"] == "non_fast_forward"
    assert fits(caller("GET", "/pulls?base=main"), "pulls")[0]["head"]["ref"] == "feature/x"
    assert fits(caller("GET", "/tags"), "tags")[0]["name"] == "v1"


async def test_refs_that_are_written_fit_the_description(caller: Caller) -> None:
    refs = await caller.stand.refs()
    new = {"ref": "refs/heads/new", "sha": refs["main"]}
    fits(caller("POST", "/git/refs", new), "created-ref", 201)
    again = caller("POST", "/git/refs", new)
    assert fits(again, "validation-error", 422)["message"] == "Reference already exists"
    onto = {"sha": refs["feature/x"]}
    assert fits(caller("PATCH", "/git/refs/heads/new", onto), "validation-error", 422)["message"] == (
        "Update is not a fast forward"
    )
    fits(caller("PATCH", "/git/refs/heads/new", {**onto, "force": True}), "updated-ref")
    assert caller("DELETE", "/git/refs/heads/new").status_code == 204
    forced = caller("PATCH", "/git/refs/heads/main", {**onto, "force": True})
    assert "Cannot force-push" in fits(forced, "validation-error", 422)["message"]


async def test_what_is_missing_or_empty_is_said_as_github_says_it(
    caller: Caller, hub: dict[str, str]
) -> None:
    assert fits(caller("GET", "/git/ref/heads/none"), "error", 404)["message"] == "Not Found"
    empty = Caller(GitHubStand(hub, f"{caller.stand.name}-empty"))
    assert fits(empty("GET", "/commits"), "conflict", 409)["message"] == "Git Repository is empty."
    assert caller("GET", "", Authorization="Bearer wrong").json()["message"] == "Bad credentials"
    assert caller("GET", "", Authorization="").status_code == 404
    assert fits(caller("GET", "/unknown"), "error", 404)["message"] == "Not Found"


async def test_lists_lead_on_by_link_headers_and_answers_carry_etag_and_limits(caller: Caller) -> None:
    first = caller("GET", "/commits?per_page=1")
    assert len(first.json()) == 1
    second = caller("GET", first.links["next"]["url"].partition(caller.stand.name)[2])
    assert first.links["last"]["url"] == first.links["next"]["url"]
    assert second.json()[0]["sha"] != first.json()[0]["sha"]
    assert "next" not in second.links
    assert int(first.headers["X-RateLimit-Remaining"]) > 0
    again = caller("GET", "/commits?per_page=1", **{"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304


async def test_update_refs_compares_swaps_and_makes_all_or_none(caller: Caller) -> None:
    refs = await caller.stand.refs()
    query = "query($owner: String!, $name: String!) { repository(owner: $owner, name: $name) { id } }"
    owner = caller.stand.hub["owner"]
    answer = caller.graphql(query, {"owner": owner, "name": caller.stand.name})
    repository = answer["data"]["repository"]["id"]
    mutation = "mutation($input: UpdateRefsInput!) { updateRefs(input: $input) { clientMutationId } }"

    def update(*updates: Mapping[str, object]) -> dict[str, Any]:
        wanted = {"repositoryId": repository, "refUpdates": list(updates)}
        return caller.graphql(mutation, {"input": wanted})

    backup = {"name": "refs/heads/backup/1", "beforeOid": "0" * 40, "afterOid": refs["main"]}
    stale = {
        "name": "refs/heads/feature/x",
        "beforeOid": refs["main"],
        "afterOid": refs["main"],
        "force": True,
    }
    assert update(backup, stale)["errors"][0]["type"] == "UNPROCESSABLE"
    assert await caller.stand.refs() == refs
    assert "errors" in update(backup, {**stale, "beforeOid": refs["feature/x"], "force": False})
    assert await caller.stand.refs() == refs
    assert "errors" not in update(backup, {**stale, "beforeOid": refs["feature/x"]})
    assert await caller.stand.refs() == {
        **refs,
        "backup/1": refs["main"],
        "feature/x": refs["main"],
    }
    assert "errors" in update(backup)


async def test_git_itself_reads_the_repositories(caller: Caller) -> None:
    directory = Path(caller.stand.hub["directory"]) / caller.stand.hub["owner"] / f"{caller.stand.name}.git"
    try:
        check = subprocess.run(  # noqa: ASYNC221 - a moment
            ["git", "--git-dir", directory, "fsck", "--strict"],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("no git on this machine")
    assert check.returncode == 0, check.stderr
