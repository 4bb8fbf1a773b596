from __future__ import annotations

import re

import pytest

from schemas.catalog.catalog import Catalog
from schemas.plan import Idempotency, Scope
from schemas.requests import Mode
from statemachines.steps.handshake import statement
from tests.unit.statemachines.planner.world import CATALOG, LOADED

STEPS = [
    (service.name, mode, step)
    for service in CATALOG.services
    for mode, entries in service.steps.items()
    for step in entries
]
NONCE = "0123456789abcdef" * 2
NEVER = ("reset", "mock", "populate-core-entities")


def test_its_id_is_its_name_and_digest() -> None:
    assert re.fullmatch(r"fuse-platform@sha256:[0-9a-f]{64}", LOADED.id)


def test_it_survives_being_written_and_read() -> None:
    assert Catalog.model_validate_json(CATALOG.model_dump_json(by_alias=True)) == CATALOG


def test_services_are_in_the_guides_recommended_order() -> None:
    assert [service.name for service in CATALOG.in_order] == [
        "data-builder-api",
        "los-core-api",
        "los-integrations",
        "sequence-builder-api",
        "ui-builder-api",
        "workflow-api",
    ]


def test_databases_and_their_names_are_those_of_the_guides_table() -> None:
    table = {
        (service.name, database.name): database.names
        for service in CATALOG.services
        for database in service.databases
    }
    core = {"production": "los-production", "sandbox": "los-sandbox"}
    assert table == {
        ("data-builder-api", "data-builder"): {"production": "data-builder"},
        ("data-builder-api", "core"): core,
        ("los-core-api", "core"): core,
        ("los-integrations", "integrations"): {"production": "integrations"},
        ("sequence-builder-api", "sequence-builder"): {"production": "sequence-builder"},
        ("ui-builder-api", "ui-builder"): {"production": "ui-builder"},
        ("workflow-api", "workflow-builder"): {"production": "workflow-builder"},
    }
    data_builder = CATALOG.service("data-builder-api")
    assert data_builder is not None
    assert [database.variables for database in data_builder.databases] == [
        ("DATABASE_URL",),
        ("CORE_DATABASE_URL",),
    ]


def test_each_pod_is_found_by_the_guides_label() -> None:
    assert [service.selector_text for service in CATALOG.services][1] == "app.kubernetes.io/name=los-core-api"


def test_every_command_is_a_shell_line_of_the_guide_and_holds_no_placeholder() -> None:
    for _, _, step in STEPS:
        assert step.argv[:2] == ("sh", "-c")
        assert "{" not in step.argv[2]
        assert step.failures == ()


@pytest.mark.parametrize("mode", list(Mode))
def test_whatever_wipes_truncates_or_mocks_is_never_run_twice_by_itself(mode: Mode) -> None:
    for _, own, step in STEPS:
        if own is not mode:
            continue
        expected = Idempotency.SAFE
        if any(word in step.argv[2] for word in NEVER):
            expected = Idempotency.NEVER
        if "revert" in step.argv[2]:
            expected = Idempotency.RERUN_AFTER_CHECK
        assert step.idempotent is expected, step.argv[2]


def test_generated_clients_are_void_in_another_container_and_touch_no_database() -> None:
    for _, _, step in STEPS:
        synced = "sync-model" in step.argv[2]
        assert (step.scope is Scope.CONTAINER) == synced
        assert (step.databases == ()) == synced


def test_core_is_touched_in_the_phase_migrate_only_except_by_its_own_seeds() -> None:
    for service, _, step in STEPS:
        if step.phase == "seed" and service == "data-builder-api":
            assert step.databases is not None
            assert "core" not in step.databases


def test_every_database_is_looked_at_for_its_migrations_and_no_tool_is_asked_to_verify() -> None:
    for service in CATALOG.services:
        assert all(database.migrations is not None for database in service.databases)
        assert service.verify == ()


def test_a1_every_required_seed_has_a_positive_sign_and_lines_that_mean_failure() -> None:
    seeds = 0
    for service in CATALOG.services:
        for step in (step for steps in service.steps.values() for step in steps):
            required = "seed" in step.argv[2] and not step.argv[2].endswith("seed:mock")
            if not required:
                continue
            seeds += 1
            assert step.fail_on is not None
            assert any(check.rows is not None and check.rows.any_table for check in step.checks), step.name
    assert seeds > 18


def test_a1_every_seed_is_compared_with_what_the_last_wipe_filled() -> None:
    for service in CATALOG.services:
        for step in (step for steps in service.steps.values() for step in steps):
            seeds = "seed" in step.argv[2] or "populate" in step.argv[2]
            assert any(check.learned for check in step.checks) == seeds, step.name


def test_a3_every_migration_of_prisma_fails_where_it_finds_none() -> None:
    for service in CATALOG.services:
        for step in (step for steps in service.steps.values() for step in steps):
            if any(word in step.argv[2] for word in ("migrate", "db:deploy")):
                assert step.fail_on is not None
                assert re.search(step.fail_on, "No migration found in prisma/migrations")


def test_what_users_entered_is_compared_around_each_sync() -> None:
    integrations = CATALOG.service("los-integrations")
    assert integrations is not None
    for step in (step for steps in integrations.steps.values() for step in steps):
        if "seed:sync" in step.argv[2]:
            kept = [
                table for check in step.checks if check.unchanged for table in check.unchanged.table or ()
            ]
            assert {"user_mappings", "credentials"} <= set(kept)


def test_a_pending_type_orm_migration_is_a_line_with_an_empty_box() -> None:
    workflow = CATALOG.service("workflow-api")
    assert workflow is not None
    fail_on = workflow.doctor[0].fail_on
    assert fail_on is not None
    assert re.search(fail_on, "[X] 1 First\n [ ] 2 Second", re.MULTILINE)
    assert not re.search(fail_on, "[X] 1 First", re.MULTILINE)


def test_the_doctor_asks_every_service_for_migrations_and_connection() -> None:
    for service in CATALOG.services:
        asked = " ".join(command.argv[2] for command in service.doctor)
        assert "migrate status --schema=" in asked or "migration:show" in asked
        assert "SELECT 1" in asked
        # dash and busybox have no here-strings.
        assert "<<<" not in asked
    integrations = CATALOG.service("los-integrations")
    assert integrations is not None
    commands = [command.argv[2] for command in integrations.doctor]
    assert {"npm run seed:dry", "npm run seed:list"} <= set(commands)


def test_the_doctor_looks_at_pods_deployments_argocd_and_logs() -> None:
    assert set(CATALOG.doctor.checks) == {"pods", "deployments", "argocd", "logs", "sharing"}
    assert CATALOG.doctor.log_lines == 100


def test_production_is_protected_and_asks_one_or_two_people() -> None:
    production = CATALOG.kinds["production"]
    assert (production.protected, production.approvers, production.approvers_unattended) == (True, 1, 2)
    assert not CATALOG.kinds["sandbox"].protected


def test_workflow_repositories_are_named_after_the_client() -> None:
    assert CATALOG.repositories[0].name_for("los-demo-sandbox") == "los-demo-workflows"


@pytest.mark.parametrize("service", CATALOG.order)
def test_every_database_has_a_handshake_in_the_services_own_tool(service: str) -> None:
    entry = CATALOG.service(service)
    assert entry is not None
    for database in entry.databases:
        argv, stdin = statement(database.handshake, NONCE)
        sql = stdin.decode() if stdin is not None else argv[-1]
        assert f"SELECT pg_notify('resetd','{NONCE}')" in sql
        assert "{" not in "".join(argv)
        assert ("npx prisma db execute --stdin" in argv[2]) == (stdin is not None)


@pytest.mark.parametrize("nonce", ["", "1234", NONCE.upper(), f"{NONCE}'", f"{NONCE}\n"])
def test_what_is_no_nonce_never_becomes_part_of_a_statement(nonce: str) -> None:
    with pytest.raises(ValueError, match="32 hexadecimal digits"):
        statement(CATALOG.services[0].databases[0].handshake, nonce)
