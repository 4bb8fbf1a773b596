from __future__ import annotations

import pytest

from schemas.plan import Phase, PlannedStep, StepKind
from schemas.reasons import Reason
from schemas.resets import OutcomeKind
from schemas.wire import StepName
from statemachines.planning.commands import failures_of
from statemachines.steps.exit_codes import outcome_of_command
from tests.unit.statemachines.planner.world import CATALOG, Mode, planned, request

WIPE = {str(step.name): step for step in planned(request(mode=Mode.WIPE)).steps}
REFRESH = {str(step.name): step for step in planned().steps}
DEPLOY = REFRESH["seed.ui-builder-api.deploy"]
TYPEORM = REFRESH["seed.workflow-api.deploy"]
SEED = REFRESH["seed.los-integrations.reset"]


def verification(service: str, name: str) -> PlannedStep:
    """A verification by a command, as a catalog may ask for it: that command of the doctor."""
    entry = CATALOG.service(service)
    assert entry is not None
    command = next(one for one in entry.doctor if one.name == name)
    return PlannedStep(
        name=StepName(f"verify.{service}"),
        phase=Phase.VERIFY,
        kind=StepKind.COMMAND,
        batch=0,
        argv=command.argv,
        fail_on=command.fail_on,
        pass_on=command.pass_on,
        failures=failures_of(CATALOG, ("connection", "pending")),
    )


@pytest.mark.parametrize(
    ("step", "tail", "cause", "temporary"),
    [
        (DEPLOY, "Error: P1001: Can't reach database server at `db:5432`", Reason.DATABASE_UNREACHABLE, True),
        (SEED, "Can't reach database server at `db:5432`", Reason.DATABASE_UNREACHABLE, True),
        (SEED, "Server has closed the connection.", Reason.DATABASE_UNREACHABLE, True),
        (
            DEPLOY,
            "Error: P1000: Authentication failed against database server",
            Reason.DATABASE_UNIDENTIFIED,
            False,
        ),
        (
            DEPLOY,
            "Error: P1002\nTimed out trying to acquire a postgres advisory lock (SELECT pg_advisory_lock(72707369))",
            Reason.MIGRATION_LOCKED,
            True,
        ),
        (
            DEPLOY,
            "Error: P3009\n\nmigrate found failed migrations in the target database",
            Reason.MIGRATION_FAILED_BEFORE,
            False,
        ),
        (DEPLOY, "Error: P3018\n\nA migration failed to apply.", Reason.MIGRATION_FAILED, False),
        (
            TYPEORM,
            "Error during migration run:\nQueryFailedError: syntax error",
            Reason.MIGRATION_FAILED,
            False,
        ),
        (TYPEORM, "Error: connect ECONNREFUSED 127.0.0.1:5432", Reason.DATABASE_UNREACHABLE, True),
        (
            REFRESH["seed.workflow-api.seed"],
            'QueryFailedError: relation "workflow" does not exist',
            Reason.MIGRATIONS_PENDING,
            False,
        ),
        (SEED, "The table `public.Integration` does not exist. P2021", Reason.MIGRATIONS_PENDING, False),
        (SEED, "Unique constraint failed P2002", Reason.COMMAND_FAILED, False),
        (SEED, 'npm error Missing script: "seed:reset"', Reason.COMMAND_FAILED, False),
        (SEED, "FATAL ERROR: JavaScript heap out of memory", Reason.OUT_OF_MEMORY, False),
        (SEED, "something else", Reason.COMMAND_FAILED, False),
    ],
)
def test_known_failures_have_a_cause_and_a_hint(
    step: PlannedStep, tail: str, cause: Reason, temporary: bool
) -> None:
    outcome = outcome_of_command(step, 1, tail)
    assert (outcome.kind, outcome.cause, outcome.temporary) == (OutcomeKind.FAILED, cause, temporary)
    assert outcome.hint
    assert outcome.detail == tail


def test_seeds_that_fail_point_to_the_dry_run_and_the_list() -> None:
    hint = outcome_of_command(SEED, 1, "duplicate key value violates unique constraint").hint or ""
    assert "npm run seed:dry" in hint
    assert "npm run seed:list" in hint


def test_failed_migrations_point_to_migrate_status() -> None:
    assert "npx prisma migrate status" in (outcome_of_command(DEPLOY, 1, "P3018").hint or "")


def test_exit_code_0_is_success() -> None:
    assert outcome_of_command(DEPLOY, 0, "P1001 is only mentioned").kind is OutcomeKind.SUCCEEDED


@pytest.mark.parametrize(("code", "cause"), [(137, Reason.OUT_OF_MEMORY), (127, Reason.COMMAND_FAILED)])
def test_exit_codes_of_the_shell_have_a_meaning(code: int, cause: Reason) -> None:
    assert outcome_of_command(SEED, code, "").cause is cause


def test_a_pending_type_orm_migration_fails_the_check_although_the_tool_exits_0() -> None:
    check = verification("workflow-api", "migration-show")
    assert (
        outcome_of_command(check, 0, "[X] 1 Initial1700000000000\n[ ] 2 Later1700000000001").cause
        is Reason.MIGRATIONS_PENDING
    )
    assert outcome_of_command(check, 0, "[X] 1 Initial1700000000000").kind is OutcomeKind.SUCCEEDED


def test_pending_prisma_migrations_fail_the_check() -> None:
    check = verification("los-core-api", "migrate-status")
    tail = "Following migration have not yet been applied:\n20240101_init"
    assert outcome_of_command(check, 1, tail).cause is Reason.MIGRATIONS_PENDING
    assert outcome_of_command(check, 1, "who knows").cause is Reason.VERIFY_FAILED


def test_a_revert_that_undid_one_migration_has_to_be_repeated() -> None:
    revert = WIPE["seed.workflow-api.revert"]
    assert outcome_of_command(revert, 0, "Migration Later has been reverted successfully.").facts == {
        "repeat": True
    }
    assert outcome_of_command(revert, 0, "No migrations were executed. Nothing to revert!").facts == {}


LOCKED_TABLE = """\
Error: P3018

A migration failed to apply. New migrations cannot be applied before the error is recovered from.

Migration name: 20240101_hold

Database error code: 55P03

Database error:
ERROR: could not obtain the advisory lock that P1002 is about
"""


def test_f1_the_code_of_the_tool_counts_before_the_text_that_it_quotes() -> None:
    outcome = outcome_of_command(DEPLOY, 1, LOCKED_TABLE)
    assert (outcome.cause, outcome.temporary) == (Reason.MIGRATION_FAILED, False)


@pytest.mark.parametrize(
    ("tail", "cause"),
    [
        (
            "Error: P3018\nDatabase error:\nERROR: terminating connection due to statement",
            Reason.MIGRATION_FAILED,
        ),
        ("Error: P3009\nThe `20240101_p1001` migration failed: ECONNREFUSED", Reason.MIGRATION_FAILED_BEFORE),
        ("row P1001 is bad\nError: P3018\nA migration failed to apply", Reason.MIGRATION_FAILED),
        ("PrismaClientKnownRequestError: ... {\n  code: 'P2021',\n  P1001 }", Reason.MIGRATIONS_PENDING),
    ],
)
def test_f1_another_text_inside_of_a_coded_error_changes_nothing(tail: str, cause: Reason) -> None:
    assert outcome_of_command(DEPLOY, 1, tail).cause is cause


@pytest.mark.parametrize(
    "tail",
    [
        "Error: P3006\n\nMigration `1_a` failed to apply cleanly: could not obtain the advisory lock",
        "Error code: P1012\nerror: the URL's host says ECONNREFUSED",
        "PrismaClientKnownRequestError {\n  code: 'P2003', meta: 'the database system is starting up' }",
        "QueryFailedError: ... {\n  code: '23505',\n  detail: 'Key (text)=(ETIMEDOUT) already exists.' }",
        'ERROR:  22P02: invalid input syntax for type integer: "ECONNREFUSED"',
    ],
)
def test_f1_a_code_that_no_list_has_is_never_made_temporary_by_a_word(tail: str) -> None:
    for step in (DEPLOY, TYPEORM, SEED):
        assert not outcome_of_command(step, 1, tail).temporary


def test_f1_a_code_of_the_server_that_passes_leaves_the_text_its_say() -> None:
    tail = "error: terminating connection due to administrator command {\n  code: '57P01' }"
    assert outcome_of_command(SEED, 1, tail).temporary


PRISMA_7 = """\
! unknown or unexpected option: --schema

Execute native commands to your database

Usage

  $ prisma db execute [options]
"""


@pytest.mark.parametrize("tail", [PRISMA_7, "error: unknown option '--schema'", "Unknown argument: d"])
def test_f8_a_tool_that_prints_its_usage_did_not_understand_and_never_will(tail: str) -> None:
    for step in (DEPLOY, TYPEORM, SEED):
        outcome = outcome_of_command(step, 1, tail)
        assert (outcome.cause, outcome.temporary) == (Reason.TOOL_USAGE, False)
        assert "version" in (outcome.hint or "")


@pytest.mark.parametrize(
    "printed",
    [
        "",  # logger: 'file'
        "2026-11-30 01:02:03 query: SELECT * FROM migrations",
    ],
)
def test_a2_a_check_that_lists_neither_applied_nor_pending_can_not_tell(printed: str) -> None:
    check = verification("workflow-api", "migration-show")
    outcome = outcome_of_command(check, 0, printed)
    assert (outcome.kind, outcome.cause) == (OutcomeKind.FAILED, Reason.CHECK_FAILED)
    assert "can't tell" in (outcome.detail or "")


def test_a2_a_time_before_each_line_hides_no_pending_migration() -> None:
    check = verification("workflow-api", "migration-show")
    printed = "2026-11-30T01:02:03Z [X] 1 Initial1700000000000\n2026-11-30T01:02:03Z [ ] 2 Later1700000000001"
    assert outcome_of_command(check, 0, printed).cause is Reason.MIGRATIONS_PENDING
