"""The seeds: which may run twice, what they keep, what a kill leaves, and what they need."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from sandbox.services.contents import counts, digest
from sandbox.services.dirt import dirty
from sandbox.services.standins.controls import Control, put

if TYPE_CHECKING:
    from sandbox.journal import Launch
    from tests.contract.services.conftest import Pods

_IDEMPOTENT = [
    ("data-builder-api", "npm run db:deploy && npm run db:sync-model", "npm run db:seed:data-builder"),
    ("los-core-api", "npm run prisma:migrate:prod", "npm run seed:system"),
    ("los-integrations", "npm run prisma:migrate:prod", "npm run seed:sync"),
    ("los-integrations", "npm run prisma:migrate:prod", "npm run seed:reset"),
    ("sequence-builder-api", "npx prisma migrate deploy", "npm run seed"),
    ("ui-builder-api", "npx prisma migrate deploy", "npm run seed"),
    ("workflow-api", "npm run db:run-migrations", "npm run seed"),
]


@pytest.mark.parametrize(("service", "migrate", "seed"), _IDEMPOTENT)
def test_a_seed_that_may_run_twice_leaves_the_same_and_needs_all_migrations(
    pods: Pods, service: str, migrate: str, seed: str
) -> None:
    pod = pods.container(service)
    if service == "data-builder-api":
        pod.ok("npm run db:sync-model && npm run db:deploy:core")
    assert pod.sh(seed)[0] == 1, "nothing is migrated yet"
    pod.ok(migrate)
    pod.ok(seed)
    once = pod.contents()
    pod.ok(seed)
    assert digest(pod.contents()) == digest(once)
    dirty(pod.urls["DATABASE_URL"], service)
    assert digest(pod.contents()) != digest(once)
    pod.ok(seed)
    kept = {table: rows for table, rows in pod.contents().items() if table != "scratch_notes"}
    for table, rows in once.items():
        assert all(row in kept[table] for row in rows), f"{table} lacks what the seed owns"


def test_populate_core_entities_that_ran_twice_shows(pods: Pods) -> None:
    pod = pods.container("ui-builder-api")
    pod.ok("npx prisma migrate deploy && npm run seed")
    for rows in (6, 12):
        pod.ok("npm run populate-core-entities")
        assert counts(pod.contents())["entity_fields"] == rows


def test_sync_keeps_what_users_own_and_reset_truncates_it(pods: Pods) -> None:
    pod = pods.container("los-integrations")
    pod.ok("npm run prisma:migrate:prod && npm run seed:sync")
    clean = pod.contents()
    dirty(pod.urls["DATABASE_URL"], "los-integrations")
    pod.ok("npm run seed:sync")
    kept = counts(pod.contents())
    assert (kept["user_mappings"], kept["credentials"], kept["scratch_notes"]) == (2, 1, 2)
    pod.ok("npm run seed:reset")
    assert pod.contents() == {**clean, "scratch_notes": []}


def test_one_integration_can_be_named_and_an_unknown_one_fails(pods: Pods) -> None:
    pod = pods.container("los-integrations")
    pod.ok("npm run prisma:migrate:prod")
    pod.ok('set -- hubspot; npm run seed:sync -- --integration "$1"')
    assert counts(pod.contents())["integrations"] == 1
    code, _, err = pod.sh("npm run seed:sync -- --integration nope")
    assert code == 1
    assert "Seeder not found: nope" in err
    assert counts(pod.contents())["integrations"] == 1


def test_a_dry_run_and_a_list_change_nothing(pods: Pods) -> None:
    pod = pods.container("los-integrations")
    pod.ok("npm run prisma:migrate:prod")
    assert "would upsert 3 rows in system_configs" in pod.ok("npm run seed:dry")
    assert "quickbooks (depends on: base, hubspot)" in pod.ok("npm run seed:list")
    assert counts(pod.contents())["integrations"] == 0


def test_a_seed_with_one_migration_pending_fails(pods: Pods) -> None:
    pod = pods.container("los-core-api")
    last = pod.directory / "prisma/migrations/20250120101500_queue_sla"
    aside = last.rename(pod.directory / "aside")
    pod.ok("npm run prisma:migrate:prod")
    aside.rename(last)
    code, _, err = pod.sh("npm run seed:system")
    assert code == 1
    assert "P2022" in err


def test_a_killed_seed_leaves_half_and_the_next_one_completes_it(pods: Pods) -> None:
    pod = pods.container("los-core-api")
    pod.ok("npm run prisma:migrate:prod")
    put(pods.controls, "qa-sandbox", "los-core-api", **{"seed:system": Control(seconds=60)})
    process = pod.start("npm run seed:system", attempt="reset-k/seed.los-core-api.system/1")
    pod.until("SELECT count(*) >= 2 FROM roles")
    killed = pods.innermost(pod)
    pods.kill(killed, signal.SIGKILL)
    process.wait(30)
    assert pods.launch(killed.id).killed
    assert 2 <= counts(pod.contents())["roles"] < 5
    put(pods.controls, "qa-sandbox", "los-core-api", **{"seed:system": Control(seconds=0)})
    pod.ok("npm run seed:system")
    assert counts(pod.contents())["roles"] == 5


def test_a_seed_fails_on_demand_after_some_rows_and_prints_as_much_as_asked(pods: Pods) -> None:
    pod = pods.container("sequence-builder-api")
    pod.ok("npx prisma migrate deploy")
    control = Control(fail="boom", fail_after_rows=2, output_bytes=100_000)
    put(pods.controls, "qa-sandbox", "sequence-builder-api", seed=control)
    code, out, err = pod.sh("npm run seed")
    assert code == 1
    assert "Error: boom" in err
    assert out.count("x") > 98_000
    assert counts(pod.contents())["sequences"] == 2


def test_controls_are_for_start_scripts_only_when_they_say_so(pods: Pods) -> None:
    pod = pods.container("sequence-builder-api")
    put(pods.controls, "qa-sandbox", "sequence-builder-api", seed=Control(fail="boom"))
    ready = pod.directory / "ready"
    pod.start("npm run start:prod", SANDBOX_READY_FILE=str(ready))
    pods.until(ready.exists)
    control = Control(fail="boom", start_script=True)
    put(pods.controls, "qa-sandbox", "sequence-builder-api", seed=control)
    code, _, err = pod.sh("npm run start:prod")
    assert code == 1
    assert "boom" in err


def test_npm_that_is_terminated_leaves_its_seed_running_as_the_real_one_does(pods: Pods) -> None:
    pod = pods.container("sequence-builder-api")
    pod.ok("npx prisma migrate deploy")
    put(pods.controls, "qa-sandbox", "sequence-builder-api", seed=Control(seconds=60))
    process = pod.start("exec npm run seed")
    pod.until("SELECT count(*) >= 1 FROM sequences")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == -signal.SIGTERM
    orphan = pods.innermost(pod)
    assert orphan.argv[0] == "ts-node"
    pods.kill(orphan, signal.SIGKILL)


def test_terminating_the_group_ends_a_seed_unless_it_is_deaf(pods: Pods) -> None:
    pod = pods.container("sequence-builder-api")
    pod.ok("npx prisma migrate deploy")
    for deaf in (False, True):
        pod.query("TRUNCATE sequences CASCADE")
        control = Control(seconds=15, ignore_term=deaf)
        put(pods.controls, "qa-sandbox", "sequence-builder-api", seed=control)
        process = pod.start("npm run seed")
        pod.until("SELECT count(*) >= 1 FROM sequences")
        seed = pods.innermost(pod)
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
        if deaf:
            pod.query("TRUNCATE sequences CASCADE")
            pod.until("SELECT EXISTS (SELECT FROM sequence_steps) OR EXISTS (SELECT FROM sequences)")
            pods.kill(seed, signal.SIGKILL)
        _await_killed(pods, seed)


def _await_killed(pods: Pods, launch: Launch) -> None:
    pods.until(lambda: pods.launch(launch.id).killed)


def test_a_read_only_database_and_a_cut_session_give_the_database_s_words(pods: Pods) -> None:
    pod = pods.container("los-core-api")
    pod.ok("npm run prisma:migrate:prod")
    pod.query('ALTER DATABASE "los-sandbox" SET default_transaction_read_only = on')
    code, _, err = pod.sh("npm run seed:system")
    assert code == 1
    assert "cannot execute INSERT in a read-only transaction" in err
    pod.query('BEGIN READ WRITE; ALTER DATABASE "los-sandbox" RESET ALL; COMMIT')
    put(pods.controls, "qa-sandbox", "los-core-api", **{"seed:system": Control(seconds=60)})
    process = pod.start("npm run seed:system")
    pod.until("SELECT count(*) >= 1 FROM roles")
    pods.fleet.servers["qa"].restart()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Server has closed the connection." in err
