"""What the tools print when they fail, read by the shipped catalog: cause, hint, and whether it may pass by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from daemon.config.catalog_file import load_catalog
from schemas.plan import PlannedStep
from schemas.reasons import Reason
from schemas.requests import Mode
from schemas.resets import Outcome
from statemachines.steps.exit_codes import outcome_of_command
from tests.unit.statemachines.planner.world import planned, request

if TYPE_CHECKING:
    from tests.contract.services.conftest import Container, Pods

STEPS: dict[str, PlannedStep] = {
    str(step.name): step for mode in Mode for step in planned(request(mode=mode)).steps
}
NOWHERE = "postgresql://app:secret@127.0.0.1:1/none"
SHOWN_LINES = 20


def outcome(pod: Container, name: str, **variables: str) -> Outcome:
    """What the catalog makes of a step's own command, run to its end."""
    step = STEPS[name]
    code, out, err = pod.sh(step.argv[2], **variables)
    assert code != 0, out + err
    return outcome_of_command(step, code, "\n".join((out + err).splitlines()[-SHOWN_LINES:]))


def test_the_catalog_under_test_is_the_shipped_one() -> None:
    assert load_catalog().catalog.services


@pytest.mark.parametrize(
    ("service", "step"),
    [
        ("ui-builder-api", "seed.ui-builder-api.deploy"),
        ("workflow-api", "seed.workflow-api.deploy"),
        ("los-core-api", "seed.los-core-api.system"),
        ("los-integrations", "seed.los-integrations.reset"),
    ],
)
def test_a_database_that_does_not_answer_is_waited_for(pods: Pods, service: str, step: str) -> None:
    ended = outcome(pods.container(service), step, DATABASE_URL=NOWHERE)
    assert (ended.cause, ended.temporary) == (Reason.DATABASE_UNREACHABLE, True)
    assert ended.hint


def test_a_migration_that_is_refused_and_the_next_deploy_after_it(pods: Pods) -> None:
    pod = pods.container("ui-builder-api")
    bad = pod.directory / "prisma/migrations/20300101000000_bad"
    bad.mkdir()
    (bad / "migration.sql").write_text("CREATE TABLE twice (id int);\nCREATE TABLE twice (id int);\n")
    first, second = (outcome(pod, "seed.ui-builder-api.deploy") for _ in range(2))
    assert (first.cause, first.temporary) == (Reason.MIGRATION_FAILED, False)
    assert (second.cause, second.temporary) == (Reason.MIGRATION_FAILED_BEFORE, False)
    assert "migrate status" in (first.hint or "")
    assert second.hint


def test_a_migration_lock_that_another_holds_is_waited_for(pods: Pods) -> None:
    pod = pods.container("ui-builder-api")
    with psycopg.connect(pod.urls["DATABASE_URL"].partition("?")[0], autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(72707369)")
        ended = outcome(pod, "seed.ui-builder-api.deploy")
    assert (ended.cause, ended.temporary) == (Reason.MIGRATION_LOCKED, True)


def test_a_type_orm_migration_that_fails(pods: Pods) -> None:
    pod = pods.container("workflow-api")
    pod.query("CREATE TABLE workflows (id int)")
    ended = outcome(pod, "seed.workflow-api.deploy")
    assert (ended.cause, ended.temporary) == (Reason.MIGRATION_FAILED, False)


def test_a_seed_on_a_database_whose_migrations_are_pending(pods: Pods) -> None:
    ended = outcome(pods.container("workflow-api"), "seed.workflow-api.seed")
    assert (ended.cause, ended.temporary) == (Reason.MIGRATIONS_PENDING, False)


def test_a_script_that_the_image_does_not_have(pods: Pods) -> None:
    pod = pods.container("los-integrations")
    step = STEPS["seed.los-integrations.reset"]
    code, out, err = pod.sh("npm run seed:of-another-version")
    ended = outcome_of_command(step, code, out + err)
    assert (ended.cause, ended.temporary) == (Reason.COMMAND_FAILED, False)
    assert "package.json" in (ended.hint or "")


def test_a_command_that_the_kernel_killed_for_memory(pods: Pods) -> None:
    pod = pods.container("los-integrations")
    code, out, err = pod.sh("sh -c 'echo seeding; kill -KILL $$'; exit $?")
    ended = outcome_of_command(STEPS["seed.los-integrations.reset"], code, out + err)
    assert (code, ended.cause, ended.temporary) == (137, Reason.OUT_OF_MEMORY, False)
