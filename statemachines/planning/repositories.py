"""The repositories of a plan: which commit each goes back to, what refuses that, and what people are told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from schemas.catalog.catalog import Repository
from schemas.facts import RepositoryFact
from schemas.plan import PlannedRepository
from schemas.reasons import Reason
from schemas.repositories import RootCommit, listed
from statemachines.planning.case import Case
from statemachines.planning.gaps import REPOSITORY
from statemachines.refusals import Refused

_OR_WITHOUT = "or ask for the reset without git"


def root_of(case: Case, fact: RepositoryFact) -> RootCommit | None:
    """Return the commit to go back to: the only root, or the one that the catalog expects; None where that is open."""
    expected = _expected(case, fact.repository)
    if expected is not None:
        return next((root for root in fact.roots if root.sha == expected), None)
    return fact.roots[0] if len(fact.roots) == 1 else None


def repositories_are_identified(case: Case) -> Iterator[Refused]:
    """The root commit to go back to must be known, and be the expected one where the catalog names it."""
    if not case.selection.git or not case.facts.exists:
        return
    for name, fact in case.repositories():
        if len(_declared(case, name)) > 1:
            detail = f"the catalog's `repositories` name {name} more than once for {case.environment}"
            yield Refused(Reason.REPOSITORY_UNIDENTIFIED, detail, by_rule=False)
        elif fact is None:
            yield _unread(case, name)
        elif root_of(case, fact) is None:
            yield _without_root(case, fact)


def repositories_take_the_rewinding(case: Case) -> Iterator[Refused]:
    """What the hub would refuse at the git step is refused before anything is destroyed, as far as it can be known."""
    if not case.selection.git:
        return
    for name, fact in case.repositories():
        for refusal in fact.refusals if fact is not None else ():
            detail = f"{name}: GitHub would refuse to rewind it: {refusal.detail}; {_OR_WITHOUT}"
            yield Refused(refusal.reason, detail, by_rule=False)


def planned_repositories(case: Case) -> tuple[PlannedRepository, ...]:
    """List the repositories that the plan rewinds, with what stands beside each, for people."""
    return tuple(
        PlannedRepository(
            repository=name,
            key=fact.key,
            branch=fact.branch,
            head=fact.head,
            root=root,
            beside=fact.beside,
        )
        for name, fact, root in _rewound(case)
    )


def workflow_repositories(case: Case) -> Iterator[str]:
    """Say what becomes of the repositories, which belong to a client and not to an environment."""
    if not case.selection.git:
        names = ", ".join(name for name, _ in case.repositories())
        if names:
            yield f"The workflow repository {names} is left as it is; database seeding does not reset it."
        return
    for name, fact, root in _rewound(case):
        others = [user for user in case.facts.users.get(fact.key, ()) if user != case.environment]
        also = f"; {', '.join(others)} uses it, too" if others else ""
        yield f"{name} goes back to its initial commit on {fact.branch}; a backup branch keeps its head{also}."
        if len(fact.roots) > 1:
            yield (
                f"{name} has {len(fact.roots)} root commits on {fact.branch}; the catalog says that it goes back to "
                f"{_root(root)}."
            )
        yield from (f"{name}: {text}" for text in (*_beside(fact), *fact.warnings))


def _beside(fact: RepositoryFact) -> Iterator[str]:
    beside = fact.beside
    if beside.pull_requests:
        pulls = listed(beside.pull_requests, beside.more_pull_requests)
        yield f"open pull requests are orphaned by the rewinding of {fact.branch}: {pulls}"
    if beside.branches:
        yield f"other branches are left alone: {listed(beside.branches, beside.more_branches)}"
    if beside.tags:
        yield f"tags are left alone: {listed(beside.tags, beside.more_tags)}"
    for what in beside.unread:
        yield f"whether there are {what} can't be read: GitHub does not say"


def _rewound(case: Case) -> Iterator[tuple[str, RepositoryFact, RootCommit]]:
    if not case.selection.git:
        return
    for name, fact in case.repositories():
        root = root_of(case, fact) if fact is not None else None
        if fact is not None and root is not None:
            yield name, fact, root


def _expected(case: Case, name: str) -> str | None:
    """Return the root that the catalog names. The rules let no repository through that it names twice."""
    return _declared(case, name)[0].expected_root


def _declared(case: Case, name: str) -> list[Repository]:
    return [each for each in case.catalog.repositories if each.name_for(case.environment) == name]


def _unread(case: Case, name: str) -> Refused:
    why = case.unreadable(None, f"{REPOSITORY}{name}")
    detail = f"the repository {name} could not be read"
    if why is None:
        return Refused(Reason.REPOSITORY_UNIDENTIFIED, detail, by_rule=False)
    return Refused(why.reason, f"{detail}: {why.detail}", temporary=why.temporary, by_rule=False)


def _without_root(case: Case, fact: RepositoryFact) -> Refused:
    roots = _roots(fact.roots)
    expected = _expected(case, fact.repository)
    if expected is not None:
        detail = f"the root commit of {fact.repository} is {roots}, the catalog expects {expected}"
        return Refused(Reason.REPOSITORY_UNIDENTIFIED, detail, by_rule=False)
    detail = (
        f"{fact.repository}: {fact.branch} descends from {len(fact.roots)} root commits: {roots}. Name the initial one "
        f"as `expectedRoot` in the catalog's `repositories`, {_OR_WITHOUT}"
    )
    return Refused(Reason.REPOSITORY_SEVERAL_ROOTS, detail, by_rule=False)


def _roots(roots: Iterable[RootCommit]) -> str:
    return ", ".join(map(_root, roots))


def _root(root: RootCommit) -> str:
    return f"{root.sha} ({root.title})" if root.title else root.sha
