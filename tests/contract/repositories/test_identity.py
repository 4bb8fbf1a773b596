"""What answers is what was asked for: renamed repositories, and such as were made anew under the same name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from daemon.adapters.github.repositories import GitHubRepositories
from daemon.ports.errors import PermanentError, TemporaryError
from schemas.reasons import Reason
from tests.contract.repositories.stands import GitHubStand, ours

BACKUP = "backup/0190-reset"


async def test_b6_a_renamed_repository_is_not_followed_to_what_another_client_uses(
    hub: dict[str, str], github: GitHubStand
) -> None:
    other = GitHubStand(hub, f"{github.name}-of-another-client")
    await other.push()
    head = await other.push()
    await github.push()
    github.control("POST", "/rename", {"to": other.name})
    with pytest.raises(PermanentError) as refused:
        await github.port.read(github.name, None)
    assert refused.value.reason is Reason.REPOSITORY_MISMATCH
    assert other.name in refused.value.detail
    assert refused.value.hint
    assert await other.refs() == {"main": head}


async def test_b6_a_rename_between_plan_and_git_step_rewinds_nothing(
    hub: dict[str, str], github: GitHubStand
) -> None:
    other = GitHubStand(hub, f"{github.name}-of-another-client")
    root = await other.push()
    head = await other.push()
    await github.push()
    found = await github.port.read(github.name, None)
    github.control("POST", "/rename", {"to": other.name})
    with pytest.raises(PermanentError) as refused:
        await github.port.rewind(replace(found, head=head), to=root, backup_branch=BACKUP, still_ours=ours)
    assert refused.value.reason is Reason.REPOSITORY_MISMATCH
    assert await other.refs() == {"main": head}


async def test_b6_a_repository_that_was_made_anew_under_the_same_name_is_another_one(
    github: GitHubStand,
) -> None:
    root = await github.push()
    found = await github.port.read(github.name, None)
    github.control("DELETE", "")
    github.control("PUT", "")
    await github.push()
    head = await github.push()
    with pytest.raises(PermanentError) as refused:
        await github.port.rewind(replace(found, head=head), to=root, backup_branch=BACKUP, still_ours=ours)
    assert refused.value.reason is Reason.REPOSITORY_MISMATCH
    assert await github.refs() == {"main": head}


async def test_b6_a_rename_right_before_the_update_moves_no_other_repository(
    hub: dict[str, str], github: GitHubStand
) -> None:
    other = GitHubStand(hub, f"{github.name}-of-another-client")
    root = await github.push()
    head = await github.push()
    # The same commits, as a fork has them: only the repository's id tells the two apart.
    assert (await other.push(), await other.push()) == (root, head)
    found = await github.port.read(github.name, None)
    question = github.hold("POST /graphql", after=0)
    rewinding = asyncio.create_task(github.port.rewind(found, to=root, backup_branch=BACKUP, still_ours=ours))
    await question()
    github.control("POST", "/rename", {"to": other.name})
    with pytest.raises(PermanentError) as refused:
        await rewinding
    assert refused.value.reason is Reason.REPOSITORY_MISMATCH
    assert await other.refs() == {"main": head}


async def test_b6_nothing_but_the_name_is_asked_for_where_a_redirect_leads(
    hub: dict[str, str], github: GitHubStand
) -> None:
    other = GitHubStand(hub, f"{github.name}-of-another-client")
    await other.push()
    await github.push()
    found = await github.port.read(github.name, None)
    github.control("POST", "/rename", {"to": other.name})
    before = len(github.calls())
    for act in (
        github.port.read(github.name, None),
        github.port.rewind(found, to=found.root, backup_branch=BACKUP, still_ours=ours),
    ):
        with pytest.raises(PermanentError) as refused:
            await act
        assert refused.value.reason is Reason.REPOSITORY_MISMATCH
    made = [call for call in github.calls()[before:] if f"/repos/fuse/{github.name}" not in call]
    assert all(call.startswith("GET /repositories/") and call.count("/") == 2 for call in made), made


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("what", ["branches/main", "commits", "rules/branches/main"])
async def test_b6_a_redirect_in_the_middle_of_reading_is_not_followed(
    github: GitHubStand, status: int, what: str
) -> None:
    await github.push()
    location = f"{github.hub['url']}/repositories/1/{what}"
    github.fault(
        match=f"GET /repos/fuse/{github.name}/{what}",
        action="status",
        status=status,
        headers={"Location": location},
    )
    with pytest.raises(PermanentError) as refused:
        await github.port.read(github.name, None)
    assert refused.value.reason is Reason.REPOSITORY_MISMATCH
    assert refused.value.hint


async def test_b6_case_is_no_other_name(github: GitHubStand) -> None:
    root = await github.push()
    assert (await github.port.read(github.name.upper(), None)).root == root


@contextmanager
def answering(status: int, body: str, **headers: str) -> Iterator[str]:
    """A server that is no GitHub: it answers every call with the same. The answer is its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET  # noqa: N815 - the base class's name

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (301, "", {"Location": "https://elsewhere.example.com/repos/fuse/x"}),
        (200, "<!doctype html><title>Sign in</title>", {"Content-Type": "text/html"}),
        (200, "[]", {"Content-Type": "application/json"}),
        (200, "{}", {"Content-Type": "application/json"}),
        (200, "null", {"Content-Type": "application/json"}),
        (200, json.dumps({"full_name": 7, "name": ["x"], "default_branch": {}}), {}),
        (200, json.dumps({"full_name": "fuse/x"}), {}),
        (404, "no JSON", {}),
        (418, "[1, 2]", {}),
        (302, "", {"Location": "https://login.example.com/"}),
        (308, "", {"Location": "http://elsewhere.example.com/"}),
        (301, "", {}),
        (200, '{"full_name": "fuse/x", "node_id": null, "permis', {}),
        (200, json.dumps({"full_name": "fuse/x", "node_id": "R_1", "permissions": {"push": True}}), {}),
    ],
)
async def test_f7_whatever_answers_in_place_of_github_is_an_error_of_the_port_with_a_hint(
    github: GitHubStand, status: int, body: str, headers: dict[str, str]
) -> None:
    with answering(status, body, **headers) as url:
        port = GitHubRepositories(replace(github.connection, api_url=url))
        with pytest.raises((PermanentError, TemporaryError)) as refused:
            await port.read("x", None)
    assert refused.value.reason in {Reason.REPOSITORY_UNIDENTIFIED, Reason.REPOSITORY_REFUSED}
    assert refused.value.hint
    assert github.connection.token is not None
    assert github.connection.token not in refused.value.detail


async def test_f7_an_answer_that_github_still_computes_is_temporary(github: GitHubStand) -> None:
    with answering(202, "") as url:
        port = GitHubRepositories(replace(github.connection, api_url=url))
        with pytest.raises(TemporaryError) as refused:
            await port.read("x", None)
    assert refused.value.hint


@pytest.mark.parametrize(
    "raised", [StopIteration(), RecursionError(), KeyError("node_id"), AssertionError(), AttributeError("x")]
)
async def test_f7_whatever_is_raised_in_the_thread_is_an_error_of_the_port(
    github: GitHubStand, raised: Exception
) -> None:
    def act(_: object) -> None:
        raise raised

    with pytest.raises(PermanentError) as refused:
        await github.port._operation("x", act)
    assert refused.value.hint
    assert refused.value.__cause__ is raised


async def test_f7_an_answer_that_is_not_understood_after_the_update_is_found_out_by_the_refs(
    github: GitHubStand,
) -> None:
    root = await github.push()
    head = await github.push()
    found = await github.port.read(github.name, None)
    github.fault(match="POST /graphql", action="delay", seconds=0)
    github.fault(match="POST /graphql", action="garbage-after")
    rewound = await github.port.rewind(found, to=root, backup_branch=BACKUP, still_ours=ours)
    assert (rewound.before, rewound.after) == (head, root)
