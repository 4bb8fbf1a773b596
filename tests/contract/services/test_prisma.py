"""The Prisma stand-in where the real CLI has traps: kills, locks, exit codes, and the words that people grep for."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from sandbox.services.contents import counts
from sandbox.services.standins.controls import Control, put

if TYPE_CHECKING:
    from tests.contract.services.conftest import Pods

_DEPLOY = "npx prisma migrate deploy"
_BAD = "CREATE TABLE good (id int);\nCREATE TABLE roles (id int);\n"


def test_status_exits_1_when_pending_and_0_when_up_to_date(pods: Pods) -> None:
    pod = pods.container("los-core-api")
    code, out, _ = pod.sh("npx prisma migrate status")
    assert code == 1
    assert "4 migrations found in prisma/migrations\nFollowing migrations have not yet been applied:" in out
    pod.ok(_DEPLOY)
    assert "Database schema is up to date!" in pod.ok("npx prisma migrate status")
    assert "No pending migrations to apply." in pod.ok(_DEPLOY)


def test_a_refused_migration_is_rolled_back_and_blocks_the_next_deploy(pods: Pods) -> None:
    pod = pods.container("los-core-api")
    bad = pod.directory / "prisma/migrations/20260101000000_bad"
    bad.mkdir()
    (bad / "migration.sql").write_text(_BAD)
    code, out, err = pod.sh(_DEPLOY)
    assert code == 1
    assert "Applying migration `20260101000000_bad`" in out
    assert "Error: P3018" in err
    assert "Database error code: 42P07" in err
    assert "good" not in pod.contents()
    code, _, err = pod.sh(_DEPLOY)
    assert code == 1
    assert "P3009" in err
    assert "The `20260101000000_bad` migration started at" in err
    code, _, err = pod.sh("npx prisma migrate status")
    assert code == 1
    assert "Following migration have failed:\n20260101000000_bad" in err


def test_a_migration_of_comments_alone_is_applied_and_an_empty_script_executed(pods: Pods) -> None:
    pod = pods.container("los-core-api")
    for number, script in enumerate(("-- This is an empty migration.", "")):
        empty = pod.directory / f"prisma/migrations/2026010100000{number}_empty"
        empty.mkdir()
        (empty / "migration.sql").write_text(script)
    pod.ok(_DEPLOY)
    assert "Database schema is up to date!" in pod.ok("npx prisma migrate status")
    pod.ok("npx prisma db execute --stdin --schema=prisma/schema.prisma < /dev/null")


def test_a_script_of_several_statements_is_one_transaction_and_a_percent_sign_just_a_character(
    pods: Pods,
) -> None:
    pod = pods.container("los-core-api")
    execute = "npx prisma db execute --file script.sql --schema=prisma/schema.prisma"
    script = pod.directory / "script.sql"
    script.write_text("CREATE TABLE said (text text);\nINSERT INTO said VALUES ('50% %s %% é');\n")
    pod.ok(execute)
    assert pod.query("SELECT text FROM said") == [("50% %s %% é",)]
    script.write_text("DELETE FROM said;\nSELECT 1 / 0;\n")
    code, _, err = pod.sh(execute)
    assert code == 1
    assert "division by zero" in err
    assert pod.query("SELECT count(*) FROM said") == [(1,)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_deploy_in_the_middle_of_a_statement_at_once(
    pods: Pods, number: signal.Signals
) -> None:
    pod = pods.container("los-core-api")
    put(pods.controls, "qa-sandbox", "los-core-api", **{"prisma migrate deploy": Control(seconds=30)})
    process = pod.start(_DEPLOY)
    pod.until("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%')")
    deploy = pods.innermost(pod)
    begun = time.monotonic()
    pods.kill(deploy, number)
    process.wait(30)
    pods.until(lambda: pods.launch(deploy.id).killed)
    assert time.monotonic() - begun < 15
    pod.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'")


def test_a_deploy_killed_midway_holds_the_lock_and_leaves_p3009(pods: Pods) -> None:
    pod = pods.container("los-core-api")
    put(pods.controls, "qa-sandbox", "los-core-api", **{"prisma migrate deploy": Control(seconds=30)})
    process = pod.start(_DEPLOY)
    pod.until("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%')")
    pods.kill(pods.innermost(pod), signal.SIGKILL)
    process.wait(30)
    held = "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND objid = 72707369 AND granted"
    assert pod.query(held) == [(True,)], "the session goes on with its statement although its client is dead"
    pod.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'")
    pod.until(held.replace("count(*) > 0", "count(*) = 0"))
    code, _, err = pod.sh(_DEPLOY)
    assert code == 1
    assert "P3009" in err


def test_a_held_lock_fails_deploy_after_ten_seconds_and_reset_after_it_has_dropped(pods: Pods) -> None:
    core, sequence = pods.container("los-core-api"), pods.container("sequence-builder-api")
    core.ok(_DEPLOY)
    with (
        psycopg.connect(core.urls["DATABASE_URL"].partition("?")[0], autocommit=True) as one,
        psycopg.connect(sequence.urls["DATABASE_URL"].partition("?")[0], autocommit=True) as other,
    ):
        one.execute("SELECT pg_advisory_lock(72707369)")
        other.execute("SELECT pg_advisory_lock(72707369)")
        begun = time.monotonic()
        reset, deploy = core.start("npx prisma migrate reset --force"), sequence.start(_DEPLOY)
        for process in (reset, deploy):
            _, err = process.communicate(timeout=60)
            assert process.returncode == 1
            assert "Error: P1002" in err
            assert "(SELECT pg_advisory_lock(72707369))" in err
        assert time.monotonic() - begun >= 10
    assert core.contents() == {}, "the real reset drops before it asks for the lock"


def test_an_unreachable_server_is_p1001_and_a_wrong_password_p1000_without_showing_it(pods: Pods) -> None:
    pod = pods.container("los-core-api")
    gone = "postgresql://fuse:s3cret@127.0.0.1:1/los-sandbox?schema=public"
    wrong = pod.urls["DATABASE_URL"].replace(pods.fleet.passwords["qa"], "s3cret")
    for url, code_word in ((gone, "P1001: Can't reach database server at `127.0.0.1:1`"), (wrong, "P1000")):
        code, out, err = pod.sh(_DEPLOY, DATABASE_URL=url)
        assert code == 1
        assert code_word in err
        assert "s3cret" not in out + err


def test_tables_without_a_ledger_are_p3005(pods: Pods) -> None:
    pod = pods.container("los-core-api")
    pod.query("CREATE TABLE own (id int)")
    code, _, err = pod.sh(_DEPLOY)
    assert code == 1
    assert "P3005" in err
    code, _, err = pod.sh("npx prisma migrate status")
    assert code == 1
    assert "not managed by Prisma Migrate" in err


def test_reset_needs_force_and_runs_the_configured_seed_only_when_there_is_one(pods: Pods) -> None:
    pod = pods.container("los-core-api")
    code, _, err = pod.sh("npx prisma migrate reset")
    assert code == 1
    assert "--force" in err
    assert "Running seed command" not in pod.ok("npx prisma migrate reset --force")
    package = pod.directory / "package.json"
    package.write_text(
        package.read_text().replace('"private"', '"prisma": {"seed": "npm run seed:system"},\n "private"')
    )
    assert "Running seed command `npm run seed:system` ..." in pod.ok("npx prisma migrate reset --force")
    assert counts(pod.contents())["roles"] == 5
    pod.ok("npx prisma migrate reset --force --skip-seed")
    assert counts(pod.contents())["roles"] == 0


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("npx prisma db execute --stdin", "Either --url or --schema must be provided."),
        ("npx prisma db execute --schema=prisma/schema.prisma", "Either --stdin or --file must be provided."),
        ("npx prisma migrate status --schema=nope.prisma", "file or directory not found"),
        ("npx prisma migrate status --nope", "unknown or unexpected option: --nope"),
        ("npx prisma migrate nope", 'Unknown command "nope"'),
    ],
)
def test_wrong_use_is_refused(pods: Pods, command: str, words: str) -> None:
    code, _, err = pods.container("los-core-api").sh(command)
    assert code == 1
    assert words in err


def test_data_builder_has_no_default_schema(pods: Pods) -> None:
    pod = pods.container("data-builder-api")
    code, _, err = pod.sh("npx prisma migrate status")
    assert code == 1
    assert "Could not find Prisma Schema" in err
    for schema in ("prisma-core/schema.prisma", "prisma-data-builder/schema.prisma"):
        assert pod.sh(f"npx prisma migrate status --schema={schema}")[0] == 1
        pod.ok(f"npx prisma migrate deploy --schema={schema}")
        pod.ok(f"npx prisma migrate status --schema ./{schema}")


def test_db_execute_runs_standard_input_and_fails_with_the_database_s_words(pods: Pods) -> None:
    pod = pods.container("los-core-api")
    execute = "npx prisma db execute --stdin --schema=prisma/schema.prisma"
    assert pod.ok(f'printf %s "SELECT 1" | {execute}') == "Script executed successfully.\n"
    code, _, err = pod.sh(f'printf %s "SELECT nix" | {execute}')
    assert code == 1
    assert 'column "nix" does not exist' in err


def test_a_session_cut_in_the_middle_is_p1017(pods: Pods) -> None:
    pod = pods.container("los-core-api")
    put(pods.controls, "qa-sandbox", "los-core-api", **{"prisma:migrate:prod": Control(seconds=30)})
    process = pod.start("npm run prisma:migrate:prod")
    sleeping = "FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND pid <> pg_backend_pid()"
    pod.until(f"SELECT EXISTS (SELECT {sleeping})")
    pod.query(f"SELECT pg_terminate_backend(pid) {sleeping}")
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "P1017" in err


def test_two_deploys_at_once_apply_each_migration_once(pods: Pods) -> None:
    pod = pods.container("los-core-api")
    both = [pod.start(_DEPLOY) for _ in range(2)]
    outs = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted("No pending migrations" in out for out in outs) == [False, True]
    assert counts(pod.contents())["_prisma_migrations"] == 4
