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

from daemon.adapters.github.beside import short
from daemon.adapters.github.connection import PAGE_SIZE, permissions_of_app
from daemon.adapters.github.errors import is_limit
from schemas.reasons import Reason
from schemas.repositories import RepositoryRefusal

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
_RULES_AGAINST_BACKUPS = frozenset({"creation", "branch_name_pattern"})
_RULES_ABOUT_OTHER_THINGS = frozenset({"deletion", "creation", "branch_name_pattern", "tag_name_pattern"})
"""Rules that a forced update of a branch to an older commit does not meet."""
_BYPASSING = frozenset({"always", "exempt"})
"""Values of `current_user_can_bypass` of a ruleset with which its rules bind others only."""
_A_BACKUP = "backup/00000000-0000-7000-8000-000000000000"
"""A name as backup branches have it. Rules can be asked for before the branch is made."""
_NOT_LET = frozenset({403, 404, 410, 451, 501})
"""Statuses with which GitHub keeps something from an account, or from a plan or a version that has no such thing."""
_NO_CLASSIC = "branch not protected"

_Answer = TypeVar("_Answer")


def readable(look: Callable[[], _Answer]) -> _Answer | None:
    """Return what `look` finds; None where GitHub keeps it from the account.

    Raises:
        GithubException: any other error.
    """
    try:
        return look()
    except GithubException as error:
        # A limit is also a 403, and passes: it is no answer about rights. A redirect leads to another repository.
        if error.status not in _NOT_LET or is_limit(error):
            raise
        return None


def look_at_protection(
    repository: Repository, branch: str, answer: Mapping[str, Any]
) -> tuple[list[RepositoryRefusal], list[str]]:
    """Return why GitHub would refuse to rewind the branch, and what can't be told about that.

    `answer` is GitHub's of the branch.
    """
    refusals, warnings = _of_repository(repository)
    of_branch = readable(lambda: rules(repository, branch))
    of_backups = readable(lambda: rules(repository, _A_BACKUP))
    if of_branch is None:
        warnings.append(f"the rules of {branch} can't be read: GitHub does not let the account")
    binding = _binding(repository, of_branch or [], _RULES_AGAINST_REWINDING)
    if binding:
        refusals.append(_by_ruleset(f"rules of {branch} forbid it: {', '.join(binding)}"))
    known = _RULES_AGAINST_REWINDING | _RULES_ABOUT_OTHER_THINGS
    others = sorted({str(rule["type"]) for rule in of_branch or []} - known)
    if others:
        warnings.append(f"rules of {branch} may refuse the rewinding: {', '.join(others)}")
    against_backups = _binding(repository, of_backups or [], _RULES_AGAINST_BACKUPS)
    if against_backups:
        refusals.append(
            _by_ruleset(f"a rule forbids to make its backup branch: {', '.join(against_backups)}")
        )
    # `protected` is also true where rules alone protect it; `enabled` is of classic protection only.
    classic = answer.get("protection") or {}
    if answer.get("protected") and (not of_branch or classic.get("enabled") is not False):
        more = _classic(repository, branch, rules_are_known=of_branch is not None)
        refusals += more[0]
        warnings += more[1]
    return refusals, warnings


def rules(repository: Repository, branch: str) -> list[dict[str, Any]]:
    """Return the rules in force for a branch. GitHub also lists rules that the caller may bypass."""
    path = f"{repository.url}/rules/branches/{quote(branch)}"
    _, data = repository.requester.requestJsonAndCheck("GET", path, parameters={"per_page": PAGE_SIZE})
    found: Any = data
    if not isinstance(found, list):
        raise TypeError("a list of rules was asked for")
    return [dict(rule) for rule in found]


def kinds_of_rules(repository: Repository, branch: str) -> list[str]:
    """Return the kinds of rules in force for a branch, sorted; none where they can't be read."""
    return sorted({str(rule["type"]) for rule in readable(lambda: rules(repository, branch)) or []})


def _by_ruleset(detail: str) -> RepositoryRefusal:
    return RepositoryRefusal(reason=Reason.REPOSITORY_RULESET, detail=detail)


def _forbidden(detail: str) -> RepositoryRefusal:
    return RepositoryRefusal(reason=Reason.REPOSITORY_FORBIDDEN, detail=detail)


def _of_repository(repository: Repository) -> tuple[list[RepositoryRefusal], list[str]]:
    answer = repository.raw_data
    refusals = [
        RepositoryRefusal(reason=Reason.REPOSITORY_ARCHIVED, detail=f"the repository is {trait}")
        for trait in ("archived", "disabled")
        if answer.get(trait)
    ]
    permissions = answer.get("permissions")
    said = permissions if isinstance(permissions, dict) else {}
    if any(said.get(right) is True for right in ("push", "maintain", "admin")):
        return refusals, []
    granted = permissions_of_app(repository.requester.auth)
    if granted is not None and granted.get("contents") != "write":
        has = granted.get("contents") or "none"
        refusals.append(_forbidden(f"the GitHub App may not push: it needs contents: write, and has {has}"))
    elif granted is None and _is_installation(repository):
        warnings = ["whether the GitHub App may push (contents: write) can't be read before it is tried"]
        return refusals, warnings
    elif granted is None:
        detail = "the account may not push (contents: write)"
        refusals.append(_forbidden(detail if said else "GitHub does not say that the account may push"))
    return refusals, []


def _is_installation(repository: Repository) -> bool:
    """Whether the token is of a GitHub App's installation: for these `push` is false whatever the App may do."""
    path = "/installation/repositories"
    try:
        _, answer = repository.requester.requestJsonAndCheck("GET", path, parameters={"per_page": 1})
    except GithubException as error:
        if is_limit(error):
            raise
        return False
    return isinstance(answer, dict) and "repositories" in answer


def _binding(
    repository: Repository, found: Sequence[Mapping[str, Any]], forbidding: frozenset[str]
) -> list[str]:
    """The kinds of rules that forbid it and that the account may not bypass, each with its ruleset."""
    rulesets: dict[object, Mapping[str, Any]] = {}
    binding = set()
    for rule in found:
        number = rule.get("ruleset_id")
        if rule["type"] not in forbidding:
            continue
        if number not in rulesets:
            rulesets[number] = _ruleset(repository, number)
        if rulesets[number].get("current_user_can_bypass") not in _BYPASSING:
            name = rulesets[number].get("name")
            binding.add(f"{rule['type']} (ruleset {short(str(name))})" if name else str(rule["type"]))
    return sorted(binding)


def _ruleset(repository: Repository, number: object) -> Mapping[str, Any]:
    """Return a ruleset; nothing where it can't be read, as one of the organisation's may be."""
    path = f"{repository.url}/rulesets/{number}"
    answer: Any = readable(lambda: repository.requester.requestJsonAndCheck("GET", path)[1])
    return answer if isinstance(answer, dict) else {}


def _classic(
    repository: Repository, branch: str, *, rules_are_known: bool
) -> tuple[list[RepositoryRefusal], list[str]]:
    """Why classic branch protection would refuse it, and what can't be told. Only what is shown refuses nothing."""
    path = f"{repository.url}/branches/{quote(branch)}/protection"
    try:
        _, found = repository.requester.requestJsonAndCheck("GET", path)
    except GithubException as error:
        if error.status not in _NOT_LET or is_limit(error):
            raise
        if rules_are_known and _NO_CLASSIC in str(error).lower():
            return [], [f"{branch} is a protected branch: it may refuse the rewinding"]
        found = None
    if not isinstance(found, dict):
        unknown = "its protection can't be read (administration: read): whether it allows force pushes can't be told"
        return [_forbidden(f"{branch} is a protected branch, and {unknown}")], []
    refusals, warnings = _of_protection(
        found, branch, admin=bool((repository.raw_data.get("permissions") or {}).get("admin"))
    )
    protected = Reason.REPOSITORY_PROTECTED
    return [RepositoryRefusal(reason=protected, detail=detail) for detail in refusals], warnings


def _of_protection(found: Mapping[str, Any], branch: str, *, admin: bool) -> tuple[list[str], list[str]]:
    refusals: list[str] = []
    warnings: list[str] = []
    if not _enabled(found, "allow_force_pushes"):
        refusals.append(f"{branch} is a protected branch that allows no force pushes")
    if _enabled(found, "lock_branch"):
        refusals.append(f"{branch} is a protected branch that is locked")
    if admin and not _enabled(found, "enforce_admins"):
        return refusals, warnings
    if found.get("required_status_checks"):
        refusals.append(f"{branch} is a protected branch that asks for status checks")
    reviews = found.get("required_pull_request_reviews")
    lists = {
        "asks for pull requests": reviews and (reviews.get("bypass_pull_request_allowances") or {}),
        "restricts who may push": found.get("restrictions"),
    }
    for what, exempt in lists.items():
        if exempt is None:
            continue
        text = f"{branch} is a protected branch that {what}"
        if any(exempt.get(kind) for kind in ("users", "teams", "apps")):
            warnings.append(f"{text}: see that the account is among those who may")
        else:
            refusals.append(text)
    return refusals, warnings


def _enabled(found: Mapping[str, Any], name: str) -> bool:
    section = found.get(name)
    return isinstance(section, dict) and section.get("enabled") is True
