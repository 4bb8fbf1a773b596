"""The catalog of another platform in docs/extending.md: valid, and planned as the page says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from daemon.api.guide_commands import script
from daemon.cli.verbs.daemon_itself.catalog import check_catalog
from daemon.config.catalog_file import load_catalog
from schemas.facts import BackupFact, DatabaseFact, Facts, MigrationsFact, ServiceFact
from schemas.plan import Plan
from schemas.requests import Mode, Option, ResetRequested
from schemas.resets import Channel
from schemas.wire import ResourceKey, ServiceName
from statemachines.planning.planner import plan
from tests.unit.docs.extending.bazaar import LOADED, ROLLBACK, listed
from tests.unit.docs.extending.page import block
from tests.unit.engine.drives.stand import ENVIRONMENT


def key_of(service: str) -> ResourceKey:
    return ResourceKey(f"database/7001/{service}-sandbox")


def facts(environment: str) -> Facts:
    """All three services run, and each has a database for itself."""
    names = [ServiceName(name) for name in LOADED.catalog.order]
    return Facts(
        environment=environment,
        exists=True,
        services=tuple(
            ServiceFact(service=name, image_digest=f"sha256:{name}", pod=f"{name}-1", consumers=1)
            for name in names
        ),
        databases=tuple(
            DatabaseFact(
                service=name,
                database=name,
                key=key_of(name),
                name=f"{name}-sandbox",
                tables=12,
                size_bytes=4096,
                server_version=160004,
            )
            for name in names
        ),
        backups=tuple(BackupFact(key=key_of(name), scratch="scratch:5432") for name in names),
        migrations=(MigrationsFact(service=ServiceName("ledger"), database="ledger", ids=("1",)),),
        users={key_of(name): (environment,) for name in names},
    )


def planned(mode: Mode, *options: Option, environment: str = ENVIRONMENT) -> Plan:
    request = ResetRequested(environment=environment, requested_by="ann", mode=mode, options=options)
    made = plan(request, Channel.HTTP, LOADED.catalog, LOADED.id, facts(environment))
    assert isinstance(made, Plan), made
    return made


def test_the_product_accepts_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bazaar.yaml"
    file.write_text(block("bazaar"))
    check_catalog(file)
    assert f"{LOADED.id}: 3 services, 2 kinds" in capsys.readouterr().out
    assert load_catalog(file).id == LOADED.id


@pytest.mark.parametrize("mode", Mode)
def test_each_mode_leads_to_the_steps_that_the_page_lists(mode: Mode) -> None:
    assert [step.name for step in planned(mode).steps] == listed()[mode.value]


@pytest.mark.parametrize("mode", Mode)
def test_each_plan_can_be_shown_as_commands_to_type(mode: Mode) -> None:
    text = script(planned(mode), LOADED.catalog)
    parsed = subprocess.run(["/bin/sh", "-n"], input=text, text=True, capture_output=True, check=False)
    assert (parsed.returncode, parsed.stderr) == (0, "")
    assert text.count("bin/rails db:seed") == 1


def test_a_sandbox_needs_nobody_and_production_waits_for_a_person() -> None:
    assert planned(Mode.WIPE).approvals_required == 0
    assert planned(Mode.WIPE, environment="qa-production").approvals_required == 1


def test_another_name_on_the_server_than_expected_is_a_warning() -> None:
    assert not any("is expected to use" in warning for warning in planned(Mode.SEED).warnings)
    warnings = planned(Mode.SEED, environment="qa-production").warnings
    assert "shop uses shop-sandbox as shop; a production is expected to use shop." in warnings


def test_a_step_with_a_condition_is_in_the_plan_where_it_holds() -> None:
    with_mock = {step.name for step in planned(Mode.REFRESH, Option.MOCK).steps}
    assert with_mock - {step.name for step in planned(Mode.REFRESH).steps} == {"seed.shop.demo"}


def test_each_command_that_writes_to_a_database_is_destructive_and_names_it() -> None:
    for step in planned(Mode.WIPE).steps:
        if step.phase.value in {"migrate", "seed"}:
            assert (step.destructive, step.touches) == (True, (key_of(step.name.split(".")[1]),))


@pytest.mark.parametrize(
    ("said", "code", "then"),
    [
        ("Rolled back: 3_third.sql", 0, 0),
        ("Error: can't rollback: no migrations have been applied", 2, 0),
        ("Error: connection refused", 2, 2),
    ],
)
def test_only_a_rollback_that_finds_nothing_has_its_exit_code_changed(
    tmp_path: Path, said: str, code: int, then: int
) -> None:
    dbmate = tmp_path / "dbmate"
    dbmate.write_text(f'#!/bin/sh\necho "{said}" >&2\nexit {code}\n')
    dbmate.chmod(0o755)
    (step,) = (one for one in planned(Mode.WIPE).steps if one.name == ROLLBACK)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    ended = subprocess.run(step.argv, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (then, f"{said}\n")
