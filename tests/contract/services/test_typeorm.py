"""The TypeORM stand-in: one migration undone at a time, and exit codes that say less than one hopes."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from daemon.config.catalog_file import load_catalog
from sandbox.services.standins.controls import Control, put
from schemas.plan import NOTHING_LEFT
from schemas.requests import Mode

if TYPE_CHECKING:
    from tests.contract.services.conftest import Pods

_SHOW = "npx typeorm migration:show -d data-source.js"


def test_revert_undoes_one_migration_and_says_when_there_is_nothing_left(pods: Pods) -> None:
    pod = pods.container("workflow-api")
    pod.ok("npm run db:run-migrations")
    for left in (2, 1, 0):
        assert "Nothing to revert!" not in pod.ok("npm run db:revert-migration")
        assert len(pod.contents()["migrations"]) == left
    out = pod.ok("npm run db:revert-migration")
    assert "No migrations were found in the database. Nothing to revert!" in out
    assert list(pod.contents()) == ["migrations"]
    assert "executed successfully" in pod.ok("npm run db:run-migrations")
    assert "No migrations are pending" in pod.ok("npm run db:run-migrations")


def test_show_exits_0_although_migrations_are_pending(pods: Pods) -> None:
    pod = pods.container("workflow-api")
    names = ["Init1707900000000", "WorkflowNodes1716200000000", "WorkflowRuns1731000000000"]
    assert pod.ok(_SHOW).splitlines() == [f"[ ] {name}" for name in names]
    pod.ok("npm run db:run-migrations && npm run db:revert-migration")
    assert pod.ok(_SHOW).splitlines() == [f"[X] 1 {names[0]}", f"[X] 2 {names[1]}", f"[ ] {names[2]}"]


def test_a_logger_with_a_file_leaves_nothing_on_standard_output(pods: Pods) -> None:
    pod = pods.container("workflow-api")
    pod.ok("npm run db:run-migrations")
    source = pod.directory / "data-source.js"
    source.write_text(source.read_text().replace('type: "postgres",', 'type: "postgres",\n  logger: "file",'))
    assert pod.ok(_SHOW) == ""
    assert "[X] 1 Init1707900000000" in (pod.directory / "ormlogs.log").read_text()


def test_the_shipped_check_of_the_revert_takes_no_failure_for_an_answer(pods: Pods) -> None:
    pod = pods.container("workflow-api")
    service = load_catalog().catalog.service("workflow-api")
    assert service is not None
    shell, option, check = service.steps[Mode.WIPE][0].check
    assert (shell, option) == ("sh", "-c")
    assert pod.sh(check)[0] == NOTHING_LEFT
    pod.ok("npm run db:run-migrations")
    assert pod.sh(check)[0] == 0
    unreachable = {"DATABASE_URL": "postgresql://fuse:s3cret@127.0.0.1:1/x"}
    assert pod.sh(check, **unreachable)[0] not in {0, NOTHING_LEFT}
    silent = pod.directory / "bin" / "npx"
    silent.unlink()
    silent.write_text("#!/bin/sh\n")
    silent.chmod(0o755)
    assert pod.sh(check)[0] not in {0, NOTHING_LEFT}


def test_a_refused_migration_rolls_all_pending_ones_back(pods: Pods) -> None:
    pod = pods.container("workflow-api")
    pod.query("CREATE TABLE workflow_runs (id int)")
    code, out, err = pod.sh("npm run db:run-migrations")
    assert code == 1
    assert "query: ROLLBACK" in out
    assert "Error during migration run:" in out
    assert 'QueryFailedError: relation "workflow_runs" already exists' in err
    assert pod.contents()["migrations"] == []


def test_a_run_killed_midway_leaves_nothing_behind(pods: Pods) -> None:
    pod = pods.container("workflow-api")
    put(pods.controls, "qa-sandbox", "workflow-api", **{"db:run-migrations": Control(seconds=2)})
    process = pod.start("npm run db:run-migrations")
    pod.until("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%')")
    pods.kill(pods.innermost(pod), signal.SIGKILL)
    assert process.wait(30) != 0
    pod.until("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%')")
    assert pod.contents()["migrations"] == []
    assert "workflows" not in pod.contents()


def test_a_session_cut_in_the_middle_gives_the_server_s_last_words(pods: Pods) -> None:
    pod = pods.container("workflow-api")
    put(pods.controls, "qa-sandbox", "workflow-api", **{"db:run-migrations": Control(seconds=30)})
    process = pod.start("npm run db:run-migrations")
    pod.until("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%')")
    pod.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'")
    out, err = process.communicate(timeout=30)
    assert process.returncode == 1
    words = "terminating connection due to administrator command"
    assert f'Migration "Init1707900000000" failed, error: {words}' in out
    assert f"QueryFailedError: {words}" in err
    assert "code: '57P01'" in err


def test_an_unreachable_server_and_a_missing_data_source_exit_1(pods: Pods) -> None:
    pod = pods.container("workflow-api")
    code, out, err = pod.sh(_SHOW, DATABASE_URL="postgresql://fuse:s3cret@127.0.0.1:1/x")
    assert code == 1
    assert "connect ECONNREFUSED 127.0.0.1:1" in err
    assert "s3cret" not in out + err
    assert pod.sh("npx typeorm migration:show")[0] == 1
    code, _, err = pod.sh("npx typeorm migration:run -d nope.js")
    assert code == 1
    assert "Unable to open file" in err


def test_query_prints_rows(pods: Pods) -> None:
    pod = pods.container("workflow-api")
    out = pod.ok("""npx typeorm query "SELECT 1 AS a, 'x' AS b" -d data-source.js""")
    assert out.endswith("Query has been executed. Result: \n[\n  {\n    a: 1,\n    b: 'x'\n  }\n]\n")
