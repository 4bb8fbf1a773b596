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
    unread = [warning for warning in found.warnings if "can't be read" in warning]
    assert len(unread) + len(found.beside.unread) == len(hidden)


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
    assert found.beside.unread or any("can't be read" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("traits", "reason", "said"),
    [
        ({"archived": True}, "repository-archived", "archived"),
        ({"disabled": True}, "repository-archived", "disabled"),
        ({"push": False}, "repository-forbidden", "may not push"),
    ],
)
async def test_f5_what_refuses_every_push_is_known_when_it_is_read(
    github: GitHubStand, traits: dict[str, Any], reason: str, said: str
) -> None:
    await github.push()
    github.control("PATCH", "/traits", traits)
    (refusal,) = (await github.port.read(github.name, None)).refusals
    assert refusal.reason.value == reason
    assert said in refusal.detail


async def test_f5_a_hub_that_does_not_say_who_may_push_is_refused(github: GitHubStand) -> None:
    await github.push()
    github.control("PATCH", "/traits", {"push": None})
    (refusal,) = (await github.port.read(github.name, None)).refusals
    assert "does not say that the account may push" in refusal.detail


@pytest.mark.parametrize("hidden", [[], ["protection"], ["rules", "protection"]])
async def test_f9_classic_protection_without_a_ruleset_is_known_and_named(
    github: GitHubStand, hidden: list[str]
) -> None:
    await github.push()
    github.control("PATCH", "/traits", {"classic": {"main": False}, "hidden": hidden})
    (refusal,) = (await github.port.read(github.name, None)).refusals
    assert refusal.reason is (Reason.REPOSITORY_FORBIDDEN if hidden else Reason.REPOSITORY_PROTECTED)
    assert "main is a protected branch" in refusal.detail


async def test_f9_classic_protection_that_allows_force_pushes_refuses_nothing(github: GitHubStand) -> None:
    root = await github.push()
    head = await github.push()
    github.control("PATCH", "/traits", {"classic": {"main": True}})
    found = await github.port.read(github.name, None)
    assert found.refusals == ()
    rewound = await github.port.rewind(found, to=root, backup_branch="backup/1", still_ours=ours)
    assert rewound.before == head


async def test_f9_classic_protection_beside_a_harmless_ruleset_is_known(github: GitHubStand) -> None:
    await github.push()
    github.control("PUT", "/rules/main", [{"type": "deletion"}])
    assert (await github.port.read(github.name, None)).refusals == ()
    github.control("PATCH", "/traits", {"classic": {"main": False}})
    (refusal,) = (await github.port.read(github.name, None)).refusals
    assert "no force pushes" in refusal.detail


_NOBODY: dict[str, list[object]] = {"users": [], "teams": [], "apps": []}


@pytest.mark.parametrize(
    ("protection", "refused"),
    [
        ({"lock_branch": {"enabled": True}}, "locked"),
        ({"required_status_checks": {"strict": False, "contexts": ["ci"], "checks": []}}, "status checks"),
        ({"required_pull_request_reviews": {"required_approving_review_count": 1}}, "pull requests"),
        ({"restrictions": _NOBODY}, "who may push"),
        ({"restrictions": {**_NOBODY, "apps": [{"slug": "resetd"}]}}, None),
        ({"lock_branch": {"enabled": False}, "required_signatures": {"enabled": False}}, None),
    ],
)
async def test_f9_classic_protection_that_allows_force_pushes_may_forbid_it_by_something_else(
    github: GitHubStand, protection: dict[str, Any], refused: str | None
) -> None:
    await github.push()
    github.control("PATCH", "/traits", {"classic": {"main": True}, "protection": protection})
    refusals = (await github.port.read(github.name, None)).refusals
    assert [refused in each.detail for each in refusals if refused] == ([True] if refused else [])
    assert len(refusals) == (1 if refused else 0)


async def test_f9_a_rule_of_an_unknown_kind_is_a_warning(github: GitHubStand) -> None:
    await github.push()
    github.control("PUT", "/rules/main", [{"type": "max_file_size"}])
    found = await github.port.read(github.name, None)
    assert found.refusals == ()
    assert "rules of main may refuse the rewinding: max_file_size" in found.warnings


@pytest.mark.parametrize("what", ["pulls", "tags", "branches"])
@pytest.mark.parametrize("action", ["drop-before", "status", "garbage-after"])
async def test_f4_what_only_warns_may_fail_in_any_way(github: GitHubStand, what: str, action: str) -> None:
    root = await github.push()
    github.fault(match=f"GET /repos/fuse/{github.name}/{what}$", action=action, times=3)
    try:
        found = await github.port.read(github.name, None)
    finally:
        github.mend()
    assert (found.root, found.refusals) == (root, ())
    assert {"pulls": "pull requests"}.get(what, what) in found.beside.unread


async def test_f4_rules_that_are_no_list_are_not_taken_for_none(github: GitHubStand) -> None:
    await github.push()
    github.fault(
        match=f"GET /repos/fuse/{github.name}/rules", action="status", status=200, body={"rules": "none"}
    )
    with pytest.raises(PermanentError) as refused:
        await github.port.read(github.name, None)
    assert refused.value.hint


@pytest.mark.parametrize("rule", ["update", "pull_request", "required_status_checks", "non_fast_forward"])
async def test_f9_a_rule_that_forbids_it_is_known_and_one_that_is_bypassed_refuses_nothing(
    github: GitHubStand, rule: str
) -> None:
    await github.push()
    github.control("PUT", "/rules/main", [{"type": rule}, {"type": "deletion"}])
    (refusal,) = (await github.port.read(github.name, None)).refusals
    assert refusal.reason is Reason.REPOSITORY_RULESET
    assert rule in refusal.detail
    github.control("PATCH", "/traits", {"bypass": "always"})
    assert (await github.port.read(github.name, None)).refusals == ()
    github.control("PATCH", "/traits", {"bypass": "always", "hidden": ["rulesets"]})
    assert (await github.port.read(github.name, None)).refusals


async def test_f9_a_rule_that_forbids_the_backup_branch_is_known(github: GitHubStand) -> None:
    await github.push()
    github.control("PUT", "/rules/backup/*", [{"type": "creation"}])
    (refusal,) = (await github.port.read(github.name, None)).refusals
    assert "backup branch" in refusal.detail


@pytest.mark.parametrize(
    ("body", "headers", "delay"),
    [
        (
            {"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]},
            {"Retry-After": "3"},
            3,
        ),
        ({"data": None, "errors": [{"type": "RATE_LIMITED"}]}, {"X-RateLimit-Remaining": "0"}, 77),
        ({"errors": [{"type": "rate_limited"}]}, {}, 77),
        ({"message": "You have exceeded a secondary rate limit."}, {"Retry-After": "4"}, 4),
        ({"errors": [{"type": "FORBIDDEN", "message": "abuse detection"}]}, {"Retry-After": "5"}, 5),
        (
            {"errors": [{"type": "RATE_LIMITED"}]},
            {"Retry-After": "Wed, 01 Jan 2200 00:00:00 GMT"},
            3600,
        ),
        ({"errors": [{"type": "RATE_LIMITED"}, {"type": "UNPROCESSABLE"}]}, {"Retry-After": "nan"}, 77),
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


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ({"type": "UNPROCESSABLE", "message": "API rate limit exceeded, says a rule"}, "repository-refused"),
        ({"type": "NOT_FOUND", "message": "secondary rate limit"}, "repository-unidentified"),
        ({"message": "Field is unknown", "extensions": {"code": "undefinedField"}}, "repository-refused"),
    ],
)
async def test_f2_the_type_of_an_error_counts_before_its_text(
    github: GitHubStand, error: dict[str, Any], reason: str
) -> None:
    root = await github.push()
    await github.push()
    found = await github.port.read(github.name, None)
    github.fault(match="POST /graphql", action="status", status=200, body={"errors": [error, error]}, times=1)
    with pytest.raises(PermanentError) as refused:
        await github.port.rewind(found, to=root, backup_branch="backup/1", still_ours=ours)
    assert refused.value.reason.value == reason
    assert refused.value.hint


@pytest.mark.parametrize("kind", ["FORBIDDEN", "INSUFFICIENT_SCOPES"])
async def test_f2_a_right_that_is_lacking_is_permanent_and_says_which(github: GitHubStand, kind: str) -> None:
    root = await github.push()
    await github.push()
    found = await github.port.read(github.name, None)
    body = {"errors": [{"type": kind, "message": "needs contents: write"}]}
    github.fault(match="POST /graphql", action="status", status=200, body=body)
    with pytest.raises(PermanentError, match="contents: write") as refused:
        await github.port.rewind(found, to=root, backup_branch="backup/1", still_ours=ours)
    assert refused.value.reason is Reason.REPOSITORY_FORBIDDEN


async def test_a_right_that_is_taken_away_after_the_reading_is_told_by_its_own_reason(
    github: GitHubStand,
) -> None:
    root = await github.push()
    head = await github.push()
    found = await github.port.read(github.name, None)
    github.control("PATCH", "/traits", {"push": False})
    with pytest.raises(PermanentError) as refused:
        await github.port.rewind(found, to=root, backup_branch="backup/1", still_ours=ours)
    assert refused.value.reason is Reason.REPOSITORY_FORBIDDEN
    assert await github.refs() == {"main": head}


async def test_a_repository_that_the_account_may_not_read_is_forbidden(github: GitHubStand) -> None:
    await github.push()
    body = {"message": "Resource not accessible by personal access token"}
    github.fault(match=f"GET /repos/fuse/{github.name}$", action="status", status=403, body=body)
    with pytest.raises(PermanentError) as refused:
        await github.port.read(github.name, None)
    assert refused.value.reason is Reason.REPOSITORY_FORBIDDEN


async def test_pull_requests_to_the_branch_and_from_it_are_named_and_the_rest_is_counted(
    github: GitHubStand,
) -> None:
    await github.push()
    await github.push("feature")
    for number in range(51):
        github.control("POST", "/pulls", {"title": f"Change {number}\nmore", "head": "feature"})
    github.control("POST", "/pulls", {"title": "Release", "head": "main", "base": "feature"})
    github.control("POST", "/pulls", {"title": "Elsewhere", "head": "feature", "base": "other"})
    beside = (await github.port.read(github.name, None)).beside
    assert [pull.number for pull in beside.pull_requests] == list(range(1, 21))
    assert str(beside.pull_requests[11]) == "12 (Change 11, from feature to main)"
    assert beside.more_pull_requests == 32


async def test_backup_branches_hide_no_other_branch(github: GitHubStand) -> None:
    sha = await github.push()
    for number in range(101):
        github.control("PUT", f"/refs/heads/backup/{number:03d}", {"sha": sha})
    await github.push("feature")
    assert (await github.port.read(github.name, None)).beside.branches == ("feature",)
