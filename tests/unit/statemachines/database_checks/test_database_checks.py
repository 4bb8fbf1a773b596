"""What was seen in a database, beside what a check asks for."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from schemas.checks import (
    Absent,
    KnownLedger,
    Ledger,
    MigrationsCheck,
    PlannedCheck,
    RowsCheck,
    UnchangedCheck,
)
from schemas.reasons import Reason
from schemas.resets import Attempt, Outcome, OutcomeKind
from schemas.wire import ResourceKey
from statemachines.steps.check_outcomes import earliest_baseline
from statemachines.steps.database_checks import (
    Fingerprint,
    LedgerRow,
    Record,
    carried,
    judge_migrations,
    judge_rows,
    judge_unchanged,
)

KEY = ResourceKey("database/7001/core")
PRISMA = MigrationsCheck(directory="prisma/migrations", ledger=KnownLedger.PRISMA)
TYPEORM = MigrationsCheck(directory="dist/migrations", ledger=KnownLedger.TYPEORM)
RAILS = MigrationsCheck(
    directory="db/migrate", ledger=Ledger(table=("schema_migrations",), column="version", pattern=r"\d{14}")
)
FIRST, SECOND = "20240101000000_init", "20240201000000_users"


def migrations(check: MigrationsCheck) -> PlannedCheck:
    return PlannedCheck(database="core", resource=KEY, migrations=check)


def applied(*names: str) -> list[LedgerRow]:
    return [LedgerRow(name, Record.APPLIED) for name in names]


def test_files_of_one_type_orm_migration_are_one_and_others_are_none() -> None:
    listed = ["1700000100000-AddVersion.js", "1700000100000-AddVersion.ts", ".env", "index.js", "17-short.js"]
    assert carried(TYPEORM, listed) == ("1700000100000",)
    ids = carried(TYPEORM, listed)
    assert judge_migrations(migrations(TYPEORM), ids, applied("AddVersion1700000100000")).reason is None


def test_lines_of_migration_show_are_a_list_as_well() -> None:
    assert carried(TYPEORM, ["[X] 1 Init1700000000000", "[ ] AddVersion1700000100000"]) == (
        "1700000000000",
        "1700000100000",
    )


def test_other_ledgers_are_matched_by_their_pattern() -> None:
    ids = carried(RAILS, ["20240101000000_create_users.rb", "README"])
    assert judge_migrations(migrations(RAILS), ids, applied("20240101000000")).reason is None
    verdict = judge_migrations(migrations(RAILS), ids, [])
    assert verdict.reason is Reason.MIGRATIONS_PENDING


def test_a3_an_image_that_lists_nothing_can_not_tell() -> None:
    verdict = judge_migrations(migrations(PRISMA), (), applied(FIRST))
    assert verdict.reason is Reason.MIGRATIONS_NOT_SHOWN
    assert "can't tell" in verdict.detail
    assert "prisma/migrations" in verdict.detail


def test_a_migration_without_a_row_is_pending_and_named() -> None:
    verdict = judge_migrations(migrations(PRISMA), (FIRST, SECOND), applied(FIRST))
    assert verdict.reason is Reason.MIGRATIONS_PENDING
    assert f"not applied: {SECOND}" in verdict.detail
    assert "_prisma_migrations" in verdict.detail


def test_no_ledger_at_all_is_told_as_such() -> None:
    verdict = judge_migrations(migrations(PRISMA), (FIRST,), None)
    assert verdict.reason is Reason.MIGRATIONS_PENDING
    assert "found no such table" in verdict.detail


@pytest.mark.parametrize("record", [Record.OPEN, Record.UNDONE])
def test_a_migration_that_was_begun_or_rolled_back_is_not_applied(record: Record) -> None:
    rows = [*applied(FIRST), LedgerRow(SECOND, record)]
    assert judge_migrations(migrations(PRISMA), (FIRST, SECOND), rows).reason is not None


def test_a_migration_that_failed_is_not_met_even_where_another_row_of_it_is_finished() -> None:
    rows = [*applied(FIRST), LedgerRow(FIRST, Record.OPEN)]
    verdict = judge_migrations(migrations(PRISMA), (FIRST,), rows)
    assert verdict.reason is Reason.CHECK_NOT_MET
    assert "not finished" in verdict.detail


def test_the_rows_of_a_documented_repair_and_of_other_images_are_told_and_fail_nothing() -> None:
    rows = [LedgerRow(FIRST, Record.UNDONE), *applied(FIRST, SECOND)]
    verdict = judge_migrations(migrations(PRISMA), (FIRST,), rows)
    assert verdict.reason is None
    assert SECOND in (verdict.told or "")


def rows(**fields: object) -> PlannedCheck:
    return PlannedCheck(database="core", resource=KEY, rows=RowsCheck.model_validate(fields))


def test_a1_a_table_without_the_rows_that_a_seed_promised_is_named_with_expected_and_found() -> None:
    verdict = judge_rows(rows(table=["roles"], at_least=5), 2)
    assert verdict.reason is Reason.CHECK_NOT_MET
    assert verdict.detail == "core: expected at least 5 rows in roles, found 2"
    assert judge_rows(rows(table=["roles"], at_least=5), 5).reason is None


def test_a_table_that_is_not_there_fails_unless_the_catalog_says_that_it_is_only_told() -> None:
    assert judge_rows(rows(table=["roles"]), None).reason is Reason.CHECK_NOT_MET
    verdict = judge_rows(rows(table=["roles", "Role"], absent=Absent.TELL), None)
    assert (verdict.reason, verdict.told) == (None, "core has no table roles or Role")


def unchanged() -> PlannedCheck:
    return PlannedCheck(database="core", resource=KEY, unchanged=UnchangedCheck(table=("mappings",)))


def test_what_has_to_survive_is_compared_with_what_was_recorded() -> None:
    now = Fingerprint(2, "aa")
    assert judge_unchanged(unchanged(), {"rows": 2, "digest": "aa"}, now).reason is None
    assert "with other contents" in judge_unchanged(unchanged(), {"rows": 2, "digest": "bb"}, now).detail
    assert "found 2 rows" in judge_unchanged(unchanged(), {"rows": 3, "digest": "bb"}, now).detail
    assert "found no such table" in judge_unchanged(unchanged(), {"rows": 3, "digest": "bb"}, None).detail


def test_without_a_record_of_before_nobody_can_tell_what_survived() -> None:
    verdict = judge_unchanged(unchanged(), None, Fingerprint(0, ""))
    assert verdict.reason is Reason.CHECK_NOT_MET
    assert "can't tell" in verdict.detail


def attempt(baseline: dict[str, dict[str, int]] | None, cause: Reason | None = None) -> Attempt:
    outcome = Outcome(kind=OutcomeKind.FAILED, cause=cause)
    return Attempt.model_validate(
        {
            "id": "r/s/1",
            "reset_id": "r",
            "step": "seed.a.b",
            "number": 1,
            "started_at": "2026-11-30T00:00:00Z",
            "baseline": baseline,
            "outcome": outcome,
        }
    )


def test_an_attempt_after_one_that_failed_compares_with_what_was_before_both() -> None:
    first, second = {"a": {"rows": 1}}, {"a": {"rows": 0}}
    assert earliest_baseline([attempt(first, Reason.COMMAND_FAILED), attempt(second)]) == first


def test_once_a_person_was_told_the_present_contents_count() -> None:
    assert earliest_baseline([attempt({"a": {}}, Reason.CHECK_NOT_MET)]) is None


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"table": ["roles"], "query": "SELECT 1"},
        {"query": "SELECT 1", "where": "x"},
        {"table": ['roles"; DROP TABLE x; --']},
        {"table": ["roles"], "at_least": 0},
    ],
)
def test_a_rows_check_asks_one_question_about_a_plain_name(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RowsCheck.model_validate(fields)
