"""Which commit a repository goes back to, why it does not, and what people see of it in the plan."""

from __future__ import annotations

import pytest

from schemas.catalog.catalog import Catalog, Repository
from schemas.facts import Facts, Unreadable
from schemas.plan import Plan, StepKind
from schemas.reasons import Reason
from schemas.repositories import Beside, PullRequest, RepositoryRefusal, RootCommit
from schemas.resets import Channel
from statemachines.planning.planner import plan
from statemachines.refusals import Refusal
from tests.unit.statemachines.planner.world import CATALOG, LOADED, facts, planned, refused, request

ONE, TWO = RootCommit(sha="b" * 40, title="Initial commit"), RootCommit(sha="c" * 40, title="Another start")


def changed(**changes: object) -> Facts:
    known = facts()
    return known.model_copy(
        update={"repositories": tuple(fact.model_copy(update=changes) for fact in known.repositories)}
    )


def catalog(*repositories: Repository) -> Catalog:
    return CATALOG.model_copy(update={"repositories": repositories})


def expecting(root: str) -> Catalog:
    return catalog(CATALOG.repositories[0].model_copy(update={"expected_root": root}))


def answered(known: Facts, of: Catalog) -> Plan | Refusal:
    return plan(request(), Channel.HTTP, of, LOADED.id, known)


def test_several_roots_are_refused_with_each_of_them_named() -> None:
    refusal = refused(known=changed(roots=(ONE, TWO)))
    assert refusal.reason is Reason.REPOSITORY_SEVERAL_ROOTS
    assert all(root.sha in refusal.detail and root.title in refusal.detail for root in (ONE, TWO))
    assert "expectedRoot" in refusal.detail


@pytest.mark.parametrize("meant", [ONE, TWO])
def test_of_several_roots_the_catalogs_is_meant_and_all_are_agreed_to(meant: RootCommit) -> None:
    made = answered(changed(roots=(ONE, TWO)), expecting(meant.sha))
    assert isinstance(made, Plan)
    (step,) = (step for step in made.steps if step.kind is StepKind.RESET_REPOSITORY)
    assert (step.repository_root, step.repository_roots) == (meant.sha, (ONE.sha, TWO.sha))
    assert any("2 root commits" in warning and meant.sha in warning for warning in made.warnings)


def test_a_root_that_is_none_of_the_branch_is_refused_with_what_there_is() -> None:
    refusal = answered(changed(roots=(ONE, TWO)), expecting("d" * 40))
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.REPOSITORY_UNIDENTIFIED
    assert TWO.sha in refusal.detail


def test_another_root_is_another_plan() -> None:
    assert planned(known=changed(roots=(TWO,))).hash != planned().hash


@pytest.mark.parametrize(
    "reason",
    [
        Reason.REPOSITORY_RULESET,
        Reason.REPOSITORY_PROTECTED,
        Reason.REPOSITORY_FORBIDDEN,
        Reason.REPOSITORY_ARCHIVED,
    ],
)
def test_what_the_hub_would_refuse_has_a_reason_of_its_own(reason: Reason) -> None:
    because = RepositoryRefusal(reason=reason, detail="why")
    assert refused(known=changed(refusals=(because,))).reason is reason


def test_an_empty_repository_has_a_reason_of_its_own() -> None:
    gap = Unreadable(
        environment="qa-sandbox",
        subject="repository qa-workflows",
        reason=Reason.REPOSITORY_EMPTY,
        detail="it has no commit",
        protected=False,
    )
    blind = facts().model_copy(update={"repositories": (), "unreadable": (gap,)})
    assert refused(known=blind).reason is Reason.REPOSITORY_EMPTY


def test_the_plan_lists_what_stands_beside_the_branch_and_it_is_not_hashed() -> None:
    beside = Beside(
        pull_requests=(PullRequest(number=12, title="Add closing", head="closing", base="main"),),
        more_pull_requests=31,
        branches=("closing", "release"),
        tags=("v1",),
        more_tags=2,
        unread=("branches",),
    )
    made = planned(known=changed(beside=beside))
    (repository,) = made.repositories
    assert (repository.beside, repository.root, repository.branch) == (beside, ONE, "main")
    text = "\n".join(made.warnings)
    assert "orphaned by the rewinding of main: 12 (Add closing, from closing to main), and 31 more" in text
    assert "other branches are left alone: closing, release" in text
    assert "tags are left alone: v1, and 2 more" in text
    assert "whether there are branches can't be read" in text
    assert made.hash == planned().hash


def test_a_plan_without_git_lists_no_repository() -> None:
    assert planned(request(git=False)).repositories == ()


def test_a_repository_that_the_catalog_names_twice_for_an_environment_is_refused() -> None:
    refusal = answered(
        facts(), catalog(CATALOG.repositories[0], Repository(pattern="qa-workflows", branch="x"))
    )
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.REPOSITORY_UNIDENTIFIED
    assert "more than once" in refusal.detail
