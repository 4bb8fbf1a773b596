"""Lines by which the shipped catalog knows that a command failed although it exited 0, and harmless ones."""

from __future__ import annotations

import pytest

from schemas.reasons import Reason
from schemas.requests import Mode
from schemas.resets import OutcomeKind
from statemachines.steps.exit_codes import outcome_of_command
from tests.unit.statemachines.planner.world import planned, request

STEPS = {str(step.name): step for step in planned(request(mode=Mode.REFRESH)).steps}
SEED = STEPS["seed.los-core-api.system"]
DEPLOY = STEPS["seed.sequence-builder-api.deploy"]
NPM = "\n> los-core-api@4.12.0 seed:system\n> ts-node seed.ts seed\n\n"


@pytest.mark.parametrize(
    "line",
    [
        "Error: FAIL is set: seed fails on purpose",
        "TypeError: Cannot read properties of undefined (reading 'id')",
        "PrismaClientKnownRequestError: \nInvalid `prisma.role.upsert()` invocation",
        "PrismaClientInitializationError: Can't reach database server at `db:5432`",
        'error: relation "roles" does not exist',  # the name of node-postgres' errors
        "QueryFailedError: relation does not exist",
        "Error [ERR_MODULE_NOT_FOUND]: Cannot find module",
        "Seeding roles... Error: connect ECONNREFUSED",
        "❌ Error: seed failed",
        "Uncaught Error: boom",
        "Error: 3 roles could not be written",
        "\x1b[31mError: in red\x1b[0m",
        "(node:17) UnhandledPromiseRejectionWarning: Error: boom",
        "[Nest] 17  - 11/30/2026, 6:00:00 AM   ERROR [ExceptionHandler] Nest can't resolve dependencies",
        "UnauthorizedException: no",
        # The loggers of others, and a time or a name before each line.
        "[Nest] 17  - 11/30/2026, 6:00:00 AM   ERROR [SeedCommand] the roles could not be written",
        "[Nest] 17  - 11/30/2026, 6:00:00 AM   FATAL [SeedCommand] no database",
        "2026-11-30T06:00:00.000Z error: the roles could not be written",
        "[06:00:00] TypeError: x is not a function",
        "[seed] Error: boom",
        "    at seed (/app/dist/seed.js:17:9)",  # console.error('Seeding failed', error)
        "    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)",
        "    at async /app/seed.ts:3:11",
        'psql:seed.sql:3: ERROR:  relation "roles" does not exist',
        "Traceback (most recent call last):",
        "npm error code ELIFECYCLE",
        "npm ERR! code 1",
        '{"level":50,"time":1764482400000,"msg":"no roles"}',
        '{"level": "error", "message": "no roles"}',
    ],
)
def test_a1_an_error_that_was_printed_is_a_failure_whatever_the_exit_code(line: str) -> None:
    outcome = outcome_of_command(SEED, 0, f"{NPM}{line}\nmore", f"{NPM}{line}\nmore")
    assert outcome.kind is OutcomeKind.FAILED


@pytest.mark.parametrize(
    "line",
    [
        "0 errors",
        "Errors: 0",
        "Error: 0",
        "errors: none",
        "Error handling seeded",
        "  ✓ error_templates (3/3)",
        "Seeded permission loan:error:read",
        "seeding ErrorCodes: 17 rows",
        "Finished with 0 errors, 0 warnings",
        "no error",
        "Terror management: seeded",
        "[Nest] 17  - 11/30/2026, 6:00:00 AM     LOG [SeedService] Error templates seeded",
        "npm notice New major version of npm available!",
        "[Nest] 17  - 11/30/2026, 6:00:00 AM    WARN [SeedService] ERROR is the name of a queue",
        "  at 10:30:00",
        "looking at roles:17",
        '{"level":30,"time":1764482400000,"msg":"error templates: 50"}',
        "1" * 5000,
        "[" * 5000,
    ],
)
def test_a1_harmless_lines_with_the_word_error_are_none(line: str) -> None:
    assert (
        outcome_of_command(SEED, 0, f"{NPM}{line}\nmore", f"{NPM}{line}\nmore").kind is OutcomeKind.SUCCEEDED
    )


def test_a1_a_seed_whose_output_was_not_kept_whole_has_failed_although_it_has_checks() -> None:
    assert SEED.checks
    outcome = outcome_of_command(SEED, 0, "more", "more", whole=False)
    assert (outcome.kind, outcome.cause) == (OutcomeKind.FAILED, Reason.COMMAND_FAILED)
    assert "can't tell: not all of its output was kept" in (outcome.detail or "")


def test_a1_a_lost_line_changes_nothing_where_no_line_means_failure() -> None:
    step = SEED.model_copy(update={"fail_on": None})
    assert outcome_of_command(step, 0, "more", "more", whole=False).kind is OutcomeKind.SUCCEEDED


def test_a3_a_deploy_that_found_no_migration_has_failed() -> None:
    printed = "No migration found in prisma/migrations\n\nNo pending migrations to apply."
    outcome = outcome_of_command(DEPLOY, 0, printed, printed)
    assert (outcome.kind, outcome.cause) == (OutcomeKind.FAILED, Reason.COMMAND_FAILED)
    fine = "2 migrations found in prisma/migrations\n\nNo pending migrations to apply."
    assert outcome_of_command(DEPLOY, 0, fine, fine).kind is OutcomeKind.SUCCEEDED
