"""What only the real API does: refuse tokens, limit, break down, know GitHub Apps."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from daemon.adapters.github.repositories import GitHubRepositories
from daemon.ports.errors import LeaseLostError, PermanentError, TemporaryError
from schemas.reasons import Reason
from schemas.repositories import PullRequest
from tests.contract.repositories.stands import GitHubStand, ours


async def test_a_wrong_token_is_out_of_sight_and_never_shown(github: GitHubStand) -> None:
    await github.push()
    port = GitHubRepositories(replace(github.connection, token="ghp_very-secret"))
    with pytest.raises(TemporaryError) as refused:
        await port.read(github.name, None)
    assert refused.value.reason is Reason.REPOSITORY_UNREACHABLE
    assert "RESETD_GITHUB_TOKEN" in str(refused.value.hint)
    assert "very-secret" not in f"{refused.value!s} {refused.value.hint} {port._connection!r}"


async def test_a_rate_limit_is_temporary_and_says_how_long(github: GitHubStand) -> None:
    await github.push()
    github.fault(
        match=f"GET /repos/fuse/{github.name}$",
        action="status",
        status=403,
        headers={"Retry-After": "77", "X-RateLimit-Remaining": "0"},
        body={"message": "You have exceeded a secondary rate limit."},
    )
    with pytest.raises(TemporaryError) as refused:
        await github.port.read(github.name, None)
    assert refused.value.delay == pytest.approx(77, abs=1)


async def test_an_outage_is_temporary_and_a_short_one_is_not_noticed(github: GitHubStand) -> None:
    root = await github.push()
    github.fault(match=f"GET /repos/fuse/{github.name}$", action="status", status=502, times=1)
    assert (await github.port.read(github.name, None)).root == root
    github.fault(match=f"GET /repos/fuse/{github.name}$", action="status", status=502, times=9)
    with pytest.raises(TemporaryError) as refused:
        await github.port.read(github.name, None)
    assert refused.value.reason is Reason.REPOSITORY_UNREACHABLE
    nowhere = GitHubRepositories(replace(github.connection, api_url="http://127.0.0.1:9"))
    with pytest.raises(TemporaryError):
        await nowhere.read(github.name, None)


async def test_an_operation_ends_in_its_time_whatever_the_server_does(github: GitHubStand) -> None:
    await github.push()
    port = GitHubRepositories(replace(github.connection, operation_timeout=0.3))
    github.fault(match=f"GET /repos/fuse/{github.name}$", action="delay", seconds=1)
    with pytest.raises(TemporaryError):
        await port.read(github.name, None)


async def test_a_mutation_that_never_arrived_is_temporary_and_can_be_repeated(github: GitHubStand) -> None:
    root = await github.push()
    head = await github.push()
    found = await github.port.read(github.name, None)
    github.fault(match="POST /graphql", action="drop-before", times=3)
    with pytest.raises(TemporaryError):
        await github.port.rewind(found, to=root, backup_branch="backup/1", still_ours=ours)
    assert await github.refs() == {"main": head}
    assert (
        await github.port.rewind(found, to=root, backup_branch="backup/1", still_ours=ours)
    ).before == head


async def test_a_cancelled_rewinding_has_ended_when_its_caller_hears_of_it(github: GitHubStand) -> None:
    root = await github.push()
    head = await github.push()
    found = await github.port.read(github.name, None)
    mutation = github.hold("POST /graphql", after=1)
    rewinding = asyncio.create_task(
        github.port.rewind(found, to=root, backup_branch="backup/1", still_ours=ours)
    )
    await mutation()
    rewinding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rewinding
    assert await github.refs() == {"main": root, "backup/1": head}


async def test_a_rewinding_that_is_left_before_its_update_never_asks_for_it(github: GitHubStand) -> None:
    root = await github.push()
    head = await github.push()
    found = await github.port.read(github.name, None)
    question = github.hold("POST /graphql", after=0)
    rewinding = asyncio.create_task(
        github.port.rewind(found, to=root, backup_branch="backup/1", still_ours=ours)
    )
    await question()
    rewinding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rewinding
    assert await github.refs() == {"main": head}


async def test_who_loses_it_between_two_questions_asks_for_no_update(github: GitHubStand) -> None:
    root = await github.push()
    head = await github.push()
    found = await github.port.read(github.name, None)
    lost = False

    def still_ours() -> None:
        if lost:
            raise LeaseLostError("another holder may have it")

    question = github.hold("POST /graphql", after=0)
    rewinding = asyncio.create_task(
        github.port.rewind(found, to=root, backup_branch="backup/1", still_ours=still_ours)
    )
    await question()
    lost = True
    with pytest.raises(LeaseLostError):
        await rewinding
    assert await github.refs() == {"main": head}


async def test_of_two_rewindings_at_once_one_does_it_and_both_say_the_same(github: GitHubStand) -> None:
    root = await github.push()
    head = await github.push()
    found = await github.port.read(github.name, None)
    both = await asyncio.gather(
        *(github.port.rewind(found, to=root, backup_branch="backup/1", still_ours=ours) for _ in range(2))
    )
    assert both[0] == both[1]
    assert await github.refs() == {"main": root, "backup/1": head}


async def test_operations_at_once_on_many_repositories_do_not_mix(
    hub: dict[str, str], github: GitHubStand
) -> None:
    stands = [GitHubStand(hub, f"{github.name}-{n}") for n in range(6)]
    roots = [await stand.push() for stand in stands]
    heads = [await stand.push() for stand in stands]
    branches = await asyncio.gather(*(github.port.read(stand.name, None) for stand in stands))
    await asyncio.gather(
        *(
            github.port.rewind(branch, to=root, backup_branch="backup/1", still_ours=ours)
            for branch, root in zip(branches, roots, strict=True)
        )
    )
    for stand, root, head in zip(stands, roots, heads, strict=True):
        assert await stand.refs() == {"main": root, "backup/1": head}


async def test_a_long_history_is_walked_page_by_page(github: GitHubStand) -> None:
    root = await github.push()
    for _ in range(105):
        await github.push()
    assert (await github.port.read(github.name, None)).root == root


async def test_what_is_left_alone_and_what_refuses_is_named(github: GitHubStand) -> None:
    sha = await github.push()
    await github.push("feature")
    await github.push("backup/old")
    github.control("POST", "/pulls", {"title": "A change", "head": "feature"})
    github.control("PUT", "/refs/tags/v1", {"sha": sha})
    await github.protect("main")
    found = await github.port.read(github.name, None)
    assert [refusal.detail for refusal in found.refusals] == [
        "rules of main forbid it: non_fast_forward (ruleset sandbox)"
    ]
    assert (found.beside.branches, found.beside.tags) == (("feature",), ("v1",))
    assert found.beside.pull_requests == (
        PullRequest(number=1, title="A change", head="feature", base="main"),
    )


async def test_a_refusal_names_the_rules_in_force(github: GitHubStand) -> None:
    root = await github.push()
    await github.push()
    await github.protect("main")
    found = await github.port.read(github.name, None)
    with pytest.raises(PermanentError, match=r"Cannot force-push.*rules of main: non_fast_forward"):
        await github.port.rewind(found, to=root, backup_branch="backup/1", still_ours=ours)


async def test_a_github_app_reads_with_its_installation_token(github: GitHubStand) -> None:
    root = await github.push()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    github.register_app(7, public.decode())
    connection = replace(
        github.connection, token=None, app_id=7, app_private_key=private, app_installation_id=1
    )
    found = await GitHubRepositories(connection).read(github.name, None)
    # GitHub says to every App that it may not push.
    assert (found.root, found.refusals) == (root, ())
    assert found.warnings == ()
    github.register_app(7, public.decode(), contents="read")
    (refusal,) = (await GitHubRepositories(connection).read(github.name, None)).refusals
    assert refusal.reason is Reason.REPOSITORY_FORBIDDEN
    assert "contents: write" in refusal.detail


async def test_a_hub_that_hangs_keeps_no_thread_from_anything_else(github: GitHubStand) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        hanging.setblocking(False)  # noqa: FBT003 - the module's own
        url = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        port = GitHubRepositories(replace(github.connection, api_url=url, request_timeout=1.0))
        reading = [asyncio.create_task(port.read(github.name, None)) for _ in range(40)]
        async with asyncio.timeout(10):
            first, _ = await asyncio.get_running_loop().sock_accept(hanging)
        async with asyncio.timeout(8):
            await asyncio.to_thread(str)
        for task in reading:
            task.cancel()
        await asyncio.wait(reading)
        first.close()
