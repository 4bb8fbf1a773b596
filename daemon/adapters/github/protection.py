"""What GitHub would refuse at the git step, looked at while the plan is made: nothing has been destroyed by then.

Sources: GitHub's REST reference, "Rules", "Branch protection" and "Repositories". What can't be read is a warning where
it only warns, and a refusal where the branch is known to be protected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from github import GithubException
from github.Repository import Repository

_RULES_AGAINST_REWINDING = frozenset(
    {
        "non_fast_forward",
        "update",
        "pull_request",
        "merge_queue",
        "required_status_checks",
        "required_deployments",
        "required_signatures",
        "required_linear_history",
    }
)
_RULES_AGAINST_BACKUPS = frozenset({"creation"})
_BYPASSING = frozenset({"always", "exempt"})
"""Values of `current_user_can_bypass` of a ruleset with which its rules bind others only."""
_A_BACKUP = "backup/00000000-0000-7000-8000-000000000000"
"""A name as backup branches have it. Rules can be asked for before the branch is made."""
_NOT_LET = frozenset({403, 404, 451})
"""Statuses with which GitHub keeps something from an account, or from a plan or a version that has no such thing."""

_Answer = TypeVar("_Answer")


def readable(look: Callable[[], _Answer]) -> _Answer | None:
    """Return what `look` finds; None where GitHub keeps it from the account.

    Raises:
        GithubException: any other error.
    """
    try:
        return look()
    except GithubException as error:
        # A limit is also a 403, and passes: it is no answer about rights.
        limited = error.headers is not None and {"retry-after"} & {name.lower() for name in error.headers}
        remaining = (error.headers or {}).get("x-ratelimit-remaining")
        if error.status not in _NOT_LET or limited or remaining == "0":
            raise
        return None


def look_at_protection(
    repository: Repository, branch: str, *, protected: bool
) -> tuple[list[str], list[str]]:
    """Return why GitHub would refuse to rewind the branch, and what can't be told about that."""
    refusals, warnings = _of_repository(repository.raw_data)
    of_branch = readable(lambda: rules(repository, branch))
    of_backups = readable(lambda: rules(repository, _A_BACKUP))
    if of_branch is None:
        warnings.append(f"the rules of {branch} can't be read: GitHub does not let the account")
    binding = _binding(repository, of_branch or [], _RULES_AGAINST_REWINDING)
    if binding:
        refusals.append(f"rules of {branch} forbid it: {', '.join(binding)}")
    if _binding(repository, of_backups or [], _RULES_AGAINST_BACKUPS):
        refusals.append("a rule forbids to make its backup branch: creation")
    if protected and not of_branch:
        refusals += _classic(repository, branch)
    return refusals, warnings


def rules(repository: Repository, branch: str) -> list[dict[str, Any]]:
    """Return the rules in force for a branch. GitHub also lists rules that the caller may bypass."""
    path = f"{repository.url}/rules/branches/{quote(branch)}"
    _, data = repository.requester.requestJsonAndCheck("GET", path)
    found: Any = data
    return [dict(rule) for rule in found]


def kinds_of_rules(repository: Repository, branch: str) -> list[str]:
    """Return the kinds of rules in force for a branch, sorted; none where they can't be read."""
    return sorted({str(rule["type"]) for rule in readable(lambda: rules(repository, branch)) or []})


def _of_repository(answer: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    refusals = [f"the repository is {trait}" for trait in ("archived", "disabled") if answer.get(trait)]
    permissions = answer.get("permissions")
    if not isinstance(permissions, dict) or "push" not in permissions:
        return refusals, ["whether the account may push can't be read: GitHub does not say"]
    if not permissions["push"]:
        refusals.append("the account may not push")
    return refusals, []


def _binding(
    repository: Repository, found: Sequence[Mapping[str, Any]], forbidding: frozenset[str]
) -> list[str]:
    """The kinds of rules that forbid it and that the account may not bypass, as far as GitHub says."""
    may_bypass: dict[object, bool] = {}
    binding = set()
    for rule in found:
        number = rule.get("ruleset_id")
        if rule["type"] not in forbidding:
            continue
        if number not in may_bypass:
            may_bypass[number] = _bypasses(repository, number)
        if not may_bypass[number]:
            binding.add(str(rule["type"]))
    return sorted(binding)


def _bypasses(repository: Repository, ruleset: object) -> bool:
    path = f"{repository.url}/rulesets/{ruleset}"
    answer = readable(lambda: repository.requester.requestJsonAndCheck("GET", path)[1])
    return isinstance(answer, dict) and answer.get("current_user_can_bypass") in _BYPASSING


def _classic(repository: Repository, branch: str) -> list[str]:
    """Why classic branch protection would refuse it. Only `allow_force_pushes` shows that it would not."""
    path = f"{repository.url}/branches/{quote(branch)}/protection"
    answer = readable(lambda: repository.requester.requestJsonAndCheck("GET", path)[1])
    if not isinstance(answer, dict):
        unknown = "its protection can't be read: whether it allows force pushes can't be told"
        return [f"{branch} is a protected branch, and {unknown}"]
    allowed = answer.get("allow_force_pushes")
    if isinstance(allowed, dict) and allowed.get("enabled") is True:
        return []
    return [f"{branch} is a protected branch that allows no force pushes"]
