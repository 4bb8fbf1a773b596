"""What GitHub would refuse at the git step is known when a branch is read; what only warns refuses nothing."""

from __future__ import annotations

import time
from typing import Any

import pytest

from daemon.ports.errors import PermanentError, TemporaryError
from schemas.reasons import Reason
from tests.contract.repositories.stands import GitHubStand, ours


@pytest.mark.parametrize("hidden", [["rules"], ["pulls"], ["branches"], ["tags"], ["rules", "pulls", "tags"]])
async def test_f4_what_only_warns_and_can_not_be_read_is_a_warning(
    github: GitHubStand, hidden: list[str]
) -> None:
    root = await github.push()
    github.control("PATCH", "/traits", {"hidden": hidden})
    found = await github.port.read(github.name, None)
    assert (found.root, found.refusals) == (root, ())
    assert len([warning for warning in found.warnings if "can't be read" in warning]) == len(hidden)


@pytest.mark.parametrize(("status", "what"), [(404, "rules/branches/main"), (451, "pulls")])
async def test_f4_an_older_server_that_does_not_know_the_question_refuses_nothing(
    github: GitHubStand, status: int, what: str
) -> None:
    await github.push()
    github.fault(
        match=f"GET /repos/fuse/{github.name}/{what}$",
        action="status",
        status=status,
        body={"message": "Not Found"},
    )
    found = await github.port.read(github.name, None)
    assert found.refusals == ()
    assert any("can't be read" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("traits", "said"),
    [
        ({"archived": True}, "archived"),
        ({"disabled": True}, "disabled"),
        ({"push": False}, "may not push"),
    ],
)
async def test_f5_what_refuses_every_push_is_known_when_it_is_read(
    github: GitHubStand, traits: dict[str, Any], said: str
) -> None:
    await github.push()
    github.control("PATCH", "/traits", traits)
    (refusal,) = (await github.port.read(github.name, None)).refusals
    assert said in refusal


async def test_f5_a_hub_that_does_not_say_who_may_push_is_a_warning(github: GitHubStand) -> None:
    await github.push()
    github.control("PATCH", "/traits", {"push": None})
    found = await github.port.read(github.name, None)
    assert found.refusals == ()
    assert any("may push can't be read" in warning for warning in found.warnings)


@pytest.mark.parametrize("hidden", [[], ["protection"], ["rules", "protection"]])
async def test_f9_classic_protection_without_a_ruleset_is_known_and_named(
    github: GitHubStand, hidden: list[str]
) -> None:
    await github.push()
    github.control("PATCH", "/traits", {"classic": {"main": False}, "hidden": hidden})
    (refusal,) = (await github.port.read(github.name, None)).refusals
    assert "main is a protected branch" in refusal


async def test_f9_classic_protection_that_allows_force_pushes_refuses_nothing(github: GitHubStand) -> None:
    root = await github.push()
    head = await github.push()
    github.control("PATCH", "/traits", {"classic": {"main": True}})
    found = await github.port.read(github.name, None)
    assert found.refusals == ()
    rewound = await github.port.rewind(found, to=root, backup_branch="backup/1", still_ours=ours)
    assert rewound.before == head


@pytest.mark.parametrize("rule", ["update", "pull_request", "required_status_checks", "non_fast_forward"])
async def test_f9_a_rule_that_forbids_it_is_known_and_one_that_is_bypassed_refuses_nothing(
    github: GitHubStand, rule: str
) -> None:
    await github.push()
    github.control("PUT", "/rules/main", [{"type": rule}, {"type": "deletion"}])
    (refusal,) = (await github.port.read(github.name, None)).refusals
    assert rule in refusal
    github.control("PATCH", "/traits", {"bypass": "always"})
    assert (await github.port.read(github.name, None)).refusals == ()
    github.control("PATCH", "/traits", {"bypass": "always", "hidden": ["rulesets"]})
    assert (await github.port.read(github.name, None)).refusals


async def test_f9_a_rule_that_forbids_the_backup_branch_is_known(github: GitHubStand) -> None:
    await github.push()
    github.control("PUT", "/rules/backup/*", [{"type": "creation"}])
    (refusal,) = (await github.port.read(github.name, None)).refusals
    assert "backup branch" in refusal


@pytest.mark.parametrize(
    ("body", "headers", "delay"),
    [
        (
            {"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]},
            {"Retry-After": "3"},
            3,
        ),
        ({"data": None, "errors": [{"type": "RATE_LIMITED"}]}, {"X-RateLimit-Remaining": "0"}, 77),
        ({"errors": [{"message": "Something went wrong while executing your query."}]}, {}, None),
        ({"errors": [{"type": "SERVICE_UNAVAILABLE", "message": "try again"}]}, {}, None),
    ],
)
async def test_f2_a_limit_that_comes_in_a_200_is_temporary_with_the_servers_delay(
    github: GitHubStand, body: dict[str, Any], headers: dict[str, str], delay: float | None
) -> None:
    root = await github.push()
    head = await github.push()
    found = await github.port.read(github.name, None)
    reset = {"X-RateLimit-Reset": str(int(time.time()) + 77)}
    github.fault(match="POST /graphql", action="status", status=200, body=body, headers=headers | reset)
    with pytest.raises(TemporaryError) as refused:
        await github.port.rewind(found, to=root, backup_branch="backup/1", still_ours=ours)
    assert refused.value.delay == (None if delay is None else pytest.approx(delay, abs=3))
    assert await github.refs() == {"main": head}


@pytest.mark.parametrize("kind", ["FORBIDDEN", "INSUFFICIENT_SCOPES"])
async def test_f2_a_right_that_is_lacking_is_permanent_and_says_which(github: GitHubStand, kind: str) -> None:
    root = await github.push()
    await github.push()
    found = await github.port.read(github.name, None)
    body = {"errors": [{"type": kind, "message": "needs contents: write"}]}
    github.fault(match="POST /graphql", action="status", status=200, body=body)
    with pytest.raises(PermanentError, match="contents: write") as refused:
        await github.port.rewind(found, to=root, backup_branch="backup/1", still_ours=ours)
    assert refused.value.reason is Reason.REPOSITORY_REFUSED
